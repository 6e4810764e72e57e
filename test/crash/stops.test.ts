/**
 * The real process, told to start nothing at one point after the other: by HALT, by `Pause` and `Abort` in the policy's
 * file, by SIGTERM. No start reaches a router more than a second later, what is under way ends as it would, no router is
 * left without services that were stopped for its image, and when starts are allowed again everything comes to rest and
 * no router is flashed twice. Near the start each point has every way, elsewhere one point of three has one;
 * REFLASH_KILLS=all plays every way at each point.
 */
import { afterAll, describe, test, vi } from 'vitest'
import { recordFigure } from '../support/figures.ts'
import { scarce } from '../support/scarce.ts'
import { points } from './points.ts'
import { standaloneStops } from './standalone-stops.ts'
import { withWorld } from './standalone-world.ts'
import { countStops, lastQuestion, longAgo, stopsAmong } from './stops.ts'
import { slowTest } from './world.ts'

vi.setConfig({ maxConcurrency: 10, testTimeout: 120_000 })

describe.concurrent('told to start nothing', () => {
  const { counted, play, figures } = countStops(points.plain)
  afterAll(() => {
    for (const figure of figures()) recordFigure(figure)
  })

  test.each(stopsAmong(points.plain))('by %s, %s', (name, _, point) =>
    counted(() =>
      withWorld(slowTest, async (world) => {
        const held = await world.meetAt(point, 'held')
        await play(world, held, standaloneStops[name])
      }),
    ),
  )

  test('by HALT, a second before it asks', () =>
    counted(() =>
      withWorld(scarce, async (world) => {
        await play(world, await world.meetAt(lastQuestion, 'held'), longAgo(standaloneStops.HALT))
      }),
    ))
})
