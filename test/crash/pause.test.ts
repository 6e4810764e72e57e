/**
 * The real process, stopped as by SIGSTOP at one point after the other for longer than a start is valid and a router may
 * be away, and then woken with every timer late: it starts nothing by what it knew before, no router is flashed twice,
 * and what it says in the end is right. Some of the points; REFLASH_KILLS=all plays every one.
 */
import { afterAll, describe, expect, test, vi } from 'vitest'
import { eventsOf } from '../../src/simulator/history.ts'
import { recordFigure } from '../support/figures.ts'
import { until } from '../support/until.ts'
import { points } from './points.ts'
import { endsWell } from './running.ts'
import { expectRest, scenarios } from './scenarios.ts'
import { withWorld } from './standalone-world.ts'
import { countViolations } from './violations.ts'
import { defaultTimeouts, nameOfPoint, type Point } from './world.ts'

const limitMs = 120_000
vi.setConfig({ maxConcurrency: 12 })

/** How long a start is valid by the time of the routers, which is ten times as fast, and how long one may be away. */
const [flash, reboot] = ['20s', '4s']
const standsStillMs = 4500

/** Where a start is near or under way, and of the rest one of eight. */
const isNearStart = ({ name, when, nth = 1 }: Point): boolean =>
  name === 'guard' ||
  when === 'during' ||
  (nth === 1 && /^phase (Flashing|Rebooting|Succeeded)$/.test(name)) ||
  (nth === 3 && name === 'probe')
const chosen = (point: Point, index: number): boolean =>
  process.env['REFLASH_KILLS'] === 'all' || isNearStart(point) || index % 8 === 0
const cases = points.plain.filter(chosen).map((point): [string, Point] => [nameOfPoint(point), point])

describe.concurrent('stopped for a while', () => {
  let pauses = 0
  const { counted, violations } = countViolations()
  afterAll(() => {
    const suite = 'pause'
    recordFigure({ suite, name: 'pauses of the standalone program', value: pauses })
    recordFigure({ suite, name: 'double starts and wrong verdicts', value: violations(), goal: '0' })
  })

  const options = { policy: { timeouts: { ...defaultTimeouts, flash, reboot } } }

  test.each(cases)('%s', { timeout: limitMs }, async (_, point) => {
    await counted(() =>
      withWorld(options, async (world) => {
        const stopped = await world.meetAt(point, 'stopped')
        const sinceMs = performance.now()
        await until('all limits have passed', () => performance.now() - sinceMs > standsStillMs)
        stopped.release()
        await endsWell(stopped)
        const { operations } = await world.resources()
        expect(operations.map(({ status }) => status.phase)).toEqual(['Succeeded', 'Succeeded'])
        await expectRest(world, scenarios.plain)
      }),
    )
    pauses += 1
  })

  test('while it knocks at a router that is away', { timeout: limitMs }, async () => {
    await counted(() =>
      withWorld({ ...options, count: 1 }, async (world) => {
        const [router] = world.fleet.routers
        const stopped = await world.stopWhen(
          'the router is down',
          () => eventsOf(router!.history, 'WentDown').length > 0,
        )
        const sinceMs = performance.now()
        await until('all limits have passed', () => performance.now() - sinceMs > standsStillMs)
        stopped.release()
        await endsWell(stopped)
        const { operations } = await world.resources()
        // Lost for a moment would be wrong as well: five of those stop a fleet.
        expect(operations.map(({ status }) => [status.phase, status.times?.Failed])).toEqual([
          ['Succeeded', undefined],
        ])
        await expectRest(world, scenarios.plain)
      }),
    )
    pauses += 1
  })
})
