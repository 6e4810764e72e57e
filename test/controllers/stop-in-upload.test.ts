import { expect, test } from 'vitest'
import { createToyFleet } from '../support/toy-fleet.ts'

test('a process that is stopped in an upload leaves the services of the device running', async () => {
  const world = await createToyFleet({ routers: 1, uploadMs: 10 * 60_000 })
  await world.declare()
  const first = await world.start()
  const router = world.router(1)
  await world.clock.runUntil(() => router.stoppedServices, 10 * 60_000)
  await first.stop()
  expect(router.stoppedServices).toBe(false)
  expect(router.flashes).toEqual([])
  const second = await world.start()
  await world.clock.runUntil(() => router.release === 'new', 60 * 60_000)
  expect(router.flashes).toHaveLength(1)
  await second.stop()
})
