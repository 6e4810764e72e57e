import fc from 'fast-check'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { mergeStreams } from '../../src/adapters/kubernetes/merge-streams.ts'

const never = new AbortController().signal

/** A source of these items, that rests between some of them. */
const sourceOf = (name: string, rests: readonly boolean[]) =>
  async function* (): AsyncGenerator<string> {
    for (const [index, doesRest] of rests.entries()) {
      if (doesRest) await setImmediate()
      yield `${name}${index}`
    }
  }

/** Yields until it is aborted, and says when it has ended. */
function endless() {
  const state = { yielded: 0, hasEnded: false }
  const source = async function* (signal: AbortSignal): AsyncGenerator<number> {
    try {
      while (!signal.aborted) yield ++state.yielded
    } finally {
      state.hasEnded = true
    }
  }
  return { state, source }
}

test('every item of every source comes once, in the order of its source', async () => {
  const sources = fc.array(fc.array(fc.boolean(), { maxLength: 30 }), { maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(sources, async (rests) => {
      const came: string[] = []
      const streams = rests.map((each, index) => sourceOf(`${index}/`, each))
      for await (const item of mergeStreams(streams, never)) {
        came.push(item)
        if (item.length % 2 === 0) await setImmediate()
      }
      for (const [index, each] of rests.entries()) {
        const own = came.filter((item) => item.startsWith(`${index}/`))
        expect(own).toEqual(each.map((_, at) => `${index}/${at}`))
      }
      expect(came).toHaveLength(rests.flat().length)
    }),
    { numRuns: 50 },
  )
})

test('a reader that is slow holds its sources up', async () => {
  const { state, source } = endless()
  const stop = new AbortController()
  for await (const item of mergeStreams([source], stop.signal)) {
    await setImmediate()
    await setImmediate()
    expect(state.yielded - item).toBeLessThanOrEqual(2001)
    if (item === 3000) stop.abort()
  }
  expect(state.hasEnded).toBe(true)
})

test('the error of one source ends the others, after what had come', async () => {
  const error = new Error('broken')
  const { state, source } = endless()
  const broken = async function* (): AsyncGenerator<number> {
    yield -1
    throw error
  }
  const came: number[] = []
  const read = async () => {
    for await (const item of mergeStreams<number>([broken, source], never)) came.push(item)
  }
  await expect(read()).rejects.toBe(error)
  expect(came).toContain(-1)
  expect(state.hasEnded).toBe(true)
})

test('a reader that leaves ends the sources', async () => {
  const { state, source } = endless()
  for await (const item of mergeStreams([source], never)) if (item === 5) break
  expect(state.hasEnded).toBe(true)
})
