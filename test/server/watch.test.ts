import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { fullAccess } from '../../src/server/access.ts'
import { category } from '../support/category.ts'
import {
  brief,
  categoriesPath,
  readWatch,
  serveStore,
  type ServedStore,
  type WatchedLine,
  type WatchReader,
} from '../support/served-store.ts'

const inDefault = '/apis/reflash.dev/v1alpha1/namespaces/default/categories'
const ap = { namespace: 'default', name: 'ap' }
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'

const opened: ServedStore[] = []
const serve = async (...options: Parameters<typeof serveStore>): Promise<ServedStore> => {
  const served = await serveStore(...options)
  opened.push(served)
  return served
}
afterEach(() => {
  for (const served of opened.splice(0)) served.stop()
})

const watch = async (served: ServedStore, query: string, path = categoriesPath): Promise<WatchReader> => {
  const response = await served.get(`${path}?watch=true${query}`)
  expect(response.status).toBe(200)
  return readWatch(response)
}
const versionOf = async (served: ServedStore): Promise<string> =>
  (await served.store.list('Category')).resourceVersion

describe('a watch', () => {
  test('begins with what is there, and goes on with what happens', async () => {
    const served = await serve()
    await served.store.create(category('ap'))
    await served.settle()
    const response = await served.get(`${categoriesPath}?watch=1`)
    expect(response.headers.get('Content-Type')).toBe('application/json')
    expect(response.headers.get('Cache-Control')).toBe('no-transform, no-store')
    const reader = readWatch(response)
    expect(await reader.next()).toEqual({ type: 'ADDED', object: await served.store.get('Category', ap) })
    await served.store.apply(category('ap', { description: 'second' }))
    await served.store.create(category('b'))
    await served.store.delete('Category', ap)
    expect((await reader.take(3)).map(brief)).toEqual(['MODIFIED ap', 'ADDED b', 'DELETED ap'])
    await reader.cancel()
  })

  test.each(['0', ''])('from version "%s" begins with what is there', async (version) => {
    const served = await serve()
    await served.store.create(category('ap'))
    await served.settle()
    const reader = await watch(served, `&resourceVersion=${version}`)
    expect(brief((await reader.next())!)).toBe('ADDED ap')
    await reader.cancel()
  })

  test('from a version tells what is newer, of its namespace', async () => {
    const served = await serve()
    await served.store.create(category('ap'))
    const version = await versionOf(served)
    await served.store.create(category('b'))
    await served.store.create(category('c', { namespace: 'other' }))
    await served.settle()
    const reader = await watch(served, `&resourceVersion=${version}`, inDefault)
    await served.store.create(category('d'))
    expect((await reader.take(2)).map(brief)).toEqual(['ADDED b', 'ADDED d'])
    await reader.cancel()
  })

  test('ends after its time, with a last bookmark if it takes them', async () => {
    const served = await serve()
    const reader = await watch(served, '&timeoutSeconds=5&allowWatchBookmarks=true')
    const plain = await watch(served, '&timeoutSeconds=5')
    const lines = Promise.all([reader.rest(), plain.rest()])
    await served.clock.advance(4999)
    expect(served.listening()).toBe(2)
    await served.clock.advance(1)
    const bookmark = {
      kind: 'Category',
      apiVersion: 'reflash.dev/v1alpha1',
      metadata: { resourceVersion: '1' },
    }
    expect(await lines).toEqual([[{ type: 'BOOKMARK', object: bookmark }], []])
    expect(served.listening()).toBe(0)
  })

  test('lasts ten minutes at most, and sends a bookmark every minute that has other versions', async () => {
    const served = await serve()
    const reader = await watch(served, '&timeoutSeconds=100000&allowWatchBookmarks=true')
    const lines = reader.rest()
    for (let minute = 0; minute < 10; minute += 1) {
      await served.store.create({
        ...category('x'),
        kind: 'Category',
        metadata: { name: `x${minute}`, namespace: 'default' },
      })
      await served.clock.advance(60_000)
    }
    const all = await lines
    const marks = all.filter(({ type }) => type === 'BOOKMARK')
    expect(marks.length).toBeGreaterThanOrEqual(10)
    expect(marks.map(({ object }) => Number(object.metadata.resourceVersion))).toEqual(
      marks.map(({ object }) => Number(object.metadata.resourceVersion)).toSorted((a, b) => a - b),
    )
    expect(marks.at(-1)!.object.metadata.resourceVersion).toBe(await versionOf(served))
    expect(served.listening()).toBe(0)
  })

  test('that asks for the state first is told where it ends', async () => {
    const served = await serve()
    for (const name of ['a', 'b']) await served.store.create(category(name))
    await served.settle()
    const reader = await watch(
      served,
      '&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=2',
    )
    const [a, b, mark] = await reader.take(3)
    expect([a, b].map((line) => brief(line!))).toEqual(['ADDED a', 'ADDED b'])
    expect(mark).toMatchObject({
      type: 'BOOKMARK',
      object: {
        metadata: {
          resourceVersion: await versionOf(served),
          annotations: { 'k8s.io/initial-events-end': 'true' },
        },
      },
    })
    await served.store.create(category('c'))
    expect(brief((await reader.next())!)).toBe('ADDED c')
    await reader.cancel()
    const without = await watch(served, '&sendInitialEvents=false&resourceVersionMatch=NotOlderThan')
    await served.store.create(category('d'))
    expect(brief((await without.next())!)).toBe('ADDED d')
    await without.cancel()
  })

  test('with a selector sees objects come and go', async () => {
    const served = await serve()
    const reader = await watch(served, '&labelSelector=site%3Dlobby')
    const apply = (site: string, description: string) =>
      served.store.apply(category('ap', { description, labels: { site } }))
    await served.store.create(category('ap', { description: '1', labels: { site: 'hall' } }))
    await apply('hall', '2')
    await apply('lobby', '3')
    await apply('lobby', '4')
    const before = await served.store.get('Category', ap)
    const { metadata } = await apply('hall', '5')
    await apply('lobby', '6')
    await served.store.delete('Category', ap)
    const lines = await reader.take(5)
    expect(lines.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED', 'ADDED', 'DELETED'])
    // It goes as it last was, at the version of the change.
    expect(lines[2]!.object).toEqual({
      ...before,
      metadata: { ...before!.metadata, resourceVersion: metadata.resourceVersion },
    })
    await reader.cancel()
  })

  test.each(['application/json', table])(
    'by who may see less tells no more of an object that comes and goes, as %s',
    async (type) => {
      const served = await serve({
        show: (object, { sensitive }) => (sensitive ? object : { ...object, spec: {} }),
      })
      served.access = { ...fullAccess, sensitive: false }
      const query = '?watch=true&labelSelector=site%3Dlobby&includeObject=Object&sendInitialEvents=true'
      const path = `${categoriesPath}${query}&resourceVersionMatch=NotOlderThan`
      await served.store.create(category('ap', { description: 'secret', labels: { site: 'lobby' } }))
      await served.settle()
      const reader = readWatch(await served.get(path, { headers: { Accept: type } }))
      for (const site of ['lobby', 'hall', 'hall', 'lobby'])
        await served.store.apply(category('ap', { description: `secret ${site}`, labels: { site } }))
      await served.store.delete('Category', ap)
      const lines = await reader.take(5)
      expect(lines.map((line) => line.type)).toEqual(['ADDED', 'MODIFIED', 'DELETED', 'ADDED', 'DELETED'])
      expect(JSON.stringify(lines)).not.toContain('secret')
      await reader.cancel()
    },
  )

  test('of a table sends rows, and the columns once', async () => {
    const served = await serve()
    await served.store.create(category('ap'))
    await served.settle()
    const response = await served.get(
      `${categoriesPath}?watch=true&resourceVersion=0&allowWatchBookmarks=true`,
      {
        headers: { Accept: table },
      },
    )
    const reader = readWatch(response)
    const first = (await reader.next())!.object
    expect(first).toMatchObject({
      kind: 'Table',
      metadata: { resourceVersion: await versionOf(served) },
      rows: [{ cells: ['ap', 'openwrt', null, null, '0s'], object: { metadata: { name: 'ap' } } }],
    })
    expect(first['columnDefinitions']).toHaveLength(5)
    await served.store.apply(category('ap', { description: 'second' }))
    expect((await reader.next())!.object).toMatchObject({ kind: 'Table', columnDefinitions: [], rows: [{}] })
    const mark = reader.next()
    await served.clock.advance(60_000)
    expect((await mark)!.object).toMatchObject({ kind: 'Table', rows: [] })
    await reader.cancel()
  })

  test('of events and of namespaces works as well', async () => {
    const served = await serve()
    const events = await watch(served, '&fieldSelector=involvedObject.name%3Dap', '/api/v1/events')
    const namespaces = await watch(served, '&resourceVersion=1', '/api/v1/namespaces')
    const event = {
      uid: 'u',
      type: 'Normal' as const,
      reason: 'UpToDate',
      message: 'it runs its target',
      count: 1,
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
    }
    const regarding = {
      apiVersion: 'reflash.dev/v1alpha1',
      kind: 'Category',
      namespace: 'default',
      name: 'ap',
    }
    served.events.record({
      ...event,
      namespace: 'default',
      name: 'b.1',
      regarding: { ...regarding, name: 'b' },
    })
    for (const count of [1, 2])
      served.events.record({ ...event, count, namespace: 'default', name: 'ap.1', regarding })
    expect((await events.take(2)).map(brief)).toEqual(['ADDED ap.1', 'MODIFIED ap.1'])
    const other = { namespace: 'other', name: 'ap' }
    await served.store.create(category('ap', { namespace: 'other' }))
    await served.store.create(category('b', { namespace: 'other' }))
    await served.store.delete('Category', { namespace: 'other', name: 'b' })
    await served.store.delete('Category', other)
    expect((await namespaces.take(2)).map(brief)).toEqual(['ADDED other', 'DELETED other'])
    await Promise.all([events.cancel(), namespaces.cancel()])
  })
})

describe('a watch that cannot go on', () => {
  test.each([
    ['1', /^too old resource version: 1 \(\d+\)$/],
    ['999', /is not of this state/],
  ])('from version %s is told to list again', async (version, message) => {
    const served = await serve({ history: { changes: 5, characters: 100_000 } })
    for (let at = 0; at < 10; at += 1) await served.store.create(category(`c-${at}`))
    await served.settle()
    const lines = await (await watch(served, `&resourceVersion=${version}`)).rest()
    expect(lines).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }])
    expect(lines[0]!.object.message).toMatch(message)
    expect(served.listening()).toBe(0)
  })

  test('is told so when it reads too slowly, and no sooner', async () => {
    const served = await serve({ history: { changes: 50, characters: 10_000_000 } })
    const reader = await watch(served, `&resourceVersion=${await versionOf(served)}`)
    for (let at = 0; at < 30; at += 1) await served.store.create(category(`c-${at}`))
    await served.settle()
    expect((await reader.take(30)).map(brief)).toEqual(Array.from({ length: 30 }, (_, at) => `ADDED c-${at}`))
    for (let at = 30; at < 300; at += 1) await served.store.create(category(`c-${at}`))
    await served.settle()
    const lines = await reader.rest()
    expect(lines.at(-1)).toMatchObject({ type: 'ERROR', object: { code: 410 } })
    // What it was told is without a gap up to there.
    expect(lines.slice(0, -1).map(brief)).toEqual(
      Array.from({ length: lines.length - 1 }, (_, at) => `ADDED c-${30 + at}`),
    )
    expect(served.listening()).toBe(0)
  })

  test('stays with a quiet kind however many changes others have', async () => {
    const served = await serve({ history: { changes: 5, characters: 100_000 } })
    const reader = await watch(
      served,
      `&resourceVersion=${await versionOf(served)}&allowWatchBookmarks=true`,
      '/apis/reflash.dev/v1alpha1/builds',
    )
    for (let at = 0; at < 40; at += 1) await served.store.create(category(`c-${at}`))
    await served.settle()
    const line = reader.next()
    await served.clock.advance(60_000)
    expect(await line).toMatchObject({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '41' } } })
    await reader.cancel()
  })

  test('is cut off when nothing is taken for ten seconds', async () => {
    const served = await serve()
    await served.store.create(category('ap'))
    await served.settle()
    const response = await served.get(`${categoriesPath}?watch=true`)
    await served.clock.advance(9999)
    expect(served.listening()).toBe(1)
    await served.clock.advance(1)
    expect(served.listening()).toBe(0)
    await expect(response.text()).rejects.toThrow(/nobody took/)
  })

  test('leaves nothing behind when its reader goes or its request is aborted', async () => {
    const served = await serve()
    await served.store.create(category('ap'))
    await served.settle()
    const gone = new AbortController()
    const aborted = await served.get(`${categoriesPath}?watch=true&allowWatchBookmarks=true`, {
      signal: gone.signal,
    })
    const cancelled = await served.get(`${categoriesPath}?watch=true`)
    const lines = readWatch(aborted).rest()
    expect(served.listening()).toBe(2)
    await cancelled.body!.cancel()
    gone.abort()
    expect((await lines).map(({ type }) => type)).toEqual(['ADDED', 'BOOKMARK'])
    await served.clock.advance(0)
    expect(served.listening()).toBe(0)
    expect(served.clock.nextWakeMs()).toBeUndefined()
  })

  test('is refused when there are too many, and its place comes free again', async () => {
    const served = await serve({ maxWatches: 2, maxWatchesPerToken: 1 })
    served.access = { ...fullAccess, tokenId: 'a' }
    const first = await watch(served, '')
    expect((await served.get(`${categoriesPath}?watch=true`)).status).toBe(429)
    served.access = { ...fullAccess, tokenId: 'b' }
    const second = await watch(served, '')
    served.access = fullAccess
    const refused = await served.get(`${categoriesPath}?watch=true`)
    expect(refused.headers.get('Retry-After')).toBe('5')
    expect(await refused.json()).toMatchObject({ code: 429, reason: 'TooManyRequests' })
    await first.cancel()
    await served.clock.advance(0)
    const third = await watch(served, '')
    await Promise.all([second.cancel(), third.cancel()])
  })
})

