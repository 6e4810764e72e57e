import { expect, test } from 'vitest'
import type { Kind, KindMap } from '../../src/api/resources.ts'
import { createToyFleet } from '../support/toy-fleet.ts'

const minuteMs = 60_000
type World = Awaited<ReturnType<typeof createToyFleet>>

/** Up to where half of an image is on the device. */
async function upToUpload(
  settings: { writesDurableOnly?: boolean } = {},
): Promise<World & { stop: () => Promise<void> }> {
  const world = await createToyFleet({ routers: 1, uploadMs: 10 * minuteMs, settings })
  await world.declare()
  const { stop } = await world.start()
  await world.clock.runUntil(() => world.router(1).stoppedServices, 10 * minuteMs)
  await world.clock.advance(5000)
  return { ...world, stop }
}

/** Changes what is declared of the only one of its kind. */
async function edit<K extends Kind>({ store }: World, kind: K, spec: Partial<KindMap[K]['spec']>) {
  const object = (await store.list(kind)).items[0]!
  await store.apply({ ...object, spec: { ...object.spec, ...spec } })
}

test('a process that is stopped in an upload leaves the services of the device running', async () => {
  const { stop, ...world } = await upToUpload()
  const router = world.router(1)
  await stop()
  expect(router.stoppedServices).toBe(false)
  expect(router.flashes).toEqual([])
  const second = await world.start()
  await world.clock.runUntil(() => router.release === 'new', 60 * 60_000)
  expect(router.flashes).toHaveLength(1)
  await second.stop()
})

test.each<[string, (world: World) => Promise<void>]>([
  ['its policy is aborted', (world) => edit(world, 'UpgradePolicy', { state: 'Abort' })],
  ['it is held', (world) => edit(world, 'Device', { hold: { reason: 'somebody is there' } })],
  ['it is removed', ({ store }) => store.delete('Device', { namespace: 'default', name: 'ap-1' })],
  ['it is cancelled', (world) => edit(world, 'UpgradeOperation', { cancel: true })],
  [
    'one wish to cancel follows the other',
    async (world) => {
      const [device] = (await world.store.list('Device')).items
      await edit(world, 'UpgradePolicy', { state: 'Abort' })
      // Within the turn that is about to cancel it, wherever that is.
      for (let turns = 0; turns < 20; turns += 1) {
        await Promise.resolve()
        await world.store.apply({ ...device!, spec: { ...device!.spec, hold: { reason: `${turns}` } } })
      }
    },
  ],
])('a device to which an image is sent has its services back at once when %s', async (_says, order) => {
  for (const writesDurableOnly of [false, true]) {
    const { stop, ...world } = await upToUpload({ writesDurableOnly })
    await order(world)
    await world.clock.runUntil(() => !world.router(1).stoppedServices, 5000)
    // By the operation itself, and not by whoever finds them stopped.
    const told = world.events.map((event) => (event.type === 'Log' ? event.line : ''))
    expect(told).toContainEqual(expect.stringContaining('what was prepared on the device is undone'))
    expect(world.router(1).flashes).toEqual([])
    await stop()
  }
})

test('a device that could not be undone is looked at soon', async () => {
  const { stop, ...world } = await upToUpload()
  world.router(1).failAbandons = 1
  await edit(world, 'UpgradePolicy', { state: 'Abort' })
  await world.clock.runUntil(() => !world.router(1).stoppedServices, 5000)
  expect(world.router(1).failAbandons).toBe(0)
  await stop()
})

test('the first look at a device whose claim is stale puts back what is left on it', async () => {
  const { stop, ...world } = await upToUpload()
  await stop()
  const { store, clock } = world
  // Whoever gave up the upload died before it could undo anything.
  const [operation] = (await store.list('UpgradeOperation')).items
  await store.saveStatus({ ...operation!, status: { ...operation!.status, phase: 'Cancelled' } })
  await edit(world, 'UpgradePolicy', { state: 'Pause' })
  world.router(1).stoppedServices = true
  expect((await store.list('Device')).items[0]!.status.operationRef).toBeDefined()
  const next = await world.start()
  await clock.runUntil(() => !world.router(1).stoppedServices, 5000)
  await next.stop()
})
