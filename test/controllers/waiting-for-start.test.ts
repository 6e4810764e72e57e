import { expect, test } from 'vitest'
import { createToyFleet } from '../support/toy-fleet.ts'

test('prepared devices that wait for a start connect again one by one', async () => {
  const world = await createToyFleet({
    routers: 12,
    policy: { limits: { maxConcurrent: 12, startsPerMinute: 2 } },
  })
  await world.declare()
  const app = await world.start()
  const routers = [...world.routers.values()]
  await world.clock.runUntil(() => routers.every(({ flashes }) => flashes.length === 1), 30 * 60_000)
  // Each: one probe, one preparation, one look or two, and for those that waited one more to start: not one for each try.
  expect(world.connects()).toBeLessThan(4 * routers.length)
  const times = routers.flatMap(({ flashes }) => flashes.map(({ at }) => at)).toSorted((a, b) => a - b)
  for (const [index, time] of times.entries()) {
    const later = times[index + 2]
    if (later !== undefined) expect(later - time).toBeGreaterThanOrEqual(60_000)
  }
  await app.stop()
})
