import { describe, expect, test } from 'vitest'
import { getCondition, isTrue, removeCondition, setCondition } from '../../src/core/conditions.ts'

const start = Date.UTC(2026, 0, 1, 12, 0, 0, 999)
const ready = {
  type: 'Ready',
  status: 'True',
  reason: 'Accepted',
  message: 'fine',
  observedGeneration: 1,
} as const

describe('setCondition', () => {
  test('writes times in whole seconds', () => {
    expect(setCondition(undefined, ready, start)).toEqual([
      { ...ready, lastTransitionTime: '2026-01-01T12:00:00Z' },
    ])
  })

  test('keeps the time when nothing but the generation changes', () => {
    const before = setCondition(undefined, ready, start)
    const after = setCondition(before, { ...ready, observedGeneration: 2 }, start + 60_000)
    expect(after).toEqual([{ ...before[0], observedGeneration: 2 }])
  })

  test.each([{ status: 'False' }, { reason: 'NotFound' }, { message: 'worse' }] as const)(
    'moves the time with %j',
    (change) => {
      const before = setCondition(undefined, ready, start)
      const [after] = setCondition(before, { ...ready, ...change }, start + 60_000)
      expect(after).toMatchObject({ ...change, lastTransitionTime: '2026-01-01T12:01:00Z' })
    },
  )

  test('leaves a list alone in which nothing changes, unless it is out of order', () => {
    const ordered = setCondition(setCondition(undefined, ready, start), { ...ready, type: 'Stalled' }, start)
    expect(setCondition(ordered, ready, start + 60_000)).toBe(ordered)
    expect(setCondition(ordered.toReversed(), ready, start + 60_000)).toEqual(ordered)
    expect(removeCondition(ordered, 'Paused')).toBe(ordered)
  })

  test('cuts a long message, between characters, and is not fooled by its own cut', () => {
    const message = `${'x'.repeat(1023)}😀`
    const before = setCondition(undefined, { ...ready, message }, start)
    expect(before[0]!.message).toBe('x'.repeat(1023))
    expect(setCondition(before, { ...ready, message }, start + 60_000)).toEqual(before)
  })

  test('orders by type, whatever came first, and changes nothing in place', () => {
    const one = Object.freeze(setCondition(undefined, { ...ready, type: 'Stalled' }, start))
    const two = Object.freeze(setCondition(one, ready, start))
    const three = setCondition(two, { ...ready, type: 'Paused' }, start)
    expect(three.map(({ type }) => type)).toEqual(['Paused', 'Ready', 'Stalled'])
  })
})

test('conditions are found, read and removed by type', () => {
  const conditions = setCondition(
    setCondition(undefined, ready, start),
    { ...ready, type: 'Stalled', status: 'Unknown' },
    start,
  )
  expect(isTrue(conditions, 'Ready')).toBe(true)
  expect(isTrue(conditions, 'Stalled')).toBe(false)
  expect(isTrue(undefined, 'Ready')).toBe(false)
  expect(getCondition(conditions, 'Paused')).toBeUndefined()
  expect(removeCondition(conditions, 'Ready').map(({ type }) => type)).toEqual(['Stalled'])
  expect(removeCondition(undefined, 'Ready')).toEqual([])
})
