import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { readState } from '../../src/adapters/sqlite/state.ts'
import type { AnyResource, Device, UpgradeOperation, UpgradePolicySpec } from '../../src/api/resources.ts'
import type { Ending } from '../../src/app.ts'
import { createFleet, type Fleet, type FleetOptions } from '../../src/simulator/fleet.ts'
import { nameOf } from '../../src/simulator/command.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import { knownReleases, type Release } from '../../src/simulator/release.ts'
import type { Link, Router } from '../../src/simulator/router.ts'
import { serveFleet } from '../../src/simulator/serve-fleet.ts'
import { createFastClock } from '../support/fast-clock.ts'
import { until } from '../support/until.ts'
import type { When } from './look-on.ts'
import { runOnce } from './run-once.ts'

/** How much faster the routers live: their limit of a minute for a start is then six seconds. */
const pace = 10
export const target: Release = knownReleases['24.10.8']

/** Where a run is to die: at its own `nth` write or command of that name, or when the device has got so far with one. */
export interface Point {
  /** `arrived`: the device runs it. `unanswered`: it has run it, and nobody has read its answer. */
  when: When | 'arrived' | 'unanswered'
  name: string
  nth?: number
}

export const nameOfPoint = ({ when, name, nth = 1 }: Point): string =>
  `${when} ${name}${nth === 1 ? '' : ` (${nth})`}`

/** What one process did, and how it ended. */
export interface Ended {
  signal: NodeJS.Signals | null
  code: number | null
  lines: Line[]
  stderr: string
}
interface Line {
  when?: When
  name?: string
  nth?: number
  phase?: string
  bug?: string
  ending?: Ending
}

export interface World {
  fleet: Fleet
  folder: string
  directory: string
  state: string
  /** Arguments of the real program for this fleet. */
  runArguments: readonly string[]
  /** Writes the manifests of the fleet, with changes. */
  declare(changes?: Changes): Promise<void>
  /** Runs the program once over the directory, up to a point or to its end. */
  run(point?: Point): Promise<Ended>
  /** Runs it up to a point, where it has to die. */
  killAt(point: Point): Promise<void>
  /** Takes away everything that is known beside the manifests. */
  forget(): Promise<void>
  /** Runs it once more, in this process, where its code is warm; it has to end by itself. */
  finish(): Promise<Ending>
  resources(): Promise<Resources>
  /** What was wrong with a start, at the moment when it reached its router. */
  readonly wrongStarts: readonly string[]
}

interface Changes {
  /** Devices that are left out. */
  without?: readonly string[]
  /** What the policy says otherwise. */
  policy?: Partial<UpgradePolicySpec>
}

export interface Resources {
  devices: Device[]
  operations: UpgradeOperation[]
}

const victim = fileURLToPath(new URL('victim.ts', import.meta.url))

let worlds = 0
/** A network of its own for each world and test process, below the ports of outgoing connections. */
const addressesOf = (world: number) => (index: number) => ({
  address: `127.${1 + (process.pid % 250)}.${world % 250}.${index + 1}`,
  port: 20_022,
})

export const defaultTimeouts = {
  connect: '10s',
  command: '10s',
  upload: '30s',
  flash: '60s',
  reconnectRetry: '100ms',
  reboot: '40s',
  total: '60m',
}

const policy: NonNullable<FleetOptions['policy']> = {
  limits: { maxConcurrent: 2, startsPerMinute: 10_000 },
  retry: { preFlash: 10, backoff: '500ms', maxBackoff: '1s', quarantine: '24h' },
  offline: { action: 'Wait', recheck: '500ms', maxRecheck: '1s', expireAfter: '0s' },
  timeouts: defaultTimeouts,
}

/** Simulated routers behind real SSH, which outlive every process that is let loose on them. */
export async function withWorld(
  options: Partial<FleetOptions>,
  body: (world: World) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-crash-'))
  const fleet = createFleet({
    count: 2,
    seed: 'crash',
    clock: createFastClock(pace),
    addressOf: addressesOf((worlds += 1)),
    timings: {
      connectMs: 0,
      commandMs: 100,
      testMs: 1000,
      shutdownMs: 2000,
      startDiesMs: 1000,
      flashMs: 2000,
      rebootMs: 4000,
    },
    ...options,
    policy: { ...policy, ...options.policy },
  })
  const children = new Set<ChildProcess>()
  const over = new AbortController()
  const world = openWorld(folder, fleet, { children, over: over.signal })
  const served = await serveFleet({ routers: world.routers, addresses: fleet.addresses })
  try {
    await world.declare()
    await body(world)
  } finally {
    over.abort()
    for (const child of children) child.kill('SIGKILL')
    await served.close()
    await rm(folder, { recursive: true, force: true })
  }
}

