import { twoHoursMs } from '../crash/restarts.ts'
import type { Scenario } from '../crash/scenarios.ts'
import type { Point } from '../crash/world.ts'
import type { ClusterWorld } from './cluster-world.ts'

/** What befalls a leader at a point, and what the next one meets with. */
type ClusterRestart = (world: ClusterWorld, scenario: Scenario, point: Point) => Promise<void>

const killedAlone: ClusterRestart = async (world, scenario, point) => {
  await scenario.begin?.(world)
  await world.killAlone(point)
}

/** By name. In an order in which neighbours of a list of points meet with different ones. */
export const clusterRestarts = {
  'a standby takes over': async (world, scenario, point) => {
    await scenario.begin?.(world)
    await world.killAt(point)
  },
  'with nobody beside': killedAlone,
  /** Somebody puts back a backup of etcd, from before the operations. */
  'with the objects of an hour ago': async (world, scenario, point) => {
    const putBack = await world.backUp()
    // What is killed begins anew, so that it comes to every point.
    await world.forget()
    await world.declare()
    await killedAlone(world, scenario, point)
    await putBack()
  },
  'without its records': async (world, scenario, point) => {
    await killedAlone(world, scenario, point)
    await world.forgetRecords()
  },
  'with a clock two hours on': async (world, scenario, point) => {
    await killedAlone(world, scenario, point)
    world.setClockAhead(twoHoursMs)
  },
  'with a clock two hours back': async (world, scenario, point) => {
    await killedAlone(world, scenario, point)
    world.setClockAhead(-twoHoursMs)
  },
} satisfies Record<string, ClusterRestart>

export type ClusterRestartName = keyof typeof clusterRestarts
