import type { AnyResource, Device, UpgradeOperation, UpgradePolicySpec } from '../../src/api/resources.ts'
import { nameOf } from '../../src/simulator/command.ts'
import { createFleet, type Fleet, type FleetOptions } from '../../src/simulator/fleet.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import { knownReleases, type Release } from '../../src/simulator/release.ts'
import type { Link, Router } from '../../src/simulator/router.ts'
import { createFastClock } from '../support/fast-clock.ts'
import { scarce } from '../support/scarce.ts'
import { until } from '../support/until.ts'
import type { When } from './look-on.ts'

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

/** What a process meets with at a point. */
export type Fate = 'killed' | 'stopped' | 'held'

/** A point of the process itself, as its arguments; none for one that the routers come to. */
export const pointArguments = (point: Point | undefined, fate: Fate = 'killed'): string[] =>
  point === undefined || isOnRouter(point) ? [] : [point.when, point.name, String(point.nth ?? 1), fate]

/** Whether it is a router that comes to the point. */
export const isOnRouter = ({ when }: Point): boolean => when === 'arrived' || when === 'unanswered'

/** Routers, a home of Reflash over them, and what may befall it. */
export interface World {
  fleet: Fleet
  /** Writes the manifests of the fleet, with changes. */
  declare(changes?: Changes): Promise<void>
  /** Runs it up to a point, where it has to die. */
  killAt(point: Point): Promise<void>
  /** Runs it until nothing moves any more, which has to be this kind of rest, and ends it. */
  comesTo(rest: Rest): Promise<void>
  resources: () => Promise<Resources>
  /** Whether what Reflash knew before it was killed is still there. */
  readonly remembers: boolean
  /** What was wrong with a start, at the moment when it reached its router. */
  readonly wrongStarts: readonly string[]
}

export type Rest = 'Converged' | 'Stuck'

export interface Changes {
  /** Devices that are left out. */
  without?: readonly string[]
  /** What the policy says otherwise. */
  policy?: Partial<UpgradePolicySpec>
}

export interface Resources {
  devices: Device[]
  operations: UpgradeOperation[]
}

export const whatMatters = (all: readonly AnyResource[]): Resources => ({
  devices: all.filter((object): object is Device => object.kind === 'Device'),
  operations: all.filter((object): object is UpgradeOperation => object.kind === 'UpgradeOperation'),
})

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
  // Longer than a start that nobody remembers keeps a router to itself: two minutes, as the routers live.
  retry: { preFlash: 30, backoff: '500ms', maxBackoff: '1s', quarantine: '24h' },
  offline: { action: 'Wait', recheck: '500ms', maxRecheck: '1s', expireAfter: '0s' },
  timeouts: defaultTimeouts,
}

const timings: FleetOptions['timings'] = {
  connectMs: 0,
  commandMs: 100,
  testMs: 1000,
  shutdownMs: 2000,
  startDiesMs: 1000,
  flashMs: 2000,
  rebootMs: 4000,
}

/** Routers that are still away when a process that was killed as they went down has been started again. */
export const slowReboot: Partial<FleetOptions> = { timings: { ...timings, rebootMs: 40_000 } }

/** Scarce routers, of which the last check before the start takes longer than a start may come after it was forbidden. */
export const slowTest: Partial<FleetOptions> = { ...scarce, timings: { ...timings, testMs: 25_000 } }

/** Two routers, unless told otherwise, that are to be served at addresses of their own. */
export const createWorldFleet = (options: Partial<FleetOptions>): Fleet =>
  createFleet({
    count: 2,
    seed: 'crash',
    clock: createFastClock(pace),
    addressOf: addressesOf((worlds += 1)),
    timings,
    ...options,
    policy: { ...policy, ...options.policy },
  })

export interface WatchedRouters {
  routers: readonly Router[]
  wrongStarts: readonly string[]
  /** When a start reached each router, by the clock of `performance`. */
  startedAtMs: readonly number[]
  /** Has `spring` called once, when a router gets as far as the point; the router waits for it. */
  setTrap: (trap: { point: Point; spring: () => Promise<void> } | undefined) => void
}

/** Routers that spring a trap, and before each start look whether its intent is there, in one of the homes. */
export function watchRouters(
  routers: readonly Router[],
  ...homes: readonly World['resources'][]
): WatchedRouters {
  const wrongStarts: string[] = []
  const startedAtMs: number[] = []
  let trap: Parameters<WatchedRouters['setTrap']>[0]

  const reached = async (when: Point['when'], name: string, nth: number): Promise<void> => {
    if (trap?.point.when !== when || trap.point.name !== name || (trap.point.nth ?? 1) !== nth) return
    const { spring } = trap
    trap = undefined
    await spring()
  }
  /** Of each router: how often it was told what, since the trap was set. */
  const counts = new Map<string, Map<string, number>>()
  const count = (router: string, name: string): number => {
    const known = counts.get(router) ?? new Map<string, number>()
    const nth = (known.get(name) ?? 0) + 1
    counts.set(router, known.set(name, nth))
    return nth
  }
  const watched = (router: Router): Router => {
    const open = (): Link => {
      const link = router.open()
      const run: Link['run'] = async (command, stdin) => {
        const name = nameOf(command) ?? 'unknown'
        const nth = count(router.name, name)
        if (name === 'guard') {
          startedAtMs.push(performance.now())
          const known = await Promise.all(homes.map((resources) => resources()))
          const faults = known.map((each) => faultsOfStart(each, router.name, command.slice(4)))
          if (!faults.some(({ length }) => length === 0)) wrongStarts.push(...faults.flat())
        }
        const running = link.run(command, stdin)
        if (name === 'guard' && trap?.point.when === 'arrived') {
          let isOver = false
          void running.finally(() => (isOver = true)).catch(() => {})
          await until('the guard is at work', () => router.state.guards > 0 || isOver)
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
  const setTrap: WatchedRouters['setTrap'] = (next) => {
    counts.clear()
    trap = next
  }
  return { routers: routers.map(watched), wrongStarts, startedAtMs, setTrap }
}

/** A start has to find its intent where that is kept, and the device claimed for it. */
export function faultsOfStart(
  { devices, operations }: Resources,
  device: string,
  [name = '', bootId = '']: readonly string[],
): string[] {
  const operation = operations.find(({ metadata }) => metadata.name === name)
  const claimedFor = devices.find(({ metadata }) => metadata.name === device)?.status.operationRef?.name
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

/** Up, or down for good. */
export const isBack = ({ state, history }: Router): boolean =>
  state.power === 'Up' || eventsOf(history, 'Fault').some(({ kind }) => kind === 'NoReturn')

/** Whether a router is up that was away when it was asked. */
export function isAnyUnseen({ routers }: Fleet, devices: readonly Device[]): boolean {
  const unseen = devices.filter(({ status }) =>
    ['NeverProbed', 'Unreachable'].includes(status.blocked?.reason ?? ''),
  )
  const names = new Set(unseen.map(({ metadata }) => metadata.name))
  return routers.some((router) => router.state.power === 'Up' && names.has(router.name))
}

/** Made by somebody without memory, before its device told that it has fallen back: held by that, and says so. */
export const isHeld = ({ status }: UpgradeOperation): boolean =>
  status.phase === 'Queued' && status.reason === 'RolledBack'
