/**
 * The leader, killed with SIGKILL at one point after the other, while a standby runs: that takes over, and is killed at
 * the next point. In the end the fleet is on its target, and nothing was flashed twice.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { eventsOf } from '../../src/simulator/history.ts'
import { points } from '../crash/points.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { notBuilt } from '../support/built-programs.ts'
import { installReflash, kubectlOf, startClusterFleet, type ClusterFleet } from '../support/cluster-fleet.ts'
import { removeAll } from '../support/kubernetes-store.ts'
import { newestKubectl } from '../support/rendered-manifests.ts'
import { unlessMissing } from '../support/requires.ts'
import { until } from '../support/until.ts'

const limitMs = 300_000
vi.setConfig({ testTimeout: limitMs })

interface Point {
  when: string
  name: string
  nth: number
}
const at = (when: string, name: string, nth = 1): Point => ({ when, name, nth })
const nameOf = ({ when, name, nth }: Point): string => `${when} ${name}${nth === 1 ? '' : ` (${nth})`}`

/** The durable writes, and the guard: around them it is decided whether anything is flashed twice. */
const decisive: Point[] = [
  at('after', 'create UpgradeOperation'),
  at('before', 'claim'),
  at('after', 'claim'),
  at('after', 'phase Connecting'),
  at('during', 'upload'),
  at('before', 'phase Flashing'),
  at('before', 'guard'),
  at('after', 'guard'),
  at('after', 'phase Flashing'),
  at('after', 'phase Rebooting'),
  at('before', 'phase Succeeded'),
  at('after', 'phase Succeeded'),
  at('before', 'free'),
  at('after', 'free'),
]
/** All points of an upgrade that a process of this home comes to by itself; REFLASH_KILLS=all takes them one by one. */
const every: Point[] = points.plain.flatMap(({ when, name, nth = 1 }) =>
  when === 'arrived' || when === 'unanswered' || name.startsWith('apply ') ? [] : [{ when, name, nth }],
)
const chains: [string, Point[]][] =
  process.env['REFLASH_KILLS'] === 'all'
    ? every.map((point) => [nameOf(point), [point]])
    : [decisive.slice(0, 7), decisive.slice(7)].map((chain) => [chain.map(nameOf).join(', '), chain])

const victim = fileURLToPath(new URL('victim.ts', import.meta.url))

interface Victim {
  child: ChildProcess
  closed: Promise<unknown>
  /** What it has said, as one text. */
  said(): string
}

unlessMissing([...missingApiServer(), ...notBuilt([newestKubectl])])('a leader that is killed', () => {
  let server: ApiServer
  let kubeconfigs: { admin: string; controller: string }
  let kubectl: (...args: string[]) => Promise<string>
  const children: Victim[] = []
  let fleet: ClusterFleet | undefined

  beforeAll(async () => {
    server = await startApiServer()
    kubeconfigs = await installReflash(server)
    kubectl = kubectlOf(kubeconfigs.admin)
  }, limitMs)
  afterEach(async () => {
    for (const { child } of children.splice(0)) child.kill('SIGKILL')
    await fleet?.stop()
    await removeAll(server)
  })
  afterAll(() => server?.stop())

  function start(images: string, point: Point | undefined): Victim {
    const where = point ? [point.when, point.name, String(point.nth)] : []
    const cache = join(images, `cache-${children.length}`)
    const child = spawn(process.execPath, [victim, kubeconfigs.controller, images, cache, ...where], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        HOME: server.folder,
        NODE_COMPILE_CACHE: join(server.folder, 'compiled'),
      },
    })
    let text = ''
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (chunk: Buffer) => void (text += chunk.toString()))
    const started = { child, closed: once(child, 'close'), said: () => text }
    children.push(started)
    return started
  }
  const end = (said: string): string => said.split('\n').slice(-30).join('\n')

  test.each(chains)('%s', async (_, chain) => {
    // Each kill is followed by another upgrade, so that every point comes once more.
    fleet = await startClusterFleet(server, {
      count: 2 * chain.length,
      policy: {
        limits: { maxConcurrent: 2, startsPerMinute: 10_000 },
        timeouts: {
          connect: '10s',
          command: '10s',
          upload: '30s',
          flash: '60s',
          reconnectRetry: '100ms',
          reboot: '120s',
          total: '60m',
        },
      },
    })
    await kubectl('apply', '-f', fleet.folder)
    let leader = start(fleet.folder, chain[0])
    for (const [index, point] of chain.entries()) {
      const standby = start(fleet.folder, chain[index + 1])
      await until(
        `a kill ${nameOf(point)}`,
        () => leader.child.signalCode !== null || leader.child.exitCode !== null,
        60_000,
      ).catch((error: Error) => {
        throw new Error(`${error.message}\n${end(leader.said())}`)
      })
      await leader.closed
      expect(leader.child.signalCode, end(leader.said())).toBe('SIGKILL')
      leader = standby
    }
    await kubectl('wait', '--for=condition=Converged', '--timeout=150s', 'upgradepolicy/access-points')
    for (const { said } of children) expect(said()).not.toContain('"bug"')
    expect(fleet.onTarget()).toBe(fleet.routers.length)
    for (const { name, history, state } of fleet.routers) {
      expect(eventsOf(history, 'FlashStarted').length, `starts of ${name}`).toBe(1)
      expect(eventsOf(history, 'FlashWritten').length, `flashes of ${name}`).toBe(1)
      expect(state.files.size, `files left on ${name}`).toBe(0)
    }
    const last = children.at(-1)!
    last.child.kill('SIGTERM')
    await last.closed
    expect(last.child.exitCode, end(last.said())).toBe(0)
  })
})
