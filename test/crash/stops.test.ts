/**
 * The real process, told to start nothing at one point after the other: by HALT, by `Pause` and `Abort` in the policy's
 * file, by SIGTERM. No start reaches a router more than a second later, what is under way ends as it would, and when
 * starts are allowed again everything comes to rest and no router is flashed twice. Near the start each point has every
 * way, elsewhere one point of three has one; REFLASH_KILLS=all plays every way at each point.
 */
import { afterAll, describe, expect, test, vi } from 'vitest'
import { recordFigure } from '../support/figures.ts'
import { points } from './points.ts'
import { endsWell } from './running.ts'
import { expectRest, scenarios } from './scenarios.ts'
import { withWorld } from './standalone-world.ts'
import { stops, type StopName } from './stops.ts'
import { nameOfPoint, slowTest, type Point } from './world.ts'

const limitMs = 120_000
/** As DESIGN promises. */
const latestStartMs = 1000
vi.setConfig({ maxConcurrency: 10 })

const stopNames = Object.keys(stops) as StopName[]
/** On both sides of the last moment at which a start can be kept from happening. */
const nearStart = new Set(['test', 'phase Flashing', 'guard'])
const stopsAt = (point: Point, index: number): readonly StopName[] => {
  if (process.env['REFLASH_KILLS'] === 'all') return stopNames
  if (nearStart.has(point.name)) return point.nth === 1 ? stopNames : []
  return index % 3 === 0 ? [stopNames[(index / 3) % stopNames.length]!] : []
}
const cases = points.plain.flatMap((point, index) =>
  stopsAt(point, index).map((stop): [StopName, string, Point] => [stop, nameOfPoint(point), point]),
)

describe.concurrent('told to start nothing', () => {
  const latencies: number[] = []
  let violations = 0
  afterAll(() => {
    const suite = 'stops'
    recordFigure({ suite, name: 'stops', value: latencies.length })
    recordFigure({ suite, name: 'violations', value: violations, goal: '0' })
    recordFigure({
      suite,
      name: 'worst HALT latency',
      value: Math.round(Math.max(0, ...latencies)),
      unit: 'ms',
      goal: `at most ${latestStartMs}`,
    })
  })

  test.each(cases)('by %s, %s', { timeout: limitMs }, async (name, _, point) => {
    violations += 1
    await withWorld(slowTest, async (world) => {
      const held = await world.meetAt(point, 'held')
      const stop = stops[name]
      const sinceMs = await stop.begin(world, held)
      held.release()
      await endsWell(held)
      const lateMs = Math.max(0, ...world.startedAtMs.map((atMs) => atMs - sinceMs))
      expect(lateMs).toBeLessThanOrEqual(latestStartMs)
      latencies.push(lateMs)
      // Nothing is left half-done: neither services that are stopped nor a flash that nobody looks after.
      for (const { name: router, state } of world.fleet.routers)
        if (state.power === 'Up') expect(state.stoppedServices, router).toEqual([])
      await stop.end(world)
      await expectRest(world, scenarios.plain)
    })
    violations -= 1
  })
})
