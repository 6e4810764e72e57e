import { expect } from 'vitest'
import type { FleetOptions } from '../../src/simulator/fleet.ts'
import { endsWell } from './running.ts'
import { expectFlashedOnce, type Scenario } from './scenarios.ts'
import type { StandaloneWorld } from './standalone-world.ts'
import { slowReboot, type Point } from './world.ts'

/** What befalls a process at a point, and what it is restarted with. */
export type Restart = (world: StandaloneWorld, scenario: Scenario, point: Point) => Promise<void>

export const twoHoursMs = 2 * 3_600_000

const killed: Restart = async (world, scenario, point) => {
  await scenario.begin?.(world)
  await world.killAt(point)
}

/** By name. In an order in which neighbours of a list of points meet with different ones. */
export const restarts = {
  plain: killed,
  /** Somebody puts back a backup, from before the operations. */
  'with a state of an hour ago': async (world, scenario, point) => {
    await world.declare({ policy: { state: 'Pause' } })
    await world.comesTo('Stuck')
    const putBack = await world.backUp()
    // What is killed begins anew, so that it comes to every point.
    await world.forget()
    await world.declare()
    await killed(world, scenario, point)
    await putBack()
  },
  'without its state': async (world, scenario, point) => {
    await killed(world, scenario, point)
    await world.forget()
  },
  /** It only stands still while another one, which knows nothing of it, does the work; then it wakes up. */
  'while a second one works': async (world, scenario, point) => {
    await scenario.begin?.(world)
    const first = await world.meetAt(point, 'stopped')
    try {
      let ending = await world.finishElsewhere()
      // To somebody without state a router that is away does not answer, and a run does not wait for that.
      for (let runs = 1; runs < 8 && ending.kind !== scenario.ending; runs += 1)
        ending = await world.finishElsewhere()
      expect(ending.kind, JSON.stringify(ending)).toBe(scenario.ending)
    } finally {
      first.release()
    }
    await endsWell(first)
    expectFlashedOnce(world, scenario.starts)
  },
  'with a clock two hours on': async (world, scenario, point) => {
    await killed(world, scenario, point)
    world.setClockAhead(twoHoursMs)
  },
  'with a clock two hours back': async (world, scenario, point) => {
    await killed(world, scenario, point)
    world.setClockAhead(-twoHoursMs)
  },
} satisfies Record<string, Restart>

export type RestartName = keyof typeof restarts

/** What the routers of a world are like, for a restart to be worth it. */
export const optionsOf = (restart: string, { options = {} }: Scenario): Partial<FleetOptions> =>
  restart.startsWith('with a clock') ? { ...options, ...slowReboot } : options
