import { expect, test } from 'vitest'
import { isTrue } from '../../src/core/conditions.ts'
import { ReflashError, type ErrorCode } from '../../src/core/errors.ts'
import { reconcileImage } from '../../src/controllers/reconcile-image.ts'
import { createToyFleet } from '../support/toy-fleet.ts'

/** What an image says of itself when its file cannot be had for this reason. */
async function conditionsAfter(code: ErrorCode) {
  const world = await createToyFleet({ routers: 1 })
  await world.declare()
  const app = await world.start()
  await world.clock.advance(1000)
  const [image] = (await world.store.list('FirmwareImage')).items
  const images = { ...app.ports.images, fetch: () => Promise.reject(new ReflashError(code, 'no answer')) }
  await reconcileImage(image!.metadata, { ...app.ports, images }, new AbortController().signal)
  const { conditions } = (await world.store.get('FirmwareImage', image!.metadata))!.status
  await app.stop()
  return {
    ready: isTrue(conditions, 'Ready'),
    stalled: isTrue(conditions, 'Stalled'),
    reconciling: isTrue(conditions, 'Reconciling'),
  }
}

test('an image whose server does not answer is tried again, and calls for nobody', async () => {
  expect(await conditionsAfter('FetchFailed')).toEqual({ ready: false, stalled: false, reconciling: true })
})

test('an image that is another one than declared calls for a person', async () => {
  expect(await conditionsAfter('DigestMismatch')).toEqual({ ready: false, stalled: true, reconciling: false })
})

test.each(['NotFound', 'DigestMismatch', 'FetchFailed'] as const)(
  'an image that is refused again for the same reason (%s) is not written again',
  async (code) => {
    const world = await createToyFleet({ routers: 1 })
    await world.declare()
    const app = await world.start()
    await world.clock.advance(1000)
    const [image] = (await world.store.list('FirmwareImage')).items
    const images = { ...app.ports.images, fetch: () => Promise.reject(new ReflashError(code, 'no answer')) }
    const look = async () => {
      await reconcileImage(image!.metadata, { ...app.ports, images }, new AbortController().signal)
      return (await world.store.get('FirmwareImage', image!.metadata))!.metadata.resourceVersion
    }
    const first = await look()
    world.clock.jump(60_000)
    expect(await look()).toBe(first)
    await app.stop()
  },
)
