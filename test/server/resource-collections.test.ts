import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { DeclaredStore, StoreEvent } from '../../src/ports/resource-store.ts'
import type { ApiObject, Collection } from '../../src/server/collection.ts'
import { createKeptCollection } from '../../src/server/kept-collection.ts'
import { createNamespaceCollection } from '../../src/server/namespace-collection.ts'
import { createResourceCollections, type ResourceCollections } from '../../src/server/resource-collections.ts'
import { build, category } from '../support/category.ts'

const stopping: AbortController[] = []
afterEach(() => {
  for (const controller of stopping.splice(0)) controller.abort()
})

/** A store whose watches can be stopped from delivering, and made to fail. */
function createWorld(changes = 10_000) {
  const clock = createManualClock()
  const inner = createMemoryStore({ clock, history: { changes, characters: 1_000_000 } })
  let isHeld = false
  let failure: Error | undefined
  const extra: StoreEvent[] = []
  const store: DeclaredStore = {
    ...inner,
    async *follow(options) {
      for await (const event of inner.follow(options)) {
        yield* extra.splice(0)
        while (isHeld) await clock.sleep(100, options.signal)
        if (failure) throw failure
        yield event
      }
    },
  }
  const controller = new AbortController()
  stopping.push(controller)
  const errors: unknown[] = []
  const resources = createResourceCollections(store, {
    clock,
    signal: controller.signal,
    onError: (error) => errors.push(error),
  })
  return {
    clock,
    store: inner,
    resources,
    errors,
    hold: () => (isHeld = true),
    release: () => (isHeld = false),
    fail: (error: Error | undefined) => (failure = error),
    /** Comes before what the store tells next. */
    interject: (event: StoreEvent) => void extra.push(event),
  }
}

const caughtUp = async ({ clock, store, resources }: ReturnType<typeof createWorld>): Promise<void> => {
  const { resourceVersion } = await store.list('Category')
  await clock.runUntil(() => resources.of('Category').version() === Number(resourceVersion), 60_000)
}
const listed = (resources: ResourceCollections): unknown[] => [...resources.of('Category').list()]
const told = (collection: Collection, from: number): string[] => {
  const changes = collection.since(from, 1000)
  return changes === 'Expired'
    ? [changes]
    : changes.map(({ type, object }) => `${type} ${object.metadata.name}`)
}

test('objects are those of the store, and follow it', async () => {
  const world = createWorld()
  await world.store.create(category('b'))
  await world.resources.ready
  expect(world.resources.synced()).toBe(true)
  await world.store.create(category('a', { namespace: 'other' }))
  await world.store.create(category('a'))
  await world.store.create(build('b-1'))
  await caughtUp(world)
  const { items, resourceVersion } = await world.store.list('Category')
  expect(listed(world.resources)).toEqual(items)
  // Also where a version belongs to another kind.
  expect(world.resources.of('Device').version()).toBe(Number(resourceVersion))
  expect(world.resources.of('Category').list('other')).toEqual([items[2]])
  expect(world.resources.of('Category').get({ namespace: 'default', name: 'b' })).toEqual(items[1])
  expect(world.resources.of('Category').get({ namespace: 'default', name: 'c' })).toBeUndefined()
  expect(world.resources.of('Category').list()).toBe(world.resources.of('Category').list())
})

test('a list that was given out stays as it was', async () => {
  const world = createWorld()
  await world.store.create(category('a'))
  await world.resources.ready
  const before = world.resources.of('Category').list()
  const copy = [...before]
  await world.store.apply(category('a', { description: 'second' }))
  await world.store.create(category('b'))
  await world.store.delete('Category', { namespace: 'default', name: 'a' })
  await caughtUp(world)
  expect(before).toEqual(copy)
  expect(world.resources.of('Category').list()).toHaveLength(1)
})

