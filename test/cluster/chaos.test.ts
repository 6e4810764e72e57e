/** A controller behind a proxy that does harm: whatever happens on the way, the fleet converges and nothing is flashed twice. */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { notBuilt } from '../support/built-programs.ts'
import {
  installReflash,
  kubectlOf,
  startClusterFleet,
  startController,
  type ClusterFleet,
  type RunningController,
} from '../support/cluster-fleet.ts'
import { startHttpFaultProxy, type HttpFaultProxy } from '../support/http-fault-proxy.ts'
import { removeAll } from '../support/kubernetes-store.ts'
import { mostWithin } from '../support/most-within.ts'
import { createListener, kubeconfigTo, storedVersions } from '../support/proxied-controller.ts'
import { newestKubectl } from '../support/rendered-manifests.ts'
import { unlessMissing } from '../support/requires.ts'
import type { Direction } from '../support/toxics.ts'
import { until } from '../support/until.ts'

const limitMs = 120_000
const convergeMs = 60_000
vi.setConfig({ testTimeout: limitMs, hookTimeout: limitMs })

const count = 5

interface Chaos {
  fleet: ClusterFleet
  proxy: HttpFaultProxy
  controller: RunningController
  /** The fleet is at its target, by one flash each, and the controller knows of every object what is stored. */
  converges(): Promise<void>
}

const pause = (ms: number): Promise<void> => systemClock.sleep(ms)

