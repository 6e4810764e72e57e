import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createAnswerCache } from '../../src/server/answer-cache.ts'

function createCache(maxAnswers = 100) {
  const clock = createManualClock()
  const cache = createAnswerCache<string>({ clock, maxAnswers, lifetimeMs: ({ length }) => length * 1000 })
  const asked: string[] = []
  const get = (key: string, answer: string | Promise<string> = key): Promise<string> =>
    cache.get(key, async () => {
      asked.push(key)
      return answer
    })
  return { clock, cache, asked, get }
}

test('an answer is kept for its own time, counted from the question', async () => {
  const { clock, cache, asked, get } = createCache()
  const late = Promise.withResolvers<string>()
  const first = get('a', late.promise)
  await clock.advance(1500)
  late.resolve('two')
  expect(await first).toBe('two')
  await clock.advance(1499)
  expect(await get('a')).toBe('two')
  expect(cache.has('a')).toBe(true)
  await clock.advance(1)
  expect(cache.has('a')).toBe(false)
  expect(await get('a')).toBe('a')
  expect(asked).toEqual(['a', 'a'])
})

test('who asks the same meanwhile waits for the one answer', async () => {
  const { cache, asked, get } = createCache()
  const late = Promise.withResolvers<string>()
  const all = [get('a', late.promise), get('a'), get('b'), get('a')]
  expect(cache.has('a')).toBe(true)
  late.resolve('one')
  expect(await Promise.all(all)).toEqual(['one', 'one', 'b', 'one'])
  expect(asked).toEqual(['a', 'b'])
})

test('a failure is that of everybody who waited, and is not kept', async () => {
  const { cache, asked, get } = createCache()
  const late = Promise.withResolvers<string>()
  const all = [get('a', late.promise), get('a')]
  late.reject(new Error('down'))
  const outcomes = await Promise.allSettled(all)
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(cache.has('a')).toBe(false)
  expect(await get('a')).toBe('a')
  expect(asked).toEqual(['a', 'a'])
})

test('the oldest answers go when there are too many', async () => {
  const { cache, get } = createCache(3)
  for (const key of ['a', 'b', 'c', 'd']) await get(key)
  expect(['a', 'b', 'c', 'd'].map((key) => cache.has(key))).toEqual([false, true, true, true])
})
