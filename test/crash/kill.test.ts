/**
 * The real process, killed with SIGKILL at one point after the other, against routers that live on: whatever was cut off
 * where, the next run brings the fleet to rest and no router is flashed twice.
 */
import { describe, expect, test, vi } from 'vitest'
import { coalesced, points, type ScenarioName } from './points.ts'
import { expectRest, scenarios } from './scenarios.ts'
import { said, withWorld } from './standalone-world.ts'
import { nameOfPoint, type Point } from './world.ts'

const names = Object.keys(points) as ScenarioName[]
/** A start that never happened is proven by the uptime alone, and the routers' minutes take a while here too. */
const limitMs = 120_000

// Nearly all of it is waiting for routers that reboot.
vi.setConfig({ maxConcurrency: 10 })

for (const name of names) {
  const scenario = scenarios[name]
  describe.concurrent(`${name}: killed`, () => {
    test.each(points[name].map((point): [string, Point] => [nameOfPoint(point), point]))(
      '%s',
      { timeout: limitMs },
      async (_, point) => {
        await withWorld(scenario.options ?? {}, async (world) => {
          await scenario.begin?.(world)
          await world.killAt(point)
          await expectRest(world, scenario)
        })
      },
    )
  })
}

describe.concurrent('the list of points', () => {
  const listed = new Set(names.flatMap((name) => points[name].map((point) => point.name)))

  test.each(names)(
    'has every write and every command that occurs in "%s"',
    { timeout: limitMs },
    async (name) => {
      const scenario = scenarios[name]
      await withWorld(scenario.options ?? {}, async (world) => {
        await scenario.begin?.(world)
        const ended = await world.run()
        expect(ended, said(ended)).toMatchObject({ signal: null, code: 0 })
        const occurred = new Set(ended.lines.flatMap((line) => line.name ?? []))
        expect([...occurred].filter((each) => !listed.has(each) && !coalesced.has(each))).toEqual([])
        expect(points[name].filter((point) => !occurred.has(point.name))).toEqual([])
      })
    },
  )
})
