/** A controller behind a proxy that does harm: whatever happens on the way, the fleet converges and nothing is flashed twice. */
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { defaultPolicySettings } from '../../src/api/defaults.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import { startClusterFleet, startController, type ClusterFleet } from '../support/cluster-fleet.ts'
import { describeCluster } from '../support/cluster-suite.ts'
import { startHttpFaultProxy, type HttpFaultProxy } from '../support/http-fault-proxy.ts'
import { mostWithin } from '../support/most-within.ts'
import { createListener, keepRunning, kubeconfigTo, storedVersions } from '../support/proxied-controller.ts'
import type { Direction } from '../support/toxics.ts'
import { until } from '../support/until.ts'

const limitMs = 180_000
const convergeMs = 100_000
/** An intent whose answer was lost starts nothing: only when this has passed is it tried again. */
const flash = '10s'
vi.setConfig({ testTimeout: limitMs, hookTimeout: limitMs })

const count = 5

interface Chaos {
  fleet: ClusterFleet
  proxy: HttpFaultProxy
  /** The fleet is at its target, by one flash each, and the controller knows of every object what is stored. */
  converges: () => Promise<void>
}

const pause = (ms: number): Promise<void> => systemClock.sleep(ms)

describeCluster('trouble on the way to the API server', (cluster) => {
  const { kubectl, open } = cluster

  /** `strike` before the controller starts. */
  const chaos = async (
    strike: (proxy: HttpFaultProxy) => void = () => {},
    maxConcurrent = count,
  ): Promise<Chaos> => {
    const fleet = await startClusterFleet(cluster.server, {
      count,
      policy: {
        limits: { maxConcurrent, startsPerMinute: 10_000 },
        timeouts: { ...defaultPolicySettings.timeouts, flash },
      },
    })
    open.push(fleet)
    await kubectl('apply', '-f', fleet.folder)
    const proxy = await startHttpFaultProxy({ to: cluster.server.url, ca: cluster.server.ca })
    open.push({ stop: () => proxy.close() })
    strike(proxy)
    const kubeconfig = await kubeconfigTo(proxy.origin, cluster.kubeconfigs.controller)
    const kept = keepRunning((nth) => {
      const { decorate, known } = createListener()
      const flags = { images: fleet.folder, cache: join(fleet.folder, `cache-${nth}`) }
      return { ...startController(kubeconfig, flags, { decorate }), known }
    })
    open.push(kept)
    const converges = async (): Promise<void> => {
      const arrived = async () => {
        await until('the fleet at its target', () => fleet.onTarget() === count, convergeMs)
        await kubectl('wait', '--for=condition=Converged', '--timeout=60s', 'upgradepolicy/access-points')
      }
      await Promise.race([arrived(), kept.ended])
      expect(fleet.flashes()).toEqual(Array.from({ length: count }, () => 1))
      // An event that waits for its follower would wait for ever.
      proxy.clear()
      await until('no event lost', async () =>
        sameVersions(kept.all.at(-1)!.known(), await storedVersions(cluster.server)),
      )
      expect(kept.all.flatMap(({ events }) => events.filter(({ type }) => type === 'Bug'))).toEqual([])
    }
    return { fleet, proxy, converges }
  }
  const sameVersions = (a: object, b: object) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
  const sorted = (versions: object) => Object.entries(versions).toSorted(([a], [b]) => (a < b ? -1 : 1))

  const starts = (fleet: ClusterFleet) =>
    fleet.routers.flatMap(({ history }) => eventsOf(history, 'FlashStarted'))
  const firstStart = (fleet: ClusterFleet) =>
    until('a first flash', () => starts(fleet).length > 0, convergeMs)
  /** One more than there were. */
  const aStart = (fleet: ClusterFleet, before = starts(fleet).length) =>
    until('another flash', () => starts(fleet).length > before, convergeMs)

  const statuses = /\/reflash\.dev\/.*\/status$/
  const faults: [string, (proxy: HttpFaultProxy) => void][] = [
    [
      '409, 429 and 500 to writes and reads',
      (proxy) => {
        proxy.add({ kind: 'answer', code: 500 }, { times: 3 })
        proxy.add({ kind: 'answer', code: 409 }, { path: statuses, times: 6 })
        proxy.add({ kind: 'answer', code: 429, retryAfterSeconds: 1 }, { path: statuses, times: 4 })
      },
    ],
    [
      'lost answers of writes that were done',
      (proxy) => {
        proxy.add({ kind: 'lose' }, { method: 'POST', path: /upgradeoperations$/, times: 1 })
        for (const path of [/upgradeoperations\/.*\/status$/, /devices\/.*\/status$/])
          proxy.add({ kind: 'lose' }, { method: 'PATCH', path, times: 2 })
      },
    ],
    [
      'watches that say 500 or 410, break, and end',
      (proxy) => {
        const watch = { watch: true, afterEvents: 1 }
        proxy.add({ kind: 'errorEvent', code: 500 }, { ...watch, times: 4 })
        proxy.add({ kind: 'errorEvent', code: 410 }, { ...watch, times: 4 })
        proxy.add({ kind: 'cut' }, { ...watch, times: 4 })
        proxy.add({ kind: 'endWatch' }, { ...watch, times: 4 })
      },
    ],
    [
      'events doubled and in another order, a few bytes at a time',
      (proxy) => {
        proxy.add({ kind: 'doubleEvents' }, { times: 20 })
        proxy.add({ kind: 'reorderEvents' }, { times: 40 })
        proxy.add({ kind: 'slice', bytes: 20 }, { watch: true })
      },
    ],
  ]
  test.each(faults)('%s', async (_name, strike) => {
    const { converges } = await chaos(strike)
    await converges()
  })

  test('events that never come, and lists of an earlier time', async () => {
    const { proxy, fleet, converges } = await chaos()
    await firstStart(fleet)
    proxy.add({ kind: 'dropEvents' }, { times: 20 })
    await pause(1000)
    proxy.add({ kind: 'stale' }, { path: /reflash\.dev/ })
    proxy.add({ kind: 'errorEvent', code: 410 }, { watch: true, times: 12 })
    await pause(1000)
    proxy.clear()
    // Of what was dropped only a list can tell.
    proxy.add({ kind: 'errorEvent', code: 410 }, { watch: true, times: 12 })
    await converges()
  })

  test('watches in which nothing comes, and connections that are broken again and again', async () => {
    const { proxy, fleet, converges } = await chaos()
    await firstStart(fleet)
    proxy.add({ kind: 'stall' }, { watch: true })
    await pause(1000)
    proxy.clear()
    for (const kind of ['reset', 'halfClose', 'cut'] as const) {
      const off = proxy.tcp.add({ kind }, { only: 'living', direction: 'downstream' })
      await pause(400)
      off()
    }
    await converges()
  })

  const during = <T extends { atMs: number }>(events: readonly T[], [from, to]: [number, number]): T[] =>
    events.filter(({ atMs }) => atMs >= from && atMs <= to)
  /** While this is on; what was under way is over after a second. */
  const whileIn = async (trouble: () => () => void, ms: number): Promise<[number, number]> => {
    const end = trouble()
    const from = systemClock.monotonic() + 1000
    await pause(1000 + ms)
    const to = systemClock.monotonic()
    end()
    return [from, to]
  }

  test('outages: one request a second, no start, and work as before after them', async () => {
    const { proxy, fleet, converges } = await chaos(undefined, 1)
    const outages: [string, () => () => void][] = [
      ['503', () => proxy.add({ kind: 'answer', code: 503 })],
      ['reset', () => proxy.tcp.add({ kind: 'reset' })],
    ]
    for (const [name, trouble] of outages) {
      await aStart(fleet)
      const time = await whileIn(trouble, 4000)
      const asked = during(proxy.requests, time).filter(({ path }) => !/\/leases/.test(path))
      // A little less than a second, since these times are not those of the one who asks.
      const times = asked.map(({ atMs }) => atMs)
      expect(mostWithin(900, times), name).toBeLessThanOrEqual(1)
      // One a second, and the renewals of the Lease.
      const connects = proxy.tcp.connections.map(({ openedMs }) => ({ atMs: openedMs }))
      expect(during(connects, time).length, name).toBeLessThanOrEqual(5 + 4)
      expect(during(starts(fleet), time), name).toEqual([])
    }
    expect(starts(fleet).length).toBeLessThan(count)
    await converges()
  })

  test(
    'a minute without an API server: no start, nobody hammers it, and work as before after it',
    {
      timeout: limitMs + 60_000,
    },
    async () => {
      const { proxy, fleet, converges } = await chaos(undefined, 1)
      await aStart(fleet)
      const minute = await whileIn(() => proxy.tcp.add({ kind: 'reset' }), 60_000)
      const connects = proxy.tcp.connections.map(({ openedMs }) => ({ atMs: openedMs }))
      // One a second, and the tries for the Lease, which is lost meanwhile.
      expect(during(connects, minute).length).toBeLessThanOrEqual(2 * 60)
      expect(during(starts(fleet), minute)).toEqual([])
      expect(starts(fleet).length).toBeLessThan(count)
      await converges()
    },
  )

  test('partitions, both ways and one: nothing is started in them', async () => {
    const { proxy, fleet, converges } = await chaos(undefined, 1)
    for (const reach of [{}, { direction: 'upstream' }, { direction: 'downstream' }] as {
      direction?: Direction
    }[]) {
      await aStart(fleet)
      // What was decided before is done; nothing is decided from then on.
      const time = await whileIn(() => proxy.tcp.add({ kind: 'stall' }, reach), 2000)
      expect(during(starts(fleet), time), JSON.stringify(reach)).toEqual([])
    }
    expect(starts(fleet).length).toBeLessThan(count)
    await converges()
  })
})
