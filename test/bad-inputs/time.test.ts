import { describe, expect, test } from 'vitest'
import type { Phase } from '../../src/api/resources.ts'
import { createToyFleet } from '../support/toy-fleet.ts'
import { takeFigures } from './tally.ts'

type World = Awaited<ReturnType<typeof createToyFleet>>

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs
const yearMs = 365 * dayMs

const flashes = (world: World): number[] => [...world.routers.values()].map((router) => router.flashes.length)
const phases = async (world: World): Promise<(Phase | undefined)[]> =>
  (await world.store.list('UpgradeOperation')).items.map(({ status }) => status.phase)
const bugs = (world: World): unknown[] => world.events.filter(({ type }) => type === 'Bug')

/** Runs a fleet of one router for a while, stops, and runs it once more: there is one flash, or none. */
async function playTwice(world: World, ms: number): Promise<void> {
  for (let run = 0; run < 2; run += 1) {
    const app = await world.start()
    await world.clock.advance(ms)
    await app.stop()
  }
  expect(bugs(world)).toEqual([])
}

const figures = takeFigures('time', 10)

describe('B27: a router that', () => {
  test('still answers from its old system while it goes down is judged by the new one', async () => {
    const world = await createToyFleet({ routers: 1, lingerMs: 20_000 })
    await world.declare()
    await playTwice(world, 30 * minuteMs)
    expect(await phases(world)).toEqual(['Succeeded'])
    expect(flashes(world)).toEqual([1])
    figures.noteCase()
  })

  test('returns with its configuration lost is flashed no second time, and a person is told', async () => {
    const world = await createToyFleet({ routers: 1 })
    const router = world.router(1)
    await world.declare()
    const app = await world.start()
    await world.clock.runUntil(() => router.flashes.length === 1, 10 * minuteMs)
    router.refuseLogin = true
    await world.clock.advance(2 * 60 * minuteMs)
    await app.stop()
    expect(await phases(world)).toEqual(['Failed'])
    const [device] = (await world.store.list('Device')).items
    expect(device!.status.blocked).toMatchObject({ reason: 'AuthFailed' })
    await playTwice(world, dayMs)
    expect(flashes(world)).toEqual([1])
    figures.noteCase()
  })

  test('returns after 20 days was lost, and has then succeeded after all', async () => {
    const world = await createToyFleet({ routers: 1 })
    world.router(1).rebootMs = 20 * dayMs
    await world.declare()
    const app = await world.start()
    await world.clock.advance(dayMs)
    expect(await phases(world)).toEqual(['Failed'])
    const [operation] = (await world.store.list('UpgradeOperation')).items
    expect(operation!.status.failureClass).toBe('Lost')
    await world.clock.advance(21 * dayMs)
    await app.stop()
    expect(await phases(world)).toEqual(['Succeeded'])
    expect(flashes(world)).toEqual([1])
    figures.noteCase()
  })
})

describe('B30: a clock', () => {
  test.each([
    ['in 1970', -56 * yearMs],
    ['ten years ahead', 10 * yearMs],
  ])(
    '%s from the start upgrades each device once, and so it stays when it is put right',
    async (_, offMs) => {
      const world = await createToyFleet({
        routers: 2,
        policy: { limits: { maxConcurrent: 1, startsPerMinute: 1 } },
      })
      world.clock.jump(offMs)
      await world.declare()
      await playTwice(world, 30 * minuteMs)
      expect(flashes(world)).toEqual([1, 1])
      world.clock.jump(-offMs)
      await playTwice(world, 2 * dayMs)
      expect(flashes(world)).toEqual([1, 1])
      figures.noteCase()
    },
  )

  test.each([
    ['back to 1970', -56 * yearMs],
    ['back by an hour', -60 * minuteMs],
    ['ten years ahead', 10 * yearMs],
  ])(
    'that jumps %s while a device is flashed judges it all the same, and lets the next one start',
    async (_, offMs) => {
      const world = await createToyFleet({
        routers: 2,
        policy: { limits: { maxConcurrent: 1, startsPerMinute: 1 } },
      })
      await world.declare()
      const app = await world.start()
      await world.clock.runUntil(() => flashes(world).includes(1), 10 * minuteMs)
      world.clock.jump(offMs)
      await world.clock.advance(minuteMs * 30)
      expect(flashes(world)).toEqual([1, 1])
      await app.stop()
      expect(await phases(world)).toEqual(['Succeeded', 'Succeeded'])
      expect(bugs(world)).toEqual([])
      figures.noteCase()
    },
  )

  test('that was ten years ahead does not keep a failed attempt from being tried again when it is put right', async () => {
    const world = await createToyFleet({ routers: 1 })
    world.router(1).failUploads = 1
    world.clock.jump(10 * yearMs)
    await world.declare()
    const app = await world.start()
    await world.clock.runUntil(() => world.router(1).failUploads === 0, 10 * minuteMs)
    world.clock.jump(-10 * yearMs)
    await world.clock.advance(60 * minuteMs)
    await app.stop()
    expect(flashes(world)).toEqual([1])
    figures.noteCase()
  })

  test('is of no account while HALT is there at boot: nothing starts, the devices are looked at, and all is well when it goes', async () => {
    const world = await createToyFleet({ routers: 2 })
    world.halt('state.db.HALT exists; remove it to allow starts again')
    await world.declare()
    const app = await world.start()
    await world.clock.advance(dayMs)
    figures.noteStarts(flashes(world).filter((count) => count > 0).length)
    expect(flashes(world)).toEqual([0, 0])
    for (const { status } of (await world.store.list('Device')).items) expect(status.board).toBe('toy')
    world.halt(undefined)
    await world.clock.advance(10 * minuteMs)
    expect(flashes(world)).toEqual([1, 1])
    await app.stop()
    figures.noteCase()
  })
})
