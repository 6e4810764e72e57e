import { describe, expect, it } from 'vitest'
import { createWatchLog, type WatchEvent, type WatchLog } from '../../src/adapters/watch-log.ts'
import { hasCode, type ErrorCode } from '../../src/core/errors.ts'
import { category } from '../support/category.ts'

const append = (log: WatchLog, version: number): void =>
  log.append({ type: 'Added', kind: 'Category', version, text: JSON.stringify(category(`ap-${version}`)) })

/** A log of ten changes, the latest of which are kept. */
const fullLog = (kept = 5): WatchLog => {
  const log = createWatchLog(0, { changes: kept, characters: 1_000_000 })
  for (let version = 1; version <= 10; version += 1) append(log, version)
  return log
}

const openWatch = (log: WatchLog, from: string) =>
  log.watch({ kinds: ['Category'], from, signal: new AbortController().signal })[Symbol.asyncIterator]()

const expectCode = async (work: Promise<unknown>, code: ErrorCode): Promise<string> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(hasCode(error, code), `rejects with ${code}, not ${String(error)}`).toBe(true)
  return (error as Error).message
}

const past = async (log: WatchLog, from: string): Promise<string[]> => {
  const iterator = openWatch(log, from)
  const seen: string[] = []
  for (;;) {
    const { value } = (await iterator.next()) as { value: WatchEvent }
    if (value.type === 'Bookmark') return [...seen, `Bookmark ${value.resourceVersion}`]
    seen.push(value.object.metadata.name)
  }
}

describe('the log of a store', () => {
  it('gives what came after a version, then says how far that was, and again after each change', async () => {
    const log = fullLog(20)
    expect(await past(log, '8')).toEqual(['ap-9', 'ap-10', 'Bookmark 10'])
    const iterator = openWatch(log, '10')
    expect(await iterator.next()).toMatchObject({ value: { type: 'Bookmark', resourceVersion: '10' } })
    const next = iterator.next()
    append(log, 11)
    expect(await next).toMatchObject({ value: { type: 'Added' } })
    expect(await iterator.next()).toMatchObject({ value: { type: 'Bookmark', resourceVersion: '11' } })
  })

  it('sends who asks for a forgotten version to list again', async () => {
    expect(await expectCode(past(fullLog(), '1'), 'Expired')).toMatch(/list again/)
    expect(await past(fullLog(), '10')).toEqual(['Bookmark 10'])
  })

  it('cuts off a watcher that has fallen behind what is kept', async () => {
    const log = fullLog()
    const iterator = openWatch(log, '10')
    await iterator.next()
    for (let version = 11; version <= 30; version += 1) append(log, version)
    await expectCode(iterator.next(), 'Expired')
  })

  it('refuses a version that is no number', async () => {
    for (const from of ['', 'abc', '-1', '1.5', '01', '1e3'])
      await expectCode(past(fullLog(), from), 'Invalid')
  })

  it('does not know a version that is yet to come', async () => {
    await expectCode(past(fullLog(), '100'), 'Expired')
  })
})
