/** What is true when a device is looked at, and not any more when something is done about it. */
import { expect, test } from 'vitest'
import type { AnyResource, Device } from '../../src/api/resources.ts'
import { operationName } from '../../src/core/names.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { createToyFleet, manifest } from '../support/toy-fleet.ts'

const minutes = (count: number): number => count * 60_000
const hour = minutes(60)
type World = Awaited<ReturnType<typeof createToyFleet>>

const operationOf = async ({ store }: World) => (await store.list('UpgradeOperation')).items[0]!

/** A fleet of one router that has been probed, and waits: the next probe is a quarter of an hour away. */
async function startHalted(options: Partial<Parameters<typeof createToyFleet>[0]> = {}) {
  const world = await createToyFleet({ routers: 1, ...options })
  world.halt('HALT exists')
  await world.declare()
  const app = await world.start()
  await world.clock.advance(minutes(1))
  return { world, app }
}

test('another device at the address is not flashed', async () => {
  const { world, app } = await startHalted()
  world.router(1).identity = 'a spare router'
  world.halt(undefined)
  await world.clock.advance(minutes(5))
  expect(world.router(1).flashes).toEqual([])
  expect(world.router(1).uploads).toBe(0)
  expect((await operationOf(world)).status.failureClass).toBe('IdentityChanged')
  await app.stop()
})

test('a device whose marker nobody has read yet is not flashed again', async () => {
  const { world, app } = await startHalted()
  const { stem, attempt } = app.fleet.assessment('default/ap-1')!.candidate!
  const name = operationName(stem, attempt)
  world.router(1).marker = { operation: name, sha256: 'ab'.repeat(32), bootId: 'an earlier boot' }
  world.halt(undefined)
  await world.clock.advance(minutes(5))
  expect(world.router(1).flashes).toEqual([])
  expect((await operationOf(world)).status).toMatchObject({ phase: 'Failed', failureClass: 'RolledBack' })
  await app.stop()
})

test('a claim that came in between is not overwritten', async () => {
  let rivals = 0
  const overwritten: string[] = []
  /** Gives the device to somebody else right before the first claim is written. */
  const withRival = (store: DeclaredStore): DeclaredStore => ({
    ...store,
    async saveStatus<R extends AnyResource>(object: R): Promise<R> {
      if (object.kind !== 'Device' || !object.status.operationRef) return store.saveStatus(object)
      const device: Device = (await store.get('Device', object.metadata))!
      const operationRef = { name: 'rival' }
      if (rivals === 0) await store.saveStatus({ ...device, status: { ...device.status, operationRef } })
      rivals = 1
      const holder = (await store.get('Device', object.metadata))!.status.operationRef?.name
      const written = await store.saveStatus(object)
      if (holder !== undefined && holder !== object.status.operationRef.name) overwritten.push(holder)
      return written
    },
  })
  const world = await createToyFleet({ routers: 1, decorate: withRival })
  await world.declare()
  const app = await world.start()
  await world.clock.runUntil(() => world.router(1).flashes.length === 1, hour)
  expect({ rivals, overwritten }).toEqual({ rivals: 1, overwritten: [] })
  await app.stop()
})

test('a claim stays with its operation when another one of the device is cancelled', async () => {
  const world = await createToyFleet({ routers: 1, uploadMs: minutes(10) })
  const { store, clock } = world
  await world.declare()
  const app = await world.start()
  await clock.runUntil(() => world.router(1).uploads === 1, minutes(10))
  const holder = async () => (await store.list('Device')).items[0]!.status.operationRef?.name
  const atWork = await holder()
  const spec = { deviceRef: { name: 'ap-1' }, buildRef: { name: 'new' } }
  const waiting = await store.apply(manifest('UpgradeOperation', 'by-hand', spec))
  await clock.advance(minutes(1))
  await store.apply({ ...waiting, spec: { ...waiting.spec, cancel: true } })
  await clock.advance(minutes(1))
  const cancelled = await store.get('UpgradeOperation', waiting.metadata)
  expect([cancelled!.status.phase, await holder()]).toEqual(['Cancelled', atWork])
  await clock.runUntil(() => world.router(1).release === 'new', hour)
  expect(world.router(1).uploads).toBe(1)
  await app.stop()
})

test.each([hour, -hour])(
  'the latest uptime of a start knows no wall clock that jumps %i ms',
  async (jumpMs) => {
    const world = await createToyFleet({ routers: 1, uploadMs: minutes(2) })
    await world.declare()
    const app = await world.start()
    await world.clock.runUntil(() => world.router(1).uploads === 1, minutes(10))
    world.clock.jump(jumpMs)
    await world.clock.runUntil(() => world.router(1).flashes.length === 1, minutes(10))
    const uptimeSeconds = world.clock.monotonic() / 1000
    const { maxUptime } = (await operationOf(world)).status
    // 90 s, as timeouts.flash has it, and less than a second for rounding up.
    expect(maxUptime! - uptimeSeconds).toBeGreaterThanOrEqual(90)
    expect(maxUptime! - uptimeSeconds).toBeLessThan(91)
    await app.stop()
  },
)

test('where a device stands is told anew when that changes while its status is written', async () => {
  let edits = 0
  /** Pauses the policy while the first standing of the device is on its way. */
  const withEdit = (store: DeclaredStore): DeclaredStore => ({
    ...store,
    async saveStatus<R extends AnyResource>(object: R): Promise<R> {
      if (object.kind === 'Device' && object.status.blocked?.reason === 'WaitingForSlot' && edits === 0) {
        edits = 1
        const [policy] = (await store.list('UpgradePolicy')).items
        const { name, namespace } = policy!.metadata
        await store.apply({
          ...policy!,
          metadata: { name, namespace },
          spec: { ...policy!.spec, state: 'Pause' },
        })
        await new Promise((resolve) => setImmediate(resolve))
      }
      return store.saveStatus(object)
    },
  })
  const { world, app } = await startHalted({ decorate: withEdit })
  const [device] = (await world.store.list('Device')).items
  expect({ edits, reason: device!.status.blocked?.reason }).toEqual({ edits: 1, reason: 'PolicyPaused' })
  await app.stop()
})

test.each([
  { isBack: false, says: 'is gone' },
  { isBack: true, says: 'is another one of its name' },
])('a device that is asked, and $says when it has answered, is judged no more', async ({ isBack }) => {
  const world = await createToyFleet({ routers: 1, closeMs: 1000 })
  const { store } = world
  await world.declare()
  const app = await world.start()
  await world.clock.advance(500)
  const key = { namespace: 'default', name: 'ap-1' }
  const { metadata, ...asked } = (await store.get('Device', key))!
  expect(app.fleet.wasAsked('default/ap-1')).toBe(true)
  // Somebody takes the finalizer away by hand.
  await store.delete('Device', key)
  await store.setFinalizers((await store.get('Device', key))!, [])
  const { spec } = asked
  if (isBack) await store.apply({ ...asked, metadata: key, spec: { ...spec, hold: { reason: 'new' } } })
  await world.clock.advance(minutes(2))
  const judged = { uid: app.fleet.get('Device', key)?.metadata.uid, ...app.fleet.assessment('default/ap-1') }
  expect(judged.blocked?.reason).toBe(isBack ? 'Held' : undefined)
  expect(judged.uid).not.toBe(metadata.uid)
  expect(app.fleet.counts('default/all').get('matched') ?? 0).toBe(isBack ? 1 : 0)
  expect((await store.list('UpgradeOperation')).items).toEqual([])
  expect(world.router(1).flashes).toEqual([])
  await app.stop()
})
