import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AnyResource, Category, Kind } from '../../src/api/resources.ts'
import { hasCode, type ErrorCode } from '../../src/core/errors.ts'
import { keyOf } from '../../src/core/keys.ts'
import { compareVersions, type ResourceStore, type WatchEvent } from '../../src/ports/resource-store.ts'
import { build, category } from '../support/category.ts'

/** An empty store, and what a test needs to do to it. */
export interface StoreWorld {
  store: ResourceStore
  close(): Promise<void>
  /** Makes the store forget every change so far, as it does by itself after many. */
  expire(): Promise<void>
  /** The same objects as another process finds them; only where they outlive a process. */
  reopen?(): Promise<ResourceStore>
}

const ap = { namespace: 'default', name: 'ap' }
const allKinds: readonly Kind[] = ['Category', 'Build']
const versionOf = (object: AnyResource): string => object.metadata.resourceVersion
const described = (object: Category, description: string): Category => ({
  ...object,
  spec: { ...object.spec, description },
})
const readyStatus = (message: string): Category['status'] => ({
  observedGeneration: 1,
  conditions: [
    {
      type: 'Ready',
      status: 'True',
      reason: 'Accepted',
      message,
      lastTransitionTime: '2026-01-01T00:00:00Z',
    },
  ],
})

const rejection = async (work: Promise<unknown>, code: ErrorCode): Promise<string> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(hasCode(error, code), `rejects with ${code}, not ${String(error)}`).toBe(true)
  return (error as Error).message
}

const brief = (event: WatchEvent): string =>
  event.type === 'Bookmark'
    ? `Bookmark ${event.resourceVersion}`
    : `${event.type} ${event.object.metadata.name} ${versionOf(event.object)}`

/** Reads a watch until `enough` says so, and ends it. */
const readUntil = async (
  store: ResourceStore,
  { from, kinds = allKinds }: { from: string; kinds?: readonly Kind[] },
  enough: (events: WatchEvent[]) => boolean,
): Promise<WatchEvent[]> => {
  const controller = new AbortController()
  const events: WatchEvent[] = []
  for await (const event of store.watch({ kinds, from, signal: controller.signal })) {
    events.push(event)
    if (enough(events)) controller.abort()
  }
  return events
}

const past = (store: ResourceStore, from: string, kinds: readonly Kind[] = allKinds): Promise<WatchEvent[]> =>
  readUntil(store, { from, kinds }, (events) => events.at(-1)?.type === 'Bookmark')

