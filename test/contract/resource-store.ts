import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AnyResource, Category, Kind, Manifest } from '../../src/api/resources.ts'
import { hasCode, type ErrorCode } from '../../src/core/errors.ts'
import { keyOf } from '../../src/core/keys.ts'
import { compareVersions, type DeclaredStore, type ResourceStore } from '../../src/ports/resource-store.ts'
import { followStore, type Follower, type StoreChange } from '../support/store-follower.ts'
import { build, category } from '../support/category.ts'

/** An empty store, and what a test needs to do to it. */
export interface StoreWorld {
  store: ResourceStore
  /** What an operator does: labels, annotations and spec become what the manifest says. */
  declare(manifest: Manifest<'Category'> | Manifest<'Build'>): Promise<unknown>
  close(): Promise<void>
  /** Makes the store forget every change so far, as it does by itself after many; only where a test can bring that about. */
  expire?(): Promise<void>
  /** The same objects as another process finds them; only where they outlive a process. */
  reopen?(): Promise<ResourceStore>
  /** How many random worlds are tried; 60 unless told. */
  runs?: number
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

const brief = ({ type, object }: StoreChange): string =>
  `${type} ${object.metadata.name} ${versionOf(object)}`

/** The promises of `ports/resource-store.ts` as tests, for anything that claims to keep them. */
export const resourceStoreContract = (name: string, open: () => Promise<StoreWorld>): void => {
  describe(`resource store: ${name}`, () => {
    let world: StoreWorld
    let store: ResourceStore
    beforeEach(async () => {
      world = await open()
      store = world.store
    })
    const followers: Follower[] = []
    afterEach(async () => {
      await Promise.all(followers.splice(0).map((follower) => follower.stop()))
      await world.close()
    })

    /** Begins to follow, and comes back when each kind has been listed. */
    const follow = async (kinds: readonly Kind[] = allKinds): Promise<Follower> => {
      const follower = followStore(store, kinds)
      followers.push(follower)
      await follower.listed()
      return follower
    }

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

      it('gives a version that includes the latest change', async () => {
        const before = await latest()
        const object = await store.create(category('ap'))
        expect(compareVersions(versionOf(object), await latest())).toBeLessThanOrEqual(0)
        expect(compareVersions(before, await latest())).toBeLessThan(0)
      })
    })

    describe('setFinalizers', () => {
      it('replaces the finalizers alone', async () => {
        const first = await store.create(category('ap', { labels: { a: 'b' } }))
        const changed = {
          ...described(first, 'not mine to change'),
          metadata: { ...first.metadata, labels: { not: 'mine' } },
          status: readyStatus('nobody said so'),
        }
        const second = await store.setFinalizers(changed, ['reflash.dev/x'])
        expect(second).toEqual({
          ...first,
          metadata: {
            ...first.metadata,
            resourceVersion: versionOf(second),
            finalizers: ['reflash.dev/x'],
          },
        })
        expect(compareVersions(versionOf(first), versionOf(second))).toBeLessThan(0)
        expect(await stored()).toEqual(second)
        const third = await store.setFinalizers(second, [])
        expect(third.metadata).not.toHaveProperty('finalizers')
      })

      it('writes nothing when nothing changes', async () => {
        const first = await store.create(category('ap', { finalizers: ['reflash.dev/x'] }))
        expect(await store.setFinalizers(first, ['reflash.dev/x'])).toEqual(first)
        expect(await stored()).toEqual(first)
      })

      it('refuses an old version, and writes nothing', async () => {
        const first = await store.create(category('ap'))
        const second = await store.setFinalizers(first, ['reflash.dev/x'])
        const message = await rejection(store.setFinalizers(first, ['reflash.dev/y']), 'Conflict')
        expect(message).toContain('Category default/ap')
        expect(await stored()).toEqual(second)
      })

      it('refuses what is gone, also when it has come again', async () => {
        const first = await store.create(category('ap'))
        await store.delete('Category', ap)
        expect(await rejection(store.setFinalizers(first, ['reflash.dev/x']), 'NotFound')).toContain(
          'Category default/ap',
        )
        await store.create(category('ap'))
        await rejection(store.setFinalizers(first, ['reflash.dev/x']), 'Conflict')
      })

      it('lets one of two writers through', async () => {
        const first = await store.create(category('ap'))
        const outcomes = await Promise.allSettled(
          ['a', 'b', 'c'].map((each) => store.setFinalizers(first, [`reflash.dev/${each}`])),
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
        expect(await stored()).toEqual(second)
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
        await store.delete('Category', ap)
        expect(await store.get('Category', ap)).toBeUndefined()
      })

      it('refuses an old version', async () => {
        const first = await store.create(category('ap'))
        const second = await store.setFinalizers(first, ['reflash.dev/x'])
        await rejection(store.delete('Category', ap, { resourceVersion: versionOf(first) }), 'Conflict')
        expect(await stored()).toEqual(second)
        const third = await store.setFinalizers(second, [])
        await store.delete('Category', ap, { resourceVersion: versionOf(third) })
        expect(await store.get('Category', ap)).toBeUndefined()
      })

      it('marks an object with finalizers, and removes it with the last of them', async () => {
        await store.create(category('ap', { finalizers: ['reflash.dev/x', 'reflash.dev/y'] }))
        const follower = await follow()
        await store.delete('Category', ap)
        const going = await stored()
        expect(going.metadata.deletionTimestamp).toMatch(/^\d{4}-/)
        await store.delete('Category', ap)
        expect(await stored()).toEqual(going)

        const one = await store.setFinalizers(going, ['reflash.dev/y'])
        expect(one.metadata.deletionTimestamp).toBe(going.metadata.deletionTimestamp)
        const none = await store.setFinalizers(one, [])
        expect(await store.get('Category', ap)).toBeUndefined()

        const changes = await follower.changesUntil(({ type }) => type === 'Deleted')
        expect(changes.map(({ type }) => type)).toEqual(['Modified', 'Modified', 'Deleted'])
        expect(compareVersions(versionOf(one), versionOf(changes[2]!.object))).toBeLessThan(0)
        expect(none.metadata.name).toBe('ap')
      })

      it('lets an object that is going be changed, but not be held by a new finalizer', async () => {
        await store.create(category('ap', { finalizers: ['reflash.dev/x'] }))
        await store.delete('Category', ap)
        await world.declare(category('ap', { description: 'second' }))
        const declared = await stored()
        expect(declared.metadata).toHaveProperty('deletionTimestamp')
        const saved = await store.saveStatus({ ...declared, status: readyStatus('going') })
        const message = await rejection(
          store.setFinalizers(saved, ['reflash.dev/x', 'reflash.dev/late']),
          'Invalid',
        )
        expect(message).toContain('reflash.dev/late')
        expect(await stored()).toEqual(saved)
      })
    })

    describe('follow', () => {
      it('lists each kind, then gives every later change once, in order', async () => {
        const before = await store.create(category('before'))
        const follower = await follow()
        expect(follower.list('Category').objects).toEqual([before])
        expect(follower.list('Build').objects).toEqual([])
        const one = await store.create(category('one'))
        const two = await store.create(category('two'))
        const changed = await store.setFinalizers(one, ['reflash.dev/x'])
        const ready = await store.saveStatus({ ...two, status: readyStatus('ready') })
        await store.delete('Category', keyOf(two))
        const changes = await follower.changesUntil(({ type }) => type === 'Deleted')
        const end = versionOf(changes.at(-1)!.object)
        expect(changes.map(brief)).toEqual([
          `Added one ${versionOf(one)}`,
          `Added two ${versionOf(two)}`,
          `Modified one ${versionOf(changed)}`,
          `Modified two ${versionOf(ready)}`,
          `Deleted two ${end}`,
        ])
        expect(changes[3]).toEqual({ type: 'Modified', object: ready })
        expect(compareVersions(versionOf(ready), end)).toBeLessThan(0)
      })

      it('goes on with what happens', async () => {
        const follower = await follow()
        for (const name of ['ap-1', 'ap-2', 'ap-3']) {
          await store.create(category(name))
          // Each write follows the event before it, so that the follower has had to wait for it.
          await follower.changesUntil(({ object }) => object.metadata.name === name)
        }
        expect(follower.changes().map(({ type }) => type)).toEqual(['Added', 'Added', 'Added'])
      })

      it('gives the wanted kinds alone', async () => {
        const builds = await follow(['Build'])
        await store.create(category('ap'))
        await store.create(build('ap'))
        const changes = await builds.changesUntil(({ object }) => object.kind === 'Build')
        expect(changes.map(({ object }) => object.kind)).toEqual(['Build'])
        expect((await follow(['Device'])).lists()).toMatchObject([{ kind: 'Device', objects: [] }])
      })

      it('says nothing when nothing was written', async () => {
        await world.declare(category('ap'))
        const first = await stored()
        const follower = await follow()
        await world.declare(category('ap'))
        await store.saveStatus(first)
        await store.setFinalizers(first, [])
        await store.create(category('end'))
        const changes = await follower.changesUntil(({ object }) => object.metadata.name === 'end')
        expect(changes).toHaveLength(1)
      })

      it('ends when it is aborted, before and while it waits', async () => {
        const signal = AbortSignal.abort()
        const iterator = store.follow({ kinds: allKinds, signal })[Symbol.asyncIterator]()
        expect(await iterator.next()).toMatchObject({ done: true })
        const follower = await follow()
        await follower.stop()
        await store.create(category('late'))
        expect(follower.changes()).toEqual([])
      })

      it('lists again for a follower that has fallen behind what is kept', async ({ skip }) => {
        if (!world.expire) return skip('what it keeps cannot be shortened from here')
        const { signal } = new AbortController()
        const iterator = store.follow({ kinds: ['Category'], signal })[Symbol.asyncIterator]()
        expect(await iterator.next()).toMatchObject({ value: { type: 'Listed', objects: [] } })
        const object = await store.create(category('ap'))
        await world.expire()
        const { value: second } = await iterator.next()
        expect(second).toMatchObject({ type: 'Listed', objects: expect.arrayContaining([object]) as unknown })
        await iterator.return?.()
      })
    })

    it('gives away copies, and keeps copies', async () => {
      const manifest = category('ap', { labels: { a: 'b' } })
      const follower = await follow()
      const created = await store.create(manifest)
      manifest.spec.description = 'changed by the caller'
      manifest.metadata.labels!['a'] = 'changed by the caller'
      const status = readyStatus('ready')
      const saved = await store.saveStatus({ ...created, status })
      status.conditions![0]!.message = 'changed by the caller'
      const expected = structuredClone(await stored())
      expect(expected).toMatchObject({ spec: { description: 'first' }, status: readyStatus('ready') })

      const { items } = await store.list('Category')
      const changes = await follower.changesUntil(({ type }) => type === 'Modified')
      const later = await follow()
      const copies = [
        created,
        saved,
        items[0]!,
        await stored(),
        ...changes.map(({ object }) => object),
        later.list('Category').objects[0]!,
      ]
      expect(copies).toHaveLength(7)
      for (const copy of copies) {
        copy.metadata.name = 'changed by the caller'
        copy.spec = {} as never
        if (copy.status.conditions) copy.status.conditions.length = 0
      }
      expect(await stored()).toEqual(expected)
      expect((await follow()).list('Category').objects).toEqual([expected])
    })

    it('keeps text as it is', async () => {
      const description = 'Zürich 东京 \u{1f4e1} "quoted" \\ \u0000 \u2028 \ufffd'
      await store.create(category('ap', { description }))
      expect((await stored()).spec.description).toBe(description)
    })

    it('holds after any operations: whoever follows ends with the list', { timeout: 120_000 }, async () => {
      const operation = fc.record({
        what: fc.constantFrom('create', 'declare', 'status', 'delete', 'finalize', 'release' as const),
        name: fc.constantFrom('a', 'b', 'c'),
        value: fc.constantFrom('1', '2', '3'),
      })
      type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never
      const perform = async ({ what, name: each, value }: Operation): Promise<void> => {
        const key = { namespace: 'default', name: each }
        if (what === 'create') return void (await store.create(category(each, { description: value })))
        if (what === 'declare')
          return void (await world.declare(category(each, { description: value, labels: { value } })))
        if (what === 'delete') return store.delete('Category', key)
        const object = await store.get('Category', key)
        if (!object) return
        if (what === 'status') await store.saveStatus({ ...object, status: readyStatus(value) })
        if (what === 'finalize') await store.setFinalizers(object, [`x.dev/${value}`])
        if (what === 'release') await store.setFinalizers(object, [])
      }
      let ends = 0
      const tolerant = (each: Operation): Promise<void> =>
        perform(each).catch((error: unknown) => {
          if (!hasCode(error, 'AlreadyExists', 'Invalid')) throw error
        })

      await fc.assert(
        fc.asyncProperty(fc.array(operation, { maxLength: 30 }), fc.nat(30), async (operations, at) => {
          for (const each of operations.slice(0, at)) await tolerant(each)
          const follower = await follow(['Category'])
          for (const each of operations.slice(at)) await tolerant(each)
          const mark = `${(ends += 1)}`
          await world.declare(category('end', { description: mark }))
          const changes = await follower.changesUntil(
            ({ object }) =>
              object.kind === 'Category' &&
              object.spec.description === mark &&
              object.metadata.name === 'end',
          )
          const { items } = await store.list('Category')
          const objects = new Map<string, AnyResource>(
            follower.list('Category').objects.map((object) => [object.metadata.name, object]),
          )
          let version = follower.list('Category').resourceVersion
          for (const { type, object } of changes) {
            const { name: each } = object.metadata
            expect(objects.has(each), `${type} ${each}`).toBe(type !== 'Added')
            expect(compareVersions(version, versionOf(object))).toBeLessThan(0)
            version = versionOf(object)
            if (type === 'Deleted') objects.delete(each)
            else objects.set(each, object)
          }
          expect(
            [...objects.values()].toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)),
          ).toEqual(items)
          await follower.stop()
        }),
        { numRuns: world.runs ?? 60 },
      )
    })

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
      expect((await follow(['Category'])).lists()).toMatchObject([{ objects: list.items }])
      const next = await store.create(build('gone'))
      expect(compareVersions(list.resourceVersion, versionOf(next))).toBeLessThan(0)
      await rejection(store.saveStatus({ ...first, status: readyStatus('late') }), 'Conflict')
    })
  })
}

/** What a store adds whose declared state is written by this process too. */
export const declaredStoreContract = (
  name: string,
  open: () => Promise<{ store: DeclaredStore; close(): Promise<void> }>,
): void => {
  describe(`declared store: ${name}`, () => {
    let store: DeclaredStore
    let close: () => Promise<void>
    beforeEach(async () => {
      const world = await open()
      store = world.store
      close = () => world.close()
    })
    afterEach(() => close())

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
        expect(await store.get('Category', ap)).toEqual(object)
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
  })
}