function openWorld(
  folder: string,
  fleet: Fleet,
  { children, over }: { children: Set<ChildProcess>; over: AbortSignal },
): World & { routers: Router[] } {
  const [directory, state, cache] = ['fleet', 'state.db', 'cache'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const wrongStarts: string[] = []
  /** What ends the process that runs now, when a router gets as far as the point. */
  let trap: { point: Point; spring: () => Promise<void> } | undefined

  const reached = async (when: Point['when'], name: string | undefined, nth: number): Promise<void> => {
    if (trap?.point.when !== when || trap.point.name !== name || (trap.point.nth ?? 1) !== nth) return
    await trap.spring()
  }
  /** A router that springs the trap, and that looks into the state before each start. */
  const watched = (router: Router): Router => {
    const counts = new Map<string, number>()
    const open = (): Link => {
      const link = router.open()
      const run: Link['run'] = async (command, stdin) => {
        const name = nameOf(command) ?? 'unknown'
        const nth = (counts.get(name) ?? 0) + 1
        counts.set(name, nth)
        if (name === 'guard') wrongStarts.push(...(await faultsOfStart(state, router.name, command.slice(4))))
        const running = link.run(command, stdin)
        if (name === 'guard' && trap?.point.when === 'arrived') {
          await until('the guard is at work', () => router.state.guards > 0)
          await reached('arrived', name, nth)
        }
        const result = await running
        await reached('unanswered', name, nth)
        return result
      }
      return { ...link, run }
    }
    return { ...router, open }
  }

  const run = async (point?: Point): Promise<Ended> => {
    const own = point && point.when !== 'arrived' && point.when !== 'unanswered'
    const where = own ? [point.when, point.name, String(point.nth ?? 1)] : []
    const child = spawn(process.execPath, [victim, directory, state, cache, ...where], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: folder, NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] },
    })
    children.add(child)
    const output = { stdout: '', stderr: '' }
    child.stdout.on('data', (chunk: Buffer) => void (output.stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => void (output.stderr += chunk.toString()))
    const closed = once(child, 'close')
    if (point && !own) {
      trap = {
        point,
        spring: async () => {
          trap = undefined
          child.kill('SIGKILL')
          await closed
        },
      }
    }
    await closed
    children.delete(child)
    trap = undefined
    const lines = output.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
    return { signal: child.signalCode, code: child.exitCode, lines, stderr: output.stderr }
  }

  return {
    fleet,
    folder,
    directory,
    state,
    runArguments: ['run', directory, '--state', state, '--cache', cache, '--max-starts-per-minute', '10000'],
    routers: fleet.routers.map(watched),
    wrongStarts,
    declare: (changes = {}) => declare(fleet, directory, changes),
    run,
    killAt: async (point) => {
      const ended = await run(point)
      expect(ended.signal, `${nameOfPoint(point)} was not reached:\n${said(ended)}`).toBe('SIGKILL')
      expect(bugsOf(ended)).toEqual([])
    },
    forget: async () => {
      for (const name of await readdir(folder)) if (name.startsWith('state.db')) await rm(join(folder, name))
    },
    finish: async () => {
      const lines: Line[] = []
      await runOnce({ directory, state, cache }, (line) => void lines.push(line), { signal: over })
      expect(bugsOf({ lines })).toEqual([])
      return lines.at(-1)!.ending!
    },
    resources: async () => {
      const { resources } = await readState(state)
      return {
        devices: resources.filter((object): object is Device => object.kind === 'Device'),
        operations: resources.filter(
          (object): object is UpgradeOperation => object.kind === 'UpgradeOperation',
        ),
      }
    },
  }
}

/** For the message of an assertion. */
export const said = ({ lines, stderr }: Ended): string =>
  [...lines.map((line) => JSON.stringify(line)), stderr].slice(-60).join('\n')

export const bugsOf = ({ lines }: Pick<Ended, 'lines'>): string[] => lines.flatMap(({ bug }) => bug ?? [])

async function declare(
  fleet: Fleet,
  directory: string,
  { without = [], policy: changed }: Changes,
): Promise<void> {
  await fleet.writeManifests(directory)
  await edit(join(directory, 'devices-0.yaml'), (device) => !without.includes(device.metadata.name))
  if (!changed) return
  await edit(join(directory, 'firmware.yaml'), (object) => {
    if (object.kind === 'UpgradePolicy') Object.assign(object.spec, changed)
    return true
  })
}

interface Written {
  kind: string
  metadata: { name: string }
  spec: object
}

/** Changes the objects of a file in place, and keeps those for which `keep` says so. */
async function edit(path: string, keep: (object: Written) => boolean): Promise<void> {
  const objects = (await readFile(path, 'utf8')).split('---\n').map((text) => JSON.parse(text) as Written)
  const kept = objects.filter(keep).map((object) => `${JSON.stringify(object)}\n`)
  await writeFile(`${path}.new`, kept.join('---\n'))
  await rename(`${path}.new`, path)
}

/** A start has to find its intent in the state, and the device claimed for it. */
async function faultsOfStart(
  state: string,
  device: string,
  [name = '', bootId = '']: readonly string[],
): Promise<string[]> {
  const { resources } = await readState(state)
  const find = (kind: string, wanted: string): AnyResource | undefined =>
    resources.find((object) => object.kind === kind && object.metadata.name === wanted)
  const operation = find('UpgradeOperation', name) as UpgradeOperation | undefined
  const claimedFor = (find('Device', device) as Device | undefined)?.status.operationRef?.name
  const faults: string[] = []
  if (operation?.status.phase !== 'Flashing')
    faults.push(`${name} reached ${device} in phase ${operation?.status.phase}`)
  if (operation?.status.bootIdBefore !== bootId)
    faults.push(`${name} reached ${device} without the boot id of its intent`)
  if (claimedFor !== name) faults.push(`${name} reached ${device}, which is claimed for ${claimedFor}`)
  return faults
}

/** How often a router was started to flash, and wrote, for each operation without its attempt. */
export function flashesOf({ history }: Router): {
  started: Record<string, number>
  written: Record<string, number>
} {
  const count = (names: readonly string[]): Record<string, number> => {
    const counts: Record<string, number> = {}
    for (const name of names) {
      const stem = name.replace(/-\d+$/, '')
      counts[stem] = (counts[stem] ?? 0) + 1
    }
    return counts
  }
  return {
    started: count(eventsOf(history, 'FlashStarted').map(({ order }) => order.operation)),
    written: count(eventsOf(history, 'FlashWritten').map(({ operation }) => operation)),
  }
}
