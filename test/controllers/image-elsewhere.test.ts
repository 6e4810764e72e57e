/** An image may be Ready because another process has fetched it: this one still has to, and no device is to blame. */
import { expect, test } from 'vitest'
import { standing } from '../../src/controllers/settled.ts'
import { ReflashError } from '../../src/core/errors.ts'
import { createToyFleet, imageDigest } from '../support/toy-fleet.ts'

const image = { sha256: imageDigest, sizeBytes: 1000 }
const anotherDigest = 'cd'.repeat(32)
const hourMs = 60 * 60_000

type Images = NonNullable<Parameters<typeof createToyFleet>[0]['images']>

/** One router, whose image every process finds at once until `images` says otherwise. */
async function createWorld(images: Images, options: { uploadMs?: number } = {}) {
  const world = await createToyFleet({ routers: 1, images, ...options })
  await world.declare()
  const router = world.router(1)
  const status = async () => (await world.store.list('UpgradeOperation')).items[0]!.status
  return {
    world,
    router,
    status,
    succeeds: async (): Promise<void> => {
      await world.clock.runUntil(() => router.release === 'new', hourMs)
      await world.clock.advance(60_000)
      expect(await status()).toMatchObject({ phase: 'Succeeded', attempts: 1 })
      expect(router.flashes).toHaveLength(1)
    },
  }
}

/** The same with a server that takes its time, from when that is said. */
async function createSlowWorld(options: { uploadMs?: number } = {}) {
  let fetchMs = 0
  const fetch = async () => {
    await made.world.clock.sleep(fetchMs)
    return image
  }
  const made = await createWorld({ fetch }, options)
  return { ...made, isFetchedIn: (ms: number): void => void (fetchMs = ms) }
}

/** A server of images, until it is none. */
function createServer(code: 'FetchFailed' | 'NotFound') {
  const server = {
    isUp: true,
    fetch: async () => {
      if (!server.isUp) throw new ReflashError(code, 'there is no such file')
      return image
    },
  }
  return server
}

test('in the queue it is waited for without a claim', async () => {
  const { world, router, status, succeeds, isFetchedIn } = await createSlowWorld()
  world.halt('not yet')
  const first = await world.start()
  await world.clock.advance(60_000)
  await first.stop()
  world.halt(undefined)
  isFetchedIn(120_000)
  const second = await world.start()
  await world.clock.advance(100_000)
  expect(await status()).toMatchObject({
    phase: 'Queued',
    reason: 'Waiting',
    message: 'its image is being fetched',
  })
  // A run that is to end when nothing moves any more goes on.
  expect(await standing(second.ports)).toEqual({ kind: 'Moving' })
  const [device] = (await world.store.list('Device')).items
  expect(device!.status.operationRef).toBeUndefined()
  expect(router.uploads).toBe(0)
  // It goes on as soon as the file is there.
  await world.clock.advance(25_000)
  expect(router.uploads).toBe(1)
  await succeeds()
  await second.stop()
})

test('in flight it is waited for without a session', async () => {
  const { world, router, status, succeeds, isFetchedIn } = await createSlowWorld({ uploadMs: 10 * 60_000 })
  const first = await world.start()
  await world.clock.runUntil(() => router.uploads === 1, hourMs)
  await first.stop()
  isFetchedIn(120_000)
  const second = await world.start()
  await world.clock.advance(100_000)
  expect(await status()).toMatchObject({ phase: 'Uploading', message: 'its image is being fetched' })
  expect(world.sessions()).toBe(0)
  await world.clock.advance(25_000)
  expect(router.uploads).toBe(2)
  await succeeds()
  await second.stop()
})

