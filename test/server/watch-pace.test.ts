import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import type { ApiObject, Collection, CollectionChange } from '../../src/server/collection.ts'
import type { Presentation } from '../../src/server/presentation.ts'
import { watchCollection } from '../../src/server/watch.ts'

const latest = 1000

/** A collection of many changes, that counts how often it is asked for some. */
function manyChanges() {
  const asked = { times: 0 }
  const change = (version: number): CollectionChange => ({
    type: 'ADDED',
    version,
    object: { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'a', resourceVersion: String(version) } },
  })
  const collection = {
    version: () => latest,
    since: (version: number, limit: number) => {
      asked.times += 1
      return Array.from({ length: Math.min(limit, latest - version) }, (_, at) => change(version + at + 1))
    },
    onChange: () => () => {},
  } as unknown as Collection
  return { asked, collection }
}

test('what follows is made when what came before has been taken, and no sooner', async () => {
  const { asked, collection } = manyChanges()
  let taken = Promise.withResolvers<void>()
  const over = new AbortController()
  const stream = { write: () => taken.promise, signal: over.signal }
  const view = {
    collection,
    namespace: undefined,
    show: (object: ApiObject) => object,
    matches: () => true,
    presentation: { watched: (object: ApiObject) => JSON.stringify(object) } as unknown as Presentation,
  }
  const start = { version: 1, sendsInitial: false, marksInitialEnd: false, bookmarks: false, timeoutMs: 1000 }
  const ended = watchCollection(view, start, { stream, clock: createManualClock() })
  for (let times = 1; times <= 3; times += 1) {
    await setImmediate()
    expect(asked.times).toBe(times)
    const before = taken
    taken = Promise.withResolvers()
    before.resolve()
  }
  over.abort()
  taken.resolve()
  await ended
})
