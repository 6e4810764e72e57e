/** An image may be Ready because another controller has fetched it: this one still has to. */
import { expect, test } from 'vitest'
import { ReflashError } from '../../src/core/errors.ts'
import { createToyFleet, imageDigest } from '../support/toy-fleet.ts'

const image = { sha256: imageDigest, sizeBytes: 1000 }

/** A fleet whose image was found Ready, and is in the cache of the controller no more. */
async function withoutImage(fetchAgain: () => Promise<typeof image>) {
  let fetches = 0
  let isHere = false
  const world = await createToyFleet({
    routers: 1,
    images: {
      has: async () => isHere,
      fetch: async () => {
        fetches += 1
        if (fetches === 1) return image
        const fetched = await fetchAgain()
        isHere = fetched.sha256 === image.sha256
        return fetched
      },
    },
  })
  await world.declare()
  const app = await world.start()
  const operation = async () => (await world.store.list('UpgradeOperation')).items[0]
  const upgraded = async (): Promise<void> => {
    await world.clock.runUntil(() => world.router(1).release === 'new', 60 * 60_000)
    await world.clock.advance(60_000)
  }
  return { world, app, operation, upgraded }
}

test('is fetched before anybody connects to the device', async () => {
  const connectsWhile: number[] = []
  const { world, app, operation, upgraded } = await withoutImage(async () => {
    connectsWhile.push(world.sessions())
    await world.clock.sleep(120_000)
    connectsWhile.push(world.sessions())
    return image
  })
  await upgraded()
  expect(connectsWhile).toEqual([0, 0])
  expect((await operation())?.status).toMatchObject({ phase: 'Succeeded', attempts: 1 })
  await app.stop()
})

test.each([
  [
    'its server does not answer',
    async () => {
      throw new ReflashError('FetchFailed', 'the server does not answer')
    },
    'its image cannot be had: the server does not answer; tried again in 30s',
  ],
  [
    'its file is another one by now',
    async () => ({ sha256: 'cd'.repeat(32), sizeBytes: 1000 }),
    'its image cannot be had: the file of image image is another one by now; tried again in 30s',
  ],
])('where %s no attempt is counted, and the device is left alone', async (_, fails, message) => {
  let isDown = true
  const { world, app, operation, upgraded } = await withoutImage(() =>
    isDown ? fails() : Promise.resolve(image),
  )
  await world.clock.advance(9 * 60_000)
  expect((await operation())?.status).toMatchObject({
    phase: 'Queued',
    reason: 'BuildNotReady',
    attempts: 0,
    message,
  })
  expect(world.router(1).uploads).toBe(0)
  const [device] = (await world.store.list('Device')).items
  expect(device?.status.operationRef).toBeUndefined()
  isDown = false
  await upgraded()
  expect((await operation())?.status).toMatchObject({ phase: 'Succeeded', attempts: 1 })
  await app.stop()
})