test('parked it is waited for with that for its reason', async () => {
  const { world, router, status, succeeds, isFetchedIn } = await createSlowWorld({ uploadMs: 10 * 60_000 })
  const first = await world.start()
  await world.clock.runUntil(() => router.uploads === 1, hourMs)
  world.halt('not yet')
  await world.clock.advance(15 * 60_000)
  expect(await status()).toMatchObject({ phase: 'Testing', reason: 'Halted' })
  await first.stop()
  world.halt(undefined)
  isFetchedIn(120_000)
  const second = await world.start()
  await world.clock.advance(100_000)
  expect(await status()).toMatchObject({
    phase: 'Testing',
    reason: 'Waiting',
    message: 'its image is being fetched',
  })
  expect(await standing(second.ports)).toEqual({ kind: 'Moving' })
  await succeeds()
  await second.stop()
})

test('while its server does not answer no attempt is counted', async () => {
  const server = createServer('FetchFailed')
  const { world, router, status, succeeds } = await createWorld(server, { uploadMs: 10 * 60_000 })
  const first = await world.start()
  await world.clock.runUntil(() => router.uploads === 1, hourMs)
  await first.stop()
  server.isUp = false
  const second = await world.start()
  await world.clock.advance(hourMs)
  expect(await status()).toMatchObject({ phase: 'Queued', reason: 'BuildNotReady', attempts: 0 })
  expect(router.uploads).toBe(1)
  server.isUp = true
  await succeeds()
  await second.stop()
})

test('a file that has become another one meanwhile is the one that is flashed', async () => {
  let sha256 = imageDigest
  const { world, router, succeeds } = await createWorld(
    { fetch: async () => ({ sha256, sizeBytes: 1000 }) },
    { uploadMs: 10 * 60_000 },
  )
  const first = await world.start()
  await world.clock.runUntil(() => router.uploads === 1, hourMs)
  await first.stop()
  sha256 = anotherDigest
  const second = await world.start()
  await succeeds()
  expect(router.flashes[0]!.sha256).toBe(anotherDigest)
  await second.stop()
})

test.each(['NotFound', 'ImageInvalid'] as const)(
  'a cache that turns out not to have it (%s) is filled anew, and no attempt is counted',
  async (code) => {
    let fetches = 0
    let lost = true
    const { world, router, succeeds } = await createWorld({
      async fetch() {
        fetches += 1
        return { ...image }
      },
      async *open() {
        if (lost) {
          lost = false
          throw new ReflashError(code, 'the file is gone')
        }
        yield new Uint8Array(1000)
      },
    })
    const app = await world.start()
    await succeeds()
    expect(router.uploads).toBe(2)
    expect(fetches).toBeGreaterThan(1)
    await app.stop()
  },
)

test('a cache that cannot be read is tried as often as anything else', async () => {
  const { world, router, status } = await createWorld({
    async *open() {
      yield new Uint8Array(10)
      throw new ReflashError('FetchFailed', 'input/output error')
    },
  })
  const app = await world.start()
  await world.clock.advance(hourMs)
  expect(await status()).toMatchObject({ phase: 'Failed', attempts: 4 })
  expect(router.uploads).toBe(4)
  await app.stop()
})

test('one that is to go, and is not to be had, keeps nothing waiting', async () => {
  const server = createServer('NotFound')
  const { world, router, status } = await createWorld(server, { uploadMs: 10 * 60_000 })
  const first = await world.start()
  await world.clock.runUntil(() => router.uploads === 1, hourMs)
  await world.store.delete('FirmwareImage', { namespace: 'default', name: 'image' })
  await first.stop()
  server.isUp = false
  const second = await world.start()
  await world.clock.advance(60_000)
  expect((await world.store.list('FirmwareImage')).items).toEqual([])
  expect(await status()).toMatchObject({ phase: 'Queued', attempts: 0 })
  await second.stop()
})

test('one that is to go is still there for the upload under way, though its file went first', async () => {
  const server = createServer('NotFound')
  const { world, router, succeeds } = await createWorld(server, { uploadMs: 10 * 60_000 })
  const app = await world.start()
  await world.clock.runUntil(() => router.uploads === 1, hourMs)
  server.isUp = false
  await world.store.delete('FirmwareImage', { namespace: 'default', name: 'image' })
  await succeeds()
  expect(router.uploads).toBe(1)
  await app.stop()
})
