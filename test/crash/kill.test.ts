/**
 * The real process, killed with SIGKILL at one point after the other, against routers that live on: whatever was cut off
 * where, and whatever the next run knows, that brings the fleet to rest and no router is flashed twice. Each point has
 * one of the restarts, the start of a flash every one; REFLASH_KILLS=all plays every restart at each point.
 */
import { afterAll, describe, expect, test, vi } from 'vitest'
import { recordFigure } from '../support/figures.ts'
import { coalesced, points, type ScenarioName } from './points.ts'
import { optionsOf, restarts, type RestartName } from './restarts.ts'
import { said } from './running.ts'
import { expectRest, scenarios } from './scenarios.ts'
import { withWorld } from './standalone-world.ts'
import { countViolations } from './violations.ts'
import { nameOfPoint, type Point } from './world.ts'

const names = Object.keys(points) as ScenarioName[]
const restartNames = Object.keys(restarts) as RestartName[]
/** A start that never happened is proven by the uptime alone, and the routers' minutes take a while here too. */
const limitMs = 120_000

// Nearly all of it is waiting for routers that reboot.
vi.setConfig({ maxConcurrency: 10 })

const all = names.flatMap((name) => points[name].map((point): [ScenarioName, Point] => [name, point]))

/** Every restart where a flash starts or all are asked for, and elsewhere one after the other. */
const restartsAt = (point: Point, index: number): readonly RestartName[] =>
  process.env['REFLASH_KILLS'] === 'all' || point.name === 'guard'
    ? restartNames
    : [restartNames[index % restartNames.length]!]

const cases = all.flatMap(([name, point], index) =>
  restartsAt(point, index).map((restart): [RestartName, ScenarioName, string, Point] => [
    restart,
    name,
    nameOfPoint(point),
    point,
  ]),
)

describe.concurrent('killed and restarted', () => {
  let kills = 0
  const { counted, violations } = countViolations()
  afterAll(() => {
    const suite = 'crash'
    recordFigure({ suite, name: 'points of the standalone program', value: all.length })
    recordFigure({ suite, name: 'kills of the standalone program', value: kills })
    recordFigure({ suite, name: 'violations', value: violations(), goal: '0' })
  })

  test.each(cases)('%s: %s, %s', { timeout: limitMs }, (restart, name, _, point) => {
    const scenario = scenarios[name]
    return counted(() =>
      withWorld(optionsOf(restart, scenario), async (world) => {
        await restarts[restart](world, scenario, point)
        kills += 1
        await expectRest(world, scenario)
      }),
    )
  })
})

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