test('a store that ran ahead is read again, and followers are told the differences, each with a version of its own', async () => {
  const world = createWorld(5)
  for (const name of ['a', 'b', 'c', 'd']) await world.store.create(category(name))
  await caughtUp(world)
  const collection = world.resources.of('Category')
  const from = collection.version()
  const namespaces = createNamespaceCollection(world.resources)
  world.hold()
  for (const name of ['a', 'b']) await world.store.delete('Category', { namespace: 'default', name })
  await world.store.apply(category('c', { description: 'second' }))
  await world.store.create(category('e', { namespace: 'other' }))
  for (let at = 0; at < 20; at += 1) await world.store.apply(category('d', { description: `${at}` }))
  world.release()
  await caughtUp(world)
  expect(world.errors).toEqual([])
  expect(listed(world.resources)).toEqual((await world.store.list('Category')).items)
  expect(told(collection, from).toSorted()).toEqual([
    'ADDED e',
    'DELETED a',
    'DELETED b',
    'MODIFIED c',
    'MODIFIED d',
  ])
  // Whoever reads one at a time misses none.
  let version = from
  const one: string[] = []
  for (;;) {
    const changes = collection.since(version, 1)
    if (changes === 'Expired' || changes.length === 0) break
    expect(changes[0]!.version).toBeGreaterThan(version)
    expect(changes[0]!.object.metadata.resourceVersion).toBe(String(changes[0]!.version))
    version = changes[0]!.version
    one.push(changes[0]!.object.metadata.name)
  }
  expect(one.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e'])
  expect(namespaces.list().map(({ metadata }) => metadata.name)).toEqual(['default', 'other'])
})

test('a store that cannot be followed is tried again, and that is told', async () => {
  const world = createWorld()
  await world.resources.ready
  const broken = new ReflashError('StateUnusable', 'the disk is gone')
  world.fail(broken)
  await world.store.create(category('a'))
  await world.clock.advance(3500)
  expect(world.resources.synced()).toBe(false)
  expect(world.resources.loaded()).toBe(true)
  expect(world.errors.length).toBeGreaterThan(2)
  expect(new Set(world.errors)).toEqual(new Set([broken]))
  world.fail(undefined)
  await caughtUp(world)
  expect(world.resources.synced()).toBe(true)
  expect(listed(world.resources)).toHaveLength(1)
})

test('a kind of which not all is heard makes it out of step, whatever else is heard of it, until a bookmark', async () => {
  const world = createWorld()
  await world.resources.ready
  const error = new ReflashError('Expired', 'nobody answers in namespace a')
  world.interject({ type: 'Interrupted', kind: 'Category', error })
  world.interject({ type: 'Listed', kind: 'Category', objects: [], resourceVersion: '1' })
  world.hold()
  await world.store.create(category('a'))
  await world.clock.runUntil(() => world.errors.length > 0, 60_000)
  expect(world.resources.synced()).toBe(false)
  world.release()
  await caughtUp(world)
  await world.clock.runUntil(() => world.resources.synced(), 60_000)
})

test('a kind of which nothing is heard makes it out of step, until something is', async () => {
  const world = createWorld()
  await world.resources.ready
  const error = new ReflashError('Expired', 'nobody answers')
  world.interject({ type: 'Interrupted', kind: 'Device', error })
  world.hold()
  await world.store.create(category('a'))
  await world.clock.runUntil(() => world.errors.length > 0, 60_000)
  expect(world.errors).toEqual([error])
  expect(world.resources.synced()).toBe(false)
  world.release()
  await caughtUp(world)
  expect(world.resources.synced()).toBe(true)
})

test('nothing is left to do once it is stopped', async () => {
  const world = createWorld()
  await world.resources.ready
  for (const controller of stopping) controller.abort()
  await world.clock.advance(0)
  await world.store.create(category('a'))
  await world.clock.advance(10_000)
  expect(listed(world.resources)).toEqual([])
  expect(world.clock.nextWakeMs()).toBeUndefined()
})

test('what is kept is bounded by number and by size, and a gap is told', () => {
  const collection = createKeptCollection(thingInfo, () => 1, { changes: 10, characters: 5000 })
  const object = (name: string, version: number, size = 0): ApiObject => ({
    apiVersion: 'v1',
    kind: 'Thing',
    metadata: { name, namespace: 'default', resourceVersion: String(version) },
    text: 'x'.repeat(size),
  })
  for (let version = 1; version <= 30; version += 1)
    collection.apply({ type: 'ADDED', object: object(`a-${version}`, version), version })
  expect(collection.collection.since(3, 100)).toBe('Expired')
  expect(collection.collection.since(29, 100)).toHaveLength(1)
  expect(collection.collection.since(30, 100)).toEqual([])
  collection.apply({ type: 'ADDED', object: object('large', 31, 6000), version: 31 })
  expect(collection.collection.since(30, 100)).toBe('Expired')
  expect(collection.collection.since(31, 100)).toEqual([])
  expect(collection.collection.list()).toHaveLength(31)
})

const thingInfo = {
  group: '',
  version: 'v1',
  kind: 'Thing',
  plural: 'things',
  singular: 'thing',
  shortNames: [],
  categories: [],
  namespaced: true,
  columns: [],
  description: 'A thing.',
}

test('a follower that reads any number at a time from any version ends with the list', () => {
  const change = fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), goes: fc.boolean() })
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 60 }),
      fc.nat(60),
      fc.integer({ min: 1, max: 5 }),
      (changes, at, step) => {
        let version = 0
        const kept = createKeptCollection(thingInfo, () => version)
        const copy = new Map<string, ApiObject>()
        let from = 0
        for (const [place, { name, goes }] of changes.entries()) {
          version += 1
          const metadata = { name, namespace: 'default', resourceVersion: String(version) }
          kept.apply({
            type: goes ? 'DELETED' : 'ADDED',
            object: { apiVersion: 'v1', kind: 'Thing', metadata },
            version,
          })
          if (place !== at) continue
          for (const object of kept.collection.list()) copy.set(object.metadata.name, object)
          from = version
        }
        for (;;) {
          const next = kept.collection.since(from, step)
          if (next === 'Expired' || next.length === 0) break
          for (const { type, object, before } of next) {
            expect(copy.get(object.metadata.name)).toBe(before)
            if (type === 'DELETED') copy.delete(object.metadata.name)
            else copy.set(object.metadata.name, object)
          }
          from = next.at(-1)!.version
        }
        const names = [...copy.keys()].toSorted()
        expect(names.map((name) => copy.get(name))).toEqual(kept.collection.list())
      },
    ),
  )
})