/** The promises of `ports/resource-store.ts` as tests, for anything that claims to keep them. */
export const resourceStoreContract = (name: string, open: () => Promise<StoreWorld>): void => {
  describe(`resource store: ${name}`, () => {
    let world: StoreWorld
    let store: ResourceStore
    beforeEach(async () => {
      world = await open()
      store = world.store
    })
    afterEach(() => world.close())

    const stored = async (): Promise<Category> => {
      const object = await store.get('Category', ap)
      if (!object) throw new Error('it is gone')
      return object
    }
    const latest = async (): Promise<string> => (await store.list('Category')).resourceVersion

    describe('create', () => {
      it('fills in what the server owns', async () => {
        const object = await store.create(
          category('ap', { labels: { site: 'lobby' }, finalizers: ['reflash.dev/x'] }),
        )
        expect(object).toMatchObject({
          apiVersion: 'reflash.dev/v1alpha1',
          kind: 'Category',
          metadata: { ...ap, generation: 1, labels: { site: 'lobby' }, finalizers: ['reflash.dev/x'] },
          spec: category('ap').spec,
          status: {},
        })
        expect(object.metadata.uid).not.toBe('')
        expect(object.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
        expect(object.metadata).not.toHaveProperty('deletionTimestamp')
        expect(await stored()).toEqual(object)
      })

      it('refuses a name that is taken, and says which', async () => {
        const first = await store.create(category('ap'))
        const message = await rejection(
          store.create(category('ap', { description: 'second' })),
          'AlreadyExists',
        )
        expect(message).toContain('Category default/ap')
        expect(await stored()).toEqual(first)
      })

      it('keeps kinds and namespaces apart', async () => {
        await store.create(category('ap'))
        await store.create(build('ap'))
        await store.create(category('ap', { namespace: 'lobby' }))
        expect((await store.get('Build', ap))?.kind).toBe('Build')
        expect((await store.get('Category', { namespace: 'lobby', name: 'ap' }))?.metadata.namespace).toBe(
          'lobby',
        )
        expect(await store.get('Device', ap)).toBeUndefined()
      })
    })

    describe('list', () => {
      it('gives one kind, ordered by namespace, then name', async () => {
        for (const namespace of ['b', 'a', 'a-b']) {
          for (const each of ['z', 'a', 'a-b', 'a.b']) await store.create(category(each, { namespace }))
        }
        await store.create(build('ap'))
        const names = (items: Category[]): string[] =>
          items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
        const order = ['a', 'a-b', 'a.b', 'z']
        expect(names((await store.list('Category')).items)).toEqual(
          ['a', 'a-b', 'b'].flatMap((namespace) => order.map((each) => `${namespace}/${each}`)),
        )
        expect(names((await store.list('Category', { namespace: 'a' })).items)).toEqual(
          order.map((each) => `a/${each}`),
        )
        expect((await store.list('Device')).items).toEqual([])
      })

      it('gives one version for all kinds, that of the latest change', async () => {
        const before = await latest()
        const object = await store.create(build('ap'))
        expect(await latest()).toBe(versionOf(object))
        expect(compareVersions(before, await latest())).toBeLessThan(0)
      })
    })

    describe('apply', () => {
      it('creates with the finalizers of the manifest', async () => {
        const object = await store.apply(category('ap', { finalizers: ['reflash.dev/x'] }))
        expect(object.metadata).toMatchObject({ generation: 1, finalizers: ['reflash.dev/x'] })
        expect(object.status).toEqual({})
      })

      it('writes nothing when nothing changes', async () => {
        const manifest = category('ap', { labels: {}, annotations: { a: 'b' }, finalizers: [] })
        const object = await store.apply(manifest)
        expect(await store.apply(manifest)).toEqual(object)
        expect(await latest()).toBe(versionOf(object))
      })

      it('adds 1 to generation with a changed spec only', async () => {
        await store.apply(category('ap'))
        const labelled = await store.apply(category('ap', { labels: { site: 'lobby' } }))
        expect(labelled.metadata).toMatchObject({ generation: 1, labels: { site: 'lobby' } })
        const changed = await store.apply(category('ap', { description: 'second' }))
        expect(changed.metadata.generation).toBe(2)
        expect(changed.metadata).not.toHaveProperty('labels')
        expect(compareVersions(versionOf(labelled), versionOf(changed))).toBeLessThan(0)
      })

      it('leaves uid, creation, finalizers and status alone', async () => {
        const first = await store.create(category('ap', { finalizers: ['reflash.dev/x'] }))
        const saved = await store.saveStatus({ ...first, status: readyStatus('ready') })
        const second = await store.apply(
          category('ap', { description: 'second', finalizers: ['reflash.dev/other'] }),
        )
        expect(second.status).toEqual(saved.status)
        expect(second.metadata).toMatchObject({
          uid: first.metadata.uid,
          creationTimestamp: first.metadata.creationTimestamp,
          finalizers: ['reflash.dev/x'],
        })
      })
    })

    describe('update', () => {
      it('replaces spec, labels, annotations and finalizers, and ignores status', async () => {
        const first = await store.create(category('ap', { labels: { a: 'b' } }))
        const { labels: _labels, ...metadata } = first.metadata
        const second = await store.update({
          ...described(first, 'second'),
          metadata: { ...metadata, annotations: { c: 'd' }, finalizers: ['reflash.dev/x'] },
          status: readyStatus('nobody said so'),
        })
        expect(second.spec.description).toBe('second')
        expect(second.metadata).toMatchObject({
          generation: 2,
          annotations: { c: 'd' },
          finalizers: ['reflash.dev/x'],
        })
        expect(second.metadata).not.toHaveProperty('labels')
        expect(second.status).toEqual({})
        expect(await stored()).toEqual(second)
      })

      it('leaves what the server owns alone', async () => {
        const first = await store.create(category('ap'))
        const metadata = {
          ...first.metadata,
          uid: 'mine',
          generation: 7,
          creationTimestamp: '2001-01-01T00:00:00Z',
        }
        expect(await store.update({ ...first, metadata })).toEqual(first)
      })

      it('refuses an old version, and writes nothing', async () => {
        const first = await store.create(category('ap'))
        const second = await store.update(described(first, 'second'))
        const message = await rejection(store.update(described(first, 'third')), 'Conflict')
        expect(message).toContain('Category default/ap')
        expect(await stored()).toEqual(second)
      })

      it('refuses what is gone, also when it has come again', async () => {
        const first = await store.create(category('ap'))
        await store.delete('Category', ap)
        expect(await rejection(store.update(first), 'NotFound')).toContain('Category default/ap')
        await store.create(category('ap'))
        await rejection(store.update(first), 'Conflict')
      })

      it('lets one of two writers through', async () => {
        const first = await store.create(category('ap'))
        const outcomes = await Promise.allSettled(
          ['a', 'b', 'c'].map((each) => store.update(described(first, each))),
        )
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      })
    })

    describe('saveStatus', () => {
      it('replaces the status alone', async () => {
        const first = await store.create(category('ap'))
        const second = await store.saveStatus({
          ...described(first, 'not mine to change'),
          metadata: { ...first.metadata, labels: { not: 'mine' } },
          status: readyStatus('ready'),
        })
        expect(second.status).toEqual(readyStatus('ready'))
        expect(second.spec).toEqual(first.spec)
        const { resourceVersion, ...metadata } = second.metadata
        expect(metadata).toEqual({ ...first.metadata, resourceVersion: undefined })
        expect(compareVersions(versionOf(first), resourceVersion)).toBeLessThan(0)
        expect((await store.saveStatus({ ...second, status: {} })).status).toEqual({})
      })

      it('writes nothing when nothing changes', async () => {
        const first = await store.create(category('ap'))
        const second = await store.saveStatus({ ...first, status: readyStatus('ready') })
        expect(await store.saveStatus({ ...second, status: readyStatus('ready') })).toEqual(second)
        expect(await latest()).toBe(versionOf(second))
      })

      it('refuses an old version and what is gone', async () => {
        const first = await store.create(category('ap'))
        const second = await store.saveStatus({ ...first, status: readyStatus('ready') })
        await rejection(store.saveStatus({ ...first, status: readyStatus('late') }), 'Conflict')
        // Identical or not: who has not seen the latest version has decided on another one.
        await rejection(store.saveStatus({ ...first, status: readyStatus('ready') }), 'Conflict')
        expect(await stored()).toEqual(second)
        await store.delete('Category', ap)
        await rejection(store.saveStatus(second), 'NotFound')
      })
    })

    describe('delete', () => {
      it('removes an object, and a new one of its name is another', async () => {
        const first = await store.create(category('ap'))
        await store.delete('Category', ap)
        expect(await store.get('Category', ap)).toBeUndefined()
        expect((await store.list('Category')).items).toEqual([])
        const second = await store.create(category('ap'))
        expect(second.metadata.uid).not.toBe(first.metadata.uid)
        expect(second.metadata.generation).toBe(1)
      })

      it('does nothing to what is gone', async () => {
        const before = await latest()
        await store.delete('Category', ap)
        expect(await latest()).toBe(before)
      })

      it('refuses an old version', async () => {
        const first = await store.create(category('ap'))
        const second = await store.update(described(first, 'second'))
        await rejection(store.delete('Category', ap, { resourceVersion: versionOf(first) }), 'Conflict')
        expect(await stored()).toEqual(second)
        await store.delete('Category', ap, { resourceVersion: versionOf(second) })
        expect(await store.get('Category', ap)).toBeUndefined()
      })

      it('marks an object with finalizers, and removes it with the last of them', async () => {
        const first = await store.create(category('ap', { finalizers: ['reflash.dev/x', 'reflash.dev/y'] }))
        await store.delete('Category', ap)
        const going = await stored()
        expect(going.metadata.deletionTimestamp).toMatch(/^\d{4}-/)
        await store.delete('Category', ap)
        expect(await stored()).toEqual(going)

        const one = await store.update({
          ...going,
          metadata: { ...going.metadata, finalizers: ['reflash.dev/y'] },
        })
        expect(one.metadata.deletionTimestamp).toBe(going.metadata.deletionTimestamp)
        const none = await store.update({ ...one, metadata: { ...one.metadata, finalizers: [] } })
        expect(await store.get('Category', ap)).toBeUndefined()

        const events = (await past(store, versionOf(first))).map(({ type }) => type)
        expect(events).toEqual(['Modified', 'Modified', 'Deleted', 'Bookmark'])
        expect(compareVersions(versionOf(one), await latest())).toBeLessThan(0)
        expect(none.metadata.name).toBe('ap')
      })

      it('lets an object that is going be changed, but not be held by a new finalizer', async () => {
        await store.create(category('ap', { finalizers: ['reflash.dev/x'] }))
        await store.delete('Category', ap)
        const applied = await store.apply(category('ap', { description: 'second' }))
        expect(applied.metadata).toHaveProperty('deletionTimestamp')
        const saved = await store.saveStatus({ ...applied, status: readyStatus('going') })
        const held = { ...saved.metadata, finalizers: ['reflash.dev/x', 'reflash.dev/late'] }
        const message = await rejection(store.update({ ...saved, metadata: held }), 'Invalid')
        expect(message).toContain('reflash.dev/late')
        expect(await stored()).toEqual(saved)
      })
    })

    describe('watch', () => {
      it('gives every later change once, in order, then a bookmark', async () => {
        const from = await latest()
        const one = await store.create(category('one'))
        const two = await store.create(category('two'))
        const changed = await store.update(described(one, 'second'))
        const ready = await store.saveStatus({ ...two, status: readyStatus('ready') })
        await store.delete('Category', keyOf(one))
        const events = await past(store, from)
        const end = await latest()
        expect(events.map(brief)).toEqual([
          `Added one ${versionOf(one)}`,
          `Added two ${versionOf(two)}`,
          `Modified one ${versionOf(changed)}`,
          `Modified two ${versionOf(ready)}`,
          `Deleted one ${end}`,
          `Bookmark ${end}`,
        ])
        expect(events[3]).toEqual({ type: 'Modified', object: ready })
        expect((await past(store, versionOf(changed))).map(brief)).toEqual([
          `Modified two ${versionOf(ready)}`,
          `Deleted one ${end}`,
          `Bookmark ${end}`,
        ])
      })

      it('goes on with what happens', async () => {
        await store.create(category('before'))
        const seen: string[] = []
        const reading = readUntil(store, { from: await latest() }, (events) => {
          seen.splice(0, seen.length, ...events.map(({ type }) => type))
          // Each write follows the event before it, so that the watch has had to wait for it.
          if (events.length <= 3) void store.create(category(`ap-${events.length}`))
          return events.length === 4
        })
        expect(
          (await reading).map((event) => (event.type === 'Bookmark' ? '' : event.object.metadata.name)),
        ).toEqual(['', 'ap-1', 'ap-2', 'ap-3'])
        expect(seen).toEqual(['Bookmark', 'Added', 'Added', 'Added'])
      })

      it('gives the wanted kinds alone', async () => {
        const from = await latest()
        await store.create(category('ap'))
        await store.create(build('ap'))
        const types = (events: WatchEvent[]): string[] =>
          events.map((event) => (event.type === 'Bookmark' ? 'Bookmark' : event.object.kind))
        expect(types(await past(store, from, ['Build']))).toEqual(['Build', 'Bookmark'])
        expect(types(await past(store, from, ['Device']))).toEqual(['Bookmark'])
      })

      it('says nothing when nothing was written', async () => {
        const first = await store.apply(category('ap'))
        await store.apply(category('ap'))
        await store.saveStatus(first)
        await store.update(first)
        expect((await past(store, versionOf(first))).map(({ type }) => type)).toEqual(['Bookmark'])
      })

      it('ends when it is aborted, before and while it waits', async () => {
        const from = await latest()
        const iterator = store
          .watch({ kinds: allKinds, from, signal: AbortSignal.abort() })
          [Symbol.asyncIterator]()
        expect(await iterator.next()).toMatchObject({ done: true })

        const controller = new AbortController()
        const waiting = store
          .watch({ kinds: allKinds, from, signal: controller.signal })
          [Symbol.asyncIterator]()
        expect(await waiting.next()).toMatchObject({ value: { type: 'Bookmark' } })
        const next = waiting.next()
        controller.abort()
        expect(await next).toMatchObject({ done: true })
      })

      it('sends who asks for a forgotten version to list again', async () => {
        const from = await latest()
        await store.create(category('ap'))
        await world.expire()
        expect(await rejection(past(store, from), 'Expired')).toMatch(/list again/)
        expect((await past(store, await latest())).map(({ type }) => type)).toEqual(['Bookmark'])
      })

      it('cuts off a watcher that has fallen behind what is kept', async () => {
        const controller = new AbortController()
        await store.create(category('ap'))
        const watch = store.watch({ kinds: allKinds, from: await latest(), signal: controller.signal })
        const iterator = watch[Symbol.asyncIterator]()
        await iterator.next()
        await world.expire()
        const drain = async (): Promise<void> => {
          while (!(await iterator.next()).done);
        }
        await rejection(drain(), 'Expired')
      })

      it('refuses a version that is no number', async () => {
        for (const from of ['', 'abc', '-1', '1.5', '01', '1e3'])
          await rejection(past(store, from), 'Invalid')
      })

      it('does not know a version that is yet to come', async () => {
        await rejection(past(store, `${await latest()}0`), 'Expired')
      })
    })

    it('gives away copies, and keeps copies', async () => {
      const manifest = category('ap', { labels: { a: 'b' } })
      const from = await latest()
      const created = await store.create(manifest)
      manifest.spec.description = 'changed by the caller'
      manifest.metadata.labels!['a'] = 'changed by the caller'
      const status = readyStatus('ready')
      const saved = await store.saveStatus({ ...created, status })
      status.conditions![0]!.message = 'changed by the caller'
      const expected = structuredClone(await stored())
      expect(expected).toMatchObject({ spec: { description: 'first' }, status: readyStatus('ready') })

      const { items } = await store.list('Category')
      const events = await past(store, from)
      const copies = [
        created,
        saved,
        items[0]!,
        await stored(),
        ...events.flatMap((event) => ('object' in event ? [event.object] : [])),
      ]
      expect(copies).toHaveLength(6)
      for (const copy of copies) {
        copy.metadata.name = 'changed by the caller'
        copy.spec = {} as never
        if (copy.status.conditions) copy.status.conditions.length = 0
      }
      expect(await stored()).toEqual(expected)
      expect(await past(store, versionOf(created))).toMatchObject([
        { object: expected },
        { type: 'Bookmark' },
      ])
    })

    it('keeps text as it is', async () => {
      const description = 'Zürich 东京 \u{1f4e1} "quoted" \\ \u0000 \u2028 \ufffd'
      await store.create(category('ap', { description }))
      expect((await stored()).spec.description).toBe(description)
    })

    it(
      'holds after any operations: a list, and the watch from it, give the next list',
      { timeout: 120_000 },
      async () => {
        const operation = fc.record({
          what: fc.constantFrom(
            'create',
            'apply',
            'update',
            'status',
            'delete',
            'finalize',
            'release' as const,
          ),
          name: fc.constantFrom('a', 'b', 'c'),
          value: fc.constantFrom('1', '2', '3'),
        })
        type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never
        const perform = async ({ what, name: each, value }: Operation): Promise<void> => {
          const key = { namespace: 'default', name: each }
          if (what === 'create') return void (await store.create(category(each, { description: value })))
          if (what === 'apply')
            return void (await store.apply(category(each, { description: value, labels: { value } })))
          if (what === 'delete') return store.delete('Category', key)
          const object = await store.get('Category', key)
          if (!object) return
          const { metadata } = object
          if (what === 'update') await store.update(described(object, value))
          if (what === 'status') await store.saveStatus({ ...object, status: readyStatus(value) })
          if (what === 'finalize')
            await store.update({ ...object, metadata: { ...metadata, finalizers: [`x.dev/${value}`] } })
          if (what === 'release') await store.update({ ...object, metadata: { ...metadata, finalizers: [] } })
        }
        const tolerant = (each: Operation): Promise<void> =>
          perform(each).catch((error: unknown) => {
            if (!hasCode(error, 'AlreadyExists', 'Invalid')) throw error
          })
        const replay = (items: Category[], events: WatchEvent[]): AnyResource[] => {
          const objects = new Map<string, AnyResource>(items.map((item) => [item.metadata.name, item]))
          for (const event of events) {
            if (event.type === 'Bookmark') continue
            const { name: each } = event.object.metadata
            expect(objects.has(each), `${event.type} ${each}`).toBe(event.type !== 'Added')
            if (event.type === 'Deleted') objects.delete(each)
            else objects.set(each, event.object)
          }
          return [...objects.values()].toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
        }

        await fc.assert(
          fc.asyncProperty(fc.array(operation, { maxLength: 30 }), fc.nat(30), async (operations, at) => {
            for (const each of operations.slice(0, at)) await tolerant(each)
            const before = await store.list('Category')
            for (const each of operations.slice(at)) await tolerant(each)
            const after = await store.list('Category')
            const events = await past(store, before.resourceVersion)
            expect(replay(before.items, events)).toEqual(after.items)
            const versions = events.map((event) =>
              event.type === 'Bookmark' ? event.resourceVersion : versionOf(event.object),
            )
            const steps = versions.slice(0, -1)
            for (const [place, version] of steps.slice(1).entries()) {
              expect(compareVersions(steps[place]!, version)).toBeLessThan(0)
            }
            expect(versions.at(-1)).toBe(after.resourceVersion)
          }),
          { numRuns: 60 },
        )
      },
    )

    it('finds everything again in another process, where it is kept', async ({ skip }) => {
      if (!world.reopen) return skip('it forgets with its process')
      const first = await store.create(category('ap', { finalizers: ['reflash.dev/x'] }))
      const saved = await store.saveStatus({ ...first, status: readyStatus('ready') })
      await store.create(build('gone'))
      await store.delete('Build', { namespace: 'default', name: 'gone' })
      const list = await store.list('Category')
      store = await world.reopen()
      expect(await stored()).toEqual(saved)
      expect(await store.list('Category')).toEqual(list)
      await rejection(past(store, versionOf(first)), 'Expired')
      expect((await past(store, list.resourceVersion)).map(({ type }) => type)).toEqual(['Bookmark'])
      const next = await store.create(build('gone'))
      expect(compareVersions(list.resourceVersion, versionOf(next))).toBeLessThan(0)
      await rejection(store.saveStatus({ ...first, status: readyStatus('late') }), 'Conflict')
    })
  })
}
