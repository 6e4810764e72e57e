import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { createToyFleet, type ToyRouter } from '../support/toy-fleet.ts'

type World = Awaited<ReturnType<typeof createToyFleet>>

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
  expectRate(routers, 2)
  await app.stop()
})

test('routers that upload for longer than a minute do not keep each other from starting', async () => {
  const world = await createToyFleet({
    routers: 4,
    policy: { limits: { maxConcurrent: 4, startsPerMinute: 1 } },
    uploadMs: 110_000,
  })
  await world.declare()
  const app = await world.start()
  const routers = [...world.routers.values()]
  await world.clock.runUntil(() => routers.every(({ flashes }) => flashes.length === 1), 60 * 60_000)
  expectRate(routers, 1)
  // A parked one uploads once more, when its start is kept for it.
  for (const { uploads } of routers) expect(uploads).toBeLessThanOrEqual(2)
  await app.stop()
})

test('a start whose intent took long to be stored counts from when it was made', async () => {
  // Its clock only stamps creations.
  const memory = createMemoryStore({ clock: createManualClock(Date.parse('2026-01-01T00:00:00Z')) })
  let intents = 0
  const store: DeclaredStore = {
    ...memory,
    async saveStatus(object) {
      const saved = await memory.saveStatus(object)
      const isIntent = saved.kind === 'UpgradeOperation' && saved.status.phase === 'Flashing'
      if (isIntent && (intents += 1) % 2 === 1) await world.clock.sleep(20_000)
      return saved
    },
  }
  const world: World = await createToyFleet({
    routers: 6,
    store,
    policy: { limits: { maxConcurrent: 6, startsPerMinute: 1 } },
  })
  await world.declare()
  const app = await world.start()
  const routers = [...world.routers.values()]
  await world.clock.runUntil(() => routers.every(({ flashes }) => flashes.length === 1), 30 * 60_000)
  expectRate(routers, 1)
  await app.stop()
})

test.each([
  ['an hour', 3_600_000],
  ['a second', 1000],
])(
  'a start counts when the wall clock is set back by %s and the controller begins anew',
  async (_, backMs) => {
    const world = await createToyFleet({
      routers: 3,
      policy: { limits: { maxConcurrent: 3, startsPerMinute: 1 } },
    })
    await world.declare()
    const routers = [...world.routers.values()]
    const flashed = (): number => routers.filter(({ flashes }) => flashes.length === 1).length
    const first = await world.start()
    await world.clock.runUntil(() => flashed() === 1, 10 * 60_000)
    await first.stop()
    world.clock.jump(-backMs)
    const second = await world.start()
    await world.clock.runUntil(() => flashed() === 3, 10 * 60_000)
    expectRate(routers, 1)
    await second.stop()
  },
)

/** No minute saw more flashes than these. */
function expectRate(routers: readonly ToyRouter[], perMinute: number): void {
  const times = routers.flatMap(({ flashes }) => flashes.map(({ at }) => at)).toSorted((a, b) => a - b)
  for (const [index, time] of times.entries()) {
    const later = times[index + perMinute]
    if (later !== undefined) expect(later - time).toBeGreaterThanOrEqual(60_000)
  }
}