describe('whatever is written', () => {
  const write = fc.record({
    what: fc.constantFrom('apply', 'delete', 'finalize', 'release', 'status' as const),
    name: fc.constantFrom('a', 'b', 'c'),
    namespace: fc.constantFrom('default', 'other'),
    site: fc.constantFrom('lobby', 'hall'),
    value: fc.constantFrom('1', '2', '3'),
  })
  type Write = typeof write extends fc.Arbitrary<infer T> ? T : never

  const perform = async ({ store }: ServedStore, { what, site, value, ...key }: Write): Promise<void> => {
    if (what === 'delete') return store.delete('Category', key)
    if (what === 'apply') {
      const { namespace, name } = key
      return void (await store.apply(category(name, { namespace, description: value, labels: { site } })))
    }
    const object = await store.get('Category', key)
    if (!object) return
    const { metadata } = object
    if (what === 'status')
      return void (await store.saveStatus({ ...object, status: { observedGeneration: Number(value) } }))
    const going = metadata.deletionTimestamp !== undefined
    const finalizers = what === 'finalize' && !going ? ['x.dev/a'] : []
    await store.setFinalizers(
      await store.apply({ ...object, metadata: { ...metadata, labels: { site } } }),
      finalizers,
    )
  }

  /** A client's copy, kept as clients do. */
  const replay = (objects: Map<string, unknown>, { type, object }: WatchedLine): void => {
    const id = `${object.metadata.namespace}/${object.metadata.name}`
    expect(objects.has(id), `${type} ${id}`).toBe(type !== 'ADDED')
    if (type === 'DELETED') objects.delete(id)
    else objects.set(id, object)
  }

  test.each([
    '',
    '&labelSelector=site%3Dlobby',
    '&fieldSelector=spec.description!%3D2',
    '&namespace=default',
  ])('a list and the watch from it are the store at every point%s', async (selector) => {
    const path = selector === '&namespace=default' ? inDefault : categoriesPath
    const query = selector === '&namespace=default' ? '' : selector
    await fc.assert(
      fc.asyncProperty(
        fc.array(write, { maxLength: 40 }),
        fc.nat(40),
        fc.nat(40),
        async (writes, at, resume) => {
          const served = await serve()
          const list = async (): Promise<{
            items: WatchedLine['object'][]
            metadata: { resourceVersion: string }
          }> => (await (await served.get(`${path}?${query}`)).json()) as never
          for (const each of writes.slice(0, at)) await perform(served, each)
          await served.settle()
          const start = await list()
          const objects = new Map<string, unknown>(
            start.items.map((item) => [`${item.metadata.namespace}/${item.metadata.name}`, item]),
          )
          let version = start.metadata.resourceVersion
          let reader = await watch(served, `&resourceVersion=${version}${query}`, path)
          for (const [place, each] of writes.slice(at).entries()) {
            await perform(served, each)
            await served.settle()
            const now = await list()
            const latest = Math.max(0, ...now.items.map(({ metadata }) => Number(metadata.resourceVersion)))
            // Lines come in the order of versions, so the copy is whole once it is as large and as young as the list.
            while (objects.size !== now.items.length || Number(version) < latest) {
              const line = (await reader.next())!
              expect(Number(line.object.metadata.resourceVersion)).toBeGreaterThan(Number(version))
              version = line.object.metadata.resourceVersion
              replay(objects, line)
            }
            expect([...objects.values()].toSorted(byId)).toEqual(now.items.toSorted(byId))
            if (place !== resume) continue
            await reader.cancel()
            reader = await watch(served, `&resourceVersion=${version}${query}`, path)
          }
          await reader.cancel()
          await served.clock.advance(0)
          expect(served.listening()).toBe(0)
          served.stop()
        },
      ),
      { numRuns: 60 },
    )
  })
})

const byId = (a: unknown, b: unknown): number => {
  const [first, second] = [a, b].map((object) => {
    const { metadata } = object as WatchedLine['object']
    return `${metadata.namespace}/${metadata.name}`
  })
  return first! < second! ? -1 : 1
}
