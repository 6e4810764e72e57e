import { expect } from 'vitest'
import type { Router } from '../../src/simulator/router.ts'
import type { Figure } from '../support/figures.ts'
import { until } from '../support/until.ts'
import type { Met } from './running.ts'
import { expectRest, scenarios } from './scenarios.ts'
import { countViolations } from './violations.ts'
import { nameOfPoint, type Point, type World } from './world.ts'

/** When the last start may come after a stop: a promise to every operator. */
export const latestStartMs = 1000

const stopNames = ['HALT', 'Pause', 'Abort', 'SIGTERM'] as const
export type StopName = (typeof stopNames)[number]

/** A session, and a command. */
const undoneMs = 10_000
const hasItsServices = ({ state }: Router): boolean =>
  state.power === 'Down' || state.upgrading !== undefined || state.stoppedServices.length === 0

/** A way to stop all starts while a process is held at a point. */
export interface Stop<W extends World> {
  /** Tells it to stop; resolves when that is in force, with the time by the clock of `performance`. */
  begin(world: W, held: Met): Promise<number>
  /** Waits until nothing moves any more. */
  rests(world: W, held: Met, sinceMs: number): Promise<unknown>
  /** Allows starts again. */
  end(world: W): Promise<unknown>
}

/** On both sides of the last moment at which a start can be kept from happening. */
const nearStart = new Set(['test', 'phase Flashing', 'guard'])

/** The ways that are played at each point: all of them near the start, and elsewhere one at one point of three. */
const stopsAt = (point: Point, index: number): readonly StopName[] => {
  if (process.env['REFLASH_KILLS'] === 'all') return stopNames
  if (nearStart.has(point.name)) return point.nth === 1 ? stopNames : []
  return index % 3 === 0 ? [stopNames[(index / 3) % stopNames.length]!] : []
}
export const stopsAmong = (points: readonly Point[]): [StopName, string, Point][] =>
  points.flatMap((point, index) =>
    stopsAt(point, index).map((stop): [StopName, string, Point] => [stop, nameOfPoint(point), point]),
  )

/** After this it is asked once more whether a start is allowed. */
export const lastQuestion = { when: 'after', name: 'test', nth: 1 } as const satisfies Point

/** The same, with the process held until starts have to have stopped: what it was told before is not to be believed then. */
export const longAgo = <W extends World>(stop: Stop<W>): Stop<W> => ({
  ...stop,
  begin: async (world, held) => {
    const sinceMs = await stop.begin(world, held)
    await until('a stop that is in force', () => performance.now() - sinceMs > latestStartMs)
    return sinceMs
  },
})

interface StoppedWorld extends World {
  readonly startedAtMs: readonly number[]
}

/** The stops of one home of Reflash at some of its points, and their figures, whose names end in `where`. */
export function countStops(points: readonly Point[], where = '') {
  const latencies: number[] = []
  const { counted, violations } = countViolations()
  return {
    counted,
    /** Stops all starts while a process is held, lets it go on, and then everything come to rest. */
    play: async <W extends StoppedWorld>(world: W, held: Met, stop: Stop<W>): Promise<void> => {
      const sinceMs = await stop.begin(world, held)
      held.release()
      await stop.rests(world, held, sinceMs)
      const lateMs = Math.max(0, ...world.startedAtMs.map((atMs) => atMs - sinceMs))
      latencies.push(lateMs)
      expect(lateMs).toBeLessThanOrEqual(latestStartMs)
      // Nothing is left half-done: no services that are stopped, unless for a flash, and no flash that nobody looks after.
      // A leader that lives on writes its verdict before it undoes anything.
      await until('services that run', () => world.fleet.routers.every(hasItsServices), undoneMs)
      await stop.end(world)
      await expectRest(world, scenarios.plain)
    },
    figures: (): Figure[] => [
      { suite: 'stops', name: `points${where}`, value: points.length },
      { suite: 'stops', name: `stops${where}`, value: latencies.length },
      { suite: 'stops', name: `violations${where}`, value: violations(), goal: '0' },
      {
        suite: 'stops',
        name: `worst HALT latency${where}`,
        value: Math.round(Math.max(0, ...latencies)),
        unit: 'ms',
        goal: `at most ${latestStartMs}`,
      },
    ],
  }
}