unlessMissing([...missingApiServer(), ...notBuilt([newestKubectl])])(
  'trouble on the way to the API server',
  () => {
    let server: ApiServer
    let kubeconfigs: { admin: string; controller: string }
    let kubectl: (...args: string[]) => Promise<string>
    const open: { stop(): Promise<unknown> }[] = []

    beforeAll(async () => {
      server = await startApiServer()
      kubeconfigs = await installReflash(server)
      kubectl = kubectlOf(kubeconfigs.admin)
    })
    afterEach(async () => {
      for (const each of open.splice(0).toReversed()) await each.stop()
      await removeAll(server)
    })
    afterAll(() => server?.stop())

    /** `strike` before the controller starts. */
    const chaos = async (
      strike: (proxy: HttpFaultProxy) => void = () => {},
      maxConcurrent = count,
    ): Promise<Chaos> => {
      const fleet = await startClusterFleet(server, {
        count,
        policy: { limits: { maxConcurrent, startsPerMinute: 10_000 } },
      })
      open.push(fleet)
      await kubectl('apply', '-f', fleet.folder)
      const proxy = await startHttpFaultProxy({ to: server.url, ca: server.ca })
      open.push({ stop: proxy.close })
      strike(proxy)
      const listener = createListener()
      const controller = startController(
        await kubeconfigTo(proxy.origin, kubeconfigs.controller),
        { images: fleet.folder, cache: join(fleet.folder, 'cache') },
        { decorate: listener.decorate },
      )
      controller.ended.catch(() => {})
      open.push(controller)
      const converges = async (): Promise<void> => {
        const ended = controller.ended.then((how) => {
          throw new Error(`the controller has ended: ${how}`)
        })
        const arrived = until('the fleet at its target', () => fleet.onTarget() === count, convergeMs)
        await Promise.race([arrived, ended])
        const says = kubectl(
          'wait',
          '--for=condition=Converged',
          '--timeout=60s',
          'upgradepolicy/access-points',
        )
        await Promise.race([says, ended])
        ended.catch(() => {})
        expect(fleet.flashes()).toEqual(Array.from({ length: count }, () => 1))
        await until('no event lost', async () => sameVersions(listener.known(), await storedVersions(server)))
        expect(controller.events.filter(({ type }) => type === 'Bug')).toEqual([])
      }
      return { fleet, proxy, controller, converges }
    }
    const sameVersions = (a: object, b: object) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
    const sorted = (versions: object) => Object.entries(versions).toSorted(([a], [b]) => (a < b ? -1 : 1))

    const starts = (fleet: ClusterFleet) =>
      fleet.routers.flatMap(({ history }) => eventsOf(history, 'FlashStarted'))
    const firstStart = (fleet: ClusterFleet) =>
      until('a first flash', () => starts(fleet).length > 0, convergeMs)

    const statuses = /\/reflash\.dev\/.*\/status$/
    const faults: [string, (proxy: HttpFaultProxy) => void][] = [
      [
        '409 to writes',
        (proxy) => void proxy.add({ kind: 'answer', code: 409 }, { path: statuses, times: 15 }),
      ],
      [
        '429 to writes',
        (proxy) =>
          void proxy.add({ kind: 'answer', code: 429, retryAfterSeconds: 1 }, { path: statuses, times: 8 }),
      ],
      ['500 to anything', (proxy) => void proxy.add({ kind: 'answer', code: 500 }, { times: 5 })],
      [
        'lost answers of writes that were done',
        (proxy) => {
          proxy.add({ kind: 'lose' }, { method: 'POST', path: /upgradeoperations$/, times: 2 })
          for (const path of [/upgradeoperations\/.*\/status$/, /devices\/.*\/status$/])
            proxy.add({ kind: 'lose' }, { method: 'PATCH', path, times: 4 })
        },
      ],
      [
        'watches that say 500 or 410, break, and end',
        (proxy) => {
          const watch = { watch: true, afterEvents: 1 }
          proxy.add({ kind: 'errorEvent', code: 500 }, { ...watch, times: 6 })
          proxy.add({ kind: 'errorEvent', code: 410 }, { ...watch, times: 6 })
          proxy.add({ kind: 'cut' }, { ...watch, times: 6 })
          proxy.add({ kind: 'endWatch' }, { ...watch, times: 6 })
        },
      ],
      ['events doubled', (proxy) => void proxy.add({ kind: 'doubleEvents' })],
      ['events in another order', (proxy) => void proxy.add({ kind: 'reorderEvents' }, { times: 40 })],
      ['one byte at a time', (proxy) => void proxy.add({ kind: 'slice', bytes: 1 }, { watch: true })],
    ]
    test.each(faults)('%s', async (_name, strike) => {
      const { converges } = await chaos(strike)
      await converges()
    })

    test('events that never come are made up for by the next list', async () => {
      const { proxy, fleet, converges } = await chaos()
      await firstStart(fleet)
      proxy.add({ kind: 'dropEvents' }, { times: 20 })
      await pause(1500)
      proxy.clear()
      proxy.add({ kind: 'errorEvent', code: 410 }, { watch: true, times: 6 })
      await converges()
    })

    test('lists of an earlier time', async () => {
      const { proxy, fleet, converges } = await chaos()
      await firstStart(fleet)
      proxy.add({ kind: 'stale' }, { path: /reflash\.dev/ })
      proxy.add({ kind: 'errorEvent', code: 410 }, { watch: true, times: 6 })
      await pause(2000)
      proxy.clear()
      await converges()
    })

    test('watches in which nothing comes', async () => {
      const { proxy, fleet, converges } = await chaos()
      await firstStart(fleet)
      proxy.add({ kind: 'stall' }, { watch: true })
      await pause(3000)
      proxy.clear()
      await converges()
    })

    test('connections that are reset and half-closed again and again', async () => {
      const { proxy, fleet, converges } = await chaos()
      await firstStart(fleet)
      for (const kind of ['reset', 'halfClose', 'cut', 'reset', 'halfClose'] as const) {
        const off = proxy.tcp.add({ kind }, { only: 'living', direction: 'downstream' })
        await pause(400)
        off()
      }
      await converges()
    })

    const outages: [string, (proxy: HttpFaultProxy) => void][] = [
      ['503 to everything', (proxy) => void proxy.add({ kind: 'answer', code: 503 })],
      ['a reset of every connection', (proxy) => void proxy.tcp.add({ kind: 'reset' })],
    ]
    test.each(outages)('an outage: %s', async (_name, strike) => {
      const { proxy, fleet, converges } = await chaos()
      await firstStart(fleet)
      strike(proxy)
      proxy.add({ kind: 'endWatch' })
      const from = systemClock.monotonic() + 1500
      await pause(7000)
      const to = systemClock.monotonic()
      proxy.clear()
      const during = (ms: number) => ms >= from && ms <= to
      const isLease = /\/leases/
      const asked = proxy.requests.filter(({ path, atMs }) => during(atMs) && !isLease.test(path))
      // A little less than a second, since these times are not those of the one who asks.
      expect(
        mostWithin(
          900,
          asked.map(({ atMs }) => atMs),
        ),
      ).toBeLessThanOrEqual(1)
      const connects = proxy.tcp.connections.map(({ openedMs }) => openedMs).filter(during)
      // One a second, and the renewals of the Lease.
      expect(connects.length).toBeLessThanOrEqual(6 + 6)
      expect(starts(fleet).filter(({ atMs }) => during(atMs))).toEqual([])
      await converges()
    })

    const ways: [string, { direction?: Direction }][] = [
      ['both ways', {}],
      ['from the controller', { direction: 'upstream' }],
      ['to the controller', { direction: 'downstream' }],
    ]
    test.each(ways)('a partition, %s: nothing is started in it', async (_name, reach) => {
      const { proxy, fleet, converges } = await chaos()
      await firstStart(fleet)
      proxy.tcp.add({ kind: 'stall' }, reach)
      // What was decided before is done; nothing is decided from then on.
      const from = systemClock.monotonic() + 1000
      await pause(4000)
      const to = systemClock.monotonic()
      const during = starts(fleet).filter(({ atMs }) => atMs >= from && atMs <= to)
      expect(starts(fleet).length).toBeLessThan(count)
      expect(during).toEqual([])
      proxy.clear()
      await converges()
    })
  },
)
