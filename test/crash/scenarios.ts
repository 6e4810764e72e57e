import { expect } from 'vitest'
import type { UpgradeOperation } from '../../src/api/resources.ts'
import { isFinished } from '../../src/core/operation.ts'
import type { FleetOptions } from '../../src/simulator/fleet.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { until } from '../support/until.ts'
import type { ScenarioName } from './points.ts'
import { defaultTimeouts, flashesOf, isHeld, target, type Rest, type World } from './world.ts'

export interface Scenario {
  options?: Partial<FleetOptions>
  /** What has happened before the run that is killed. */
  begin?: (world: World) => Promise<void>
  /** How a run that is not killed ends. */
  ending: Rest
  /** Of these routers the first is not brought to the target. */
  firstStays?: boolean
  /** Starts that one operation may take. */
  starts: number
  /** What happens when all has come to rest, with its own expectations. */
  end?: (world: World) => Promise<void>
}

const removed = 'ap-001'

/** The first router with the given fault. */
const withFault =
  (...faults: [...Parameters<World['fleet']['routers'][number]['inject']>][]) =>
  async ({ fleet }: World): Promise<void> => {
    for (const [fault, times] of faults) fleet.routers[0]!.inject(fault, times)
  }

export const scenarios: Record<ScenarioName, Scenario> = {
  plain: { ending: 'Converged', starts: 1 },
  scarce: {
    // The first sight, the check and the preparation of the upload each find as little.
    begin: withFault([{ kind: 'LowMemory', availableBytes: 4 * 2 ** 20 }, 3], [{ kind: 'UploadCorrupted' }]),
    ending: 'Converged',
    starts: 1,
  },
  dies: { begin: withFault([{ kind: 'StartDies' }]), ending: 'Converged', starts: 2 },
  old: { options: { releases: [knownReleases['15.05.1']] }, ending: 'Converged', starts: 1 },
  'falls back': {
    begin: withFault([{ kind: 'RolledBack' }]),
    ending: 'Stuck',
    firstStays: true,
    starts: 1,
    end: async (world) => {
      const { devices, operations } = await world.resources()
      const held = operations.filter(isHeld).map(({ spec }) => spec.deviceRef.name)
      if (held.length > 0) {
        expect(world.remembers).toBe(false)
        expect(held).toEqual([devices[0]!.metadata.name])
      }
      const first = held.length > 0 ? 'Upgrading' : 'RolledBack'
      expect(devices.map(({ status }) => status.blocked?.reason)).toEqual([first, undefined])
      // What waits for a person goes on once the person says so, whoever waits: the device or an operation.
      await world.declare({ policy: { retryToken: 'again' } })
      await world.comesTo('Converged')
      expect(world.wrongStarts).toEqual([])
      const written = world.fleet.routers.map((router) => Object.values(flashesOf(router).written))
      expect(written).toEqual([[1, 1], [1]])
      for (const { name, state } of world.fleet.routers)
        expect(state.release.revision, name).toBe(target.revision)
    },
  },
  lost: {
    // Twice as long as the slowest reboot of those that come back.
    options: { policy: { timeouts: { ...defaultTimeouts, reboot: '8s' } } },
    begin: withFault([{ kind: 'NoReturn' }]),
    ending: 'Stuck',
    firstStays: true,
    starts: 1,
    end: async (world) => {
      const { operations } = await world.resources()
      // Who knows of no start waits for a router that does not answer.
      if (world.remembers)
        expect(operations.map(({ status }) => status.failureClass)).toEqual(['Lost', undefined])
      // It was written and only did not boot: somebody helps, and the verdict is corrected.
      const [router] = world.fleet.routers
      router!.powerCycle()
      await until('it has booted', () => router!.state.power === 'Up')
      await world.comesTo('Converged')
      const corrected = (await world.resources()).operations
      for (const { status } of corrected) expect(status.phase).toBe('Succeeded')
      if (world.remembers) expect(corrected).toHaveLength(2)
      expectFlashedOnce(world, 1)
    },
  },
  removed: {
    begin: async (world) => {
      await world.comesTo('Converged')
      await world.declare({ without: [removed] })
    },
    ending: 'Converged',
    starts: 1,
    end: async (world) => {
      const { devices } = await world.resources()
      expect(devices.map(({ metadata }) => metadata.name)).toEqual(['ap-002'])
      await world.declare()
      await world.comesTo('Converged')
      expectFlashedOnce(world, 1)
    },
  },
  returned: {
    begin: async (world) => {
      await world.comesTo('Converged')
      await world.declare({ without: [removed] })
      await world.comesTo('Converged')
      await world.declare()
    },
    ending: 'Converged',
    starts: 1,
    end: async (world) => {
      const { devices } = await world.resources()
      for (const { status } of devices) expect(status.identity).toMatch(/./)
    },
  },
}

/** Of all that really happened to the routers: no operation wrote twice, none was started more often than it may be. */
export function expectFlashedOnce({ fleet, wrongStarts }: World, starts: number): void {
  expect(wrongStarts).toEqual([])
  for (const router of fleet.routers) {
    const { started, written } = flashesOf(router)
    expect(Object.values(written), `${router.name} was written`).toEqual([1])
    for (const count of Object.values(started))
      expect(count, `${router.name} was started`).toBeLessThanOrEqual(starts)
  }
}

/** What has to be so when a run has ended by itself, whatever was killed before it. */
export async function expectRest(world: World, scenario: Scenario): Promise<void> {
  await world.comesTo(scenario.ending)
  expectFlashedOnce(world, scenario.starts)
  for (const [index, { name, state }] of world.fleet.routers.entries()) {
    const stays = index === 0 && scenario.firstStays === true
    if (!stays) expect(state.release.revision, name).toBe(target.revision)
    expect(state.stoppedServices, name).toEqual([])
    if (state.power === 'Up') expect(state.files.size, `${name}: files left in /tmp`).toBe(0)
  }
  const { devices, operations } = await world.resources()
  expect(devices.flatMap(({ status }) => status.operationRef ?? [])).toEqual([])
  const isOver = (operation: UpgradeOperation): boolean =>
    isFinished(operation) || (!world.remembers && isHeld(operation))
  const unfinished = operations.filter((operation) => !isOver(operation))
  expect(unfinished.map(({ metadata, status }) => `${metadata.name}: ${JSON.stringify(status)}`)).toEqual([])
  await scenario.end?.(world)
}
