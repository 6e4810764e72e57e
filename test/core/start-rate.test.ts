import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nextStartAt } from '../../src/core/start-rate.ts'

test.each([
  ['nothing has started', [], 1, undefined],
  ['there is room', [1_000_000 - 10], 2, undefined],
  ['the window is full', [1_000_000 - 10_000], 1, 1_050_000],
  ['the oldest of the last two decides', [990_000, 980_000, 995_000], 2, 1_050_000],
  ['a start 60 s ago counts no more', [940_000], 1, undefined],
])('%s', (_name, starts, perMinute, expected) => {
  expect(nextStartAt(starts, perMinute, 1_000_000)).toBe(expected)
})

test('no 60 seconds ever hold more than are allowed, and no start waits without need', () => {
  const gaps = fc.array(fc.nat(30_000), { maxLength: 80 })
  fc.assert(
    fc.property(gaps, fc.integer({ min: 1, max: 10 }), (gapsMs, perMinute) => {
      const starts: number[] = []
      let now = 0
      for (const gap of gapsMs) {
        now += gap
        const wait = nextStartAt(starts, perMinute, now)
        if (wait !== undefined) {
          const justBefore = starts.filter((start) => start > wait - 1 - 60_000).length
          expect(justBefore).toBe(perMinute)
          expect(wait).toBeGreaterThan(now)
        }
        now = wait ?? now
        expect(nextStartAt(starts, perMinute, now)).toBeUndefined()
        starts.push(now)
        const inWindow = starts.filter((start) => start > now - 60_000).length
        expect(inWindow).toBeLessThanOrEqual(perMinute)
      }
    }),
  )
})
