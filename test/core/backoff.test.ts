import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoff, jittered } from '../../src/core/backoff.ts'

const limits = { baseMs: 5000, maxMs: 900_000 }

test.each([
  [1, 5000],
  [2, 10_000],
  [3, 20_000],
  [8, 640_000],
  [9, 900_000],
  [5000, 900_000],
  [0, 5000],
])('attempt %i waits %i ms', (attempt, ms) => expect(backoff({ attempt, ...limits, random01: 0.5 })).toBe(ms))

test('varies by a tenth at most, in whole milliseconds', () => {
  expect(backoff({ attempt: 1, ...limits, random01: 0 })).toBe(4500)
  expect(jittered(1000, 0.05, 0)).toBe(950)
  const random01 = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), random01, (attempt, random) => {
      const ms = backoff({ attempt, ...limits, random01: random })
      const middle = backoff({ attempt, ...limits, random01: 0.5 })
      expect(Number.isInteger(ms)).toBe(true)
      expect(Math.abs(ms - middle)).toBeLessThanOrEqual(middle * 0.1)
    }),
  )
})
