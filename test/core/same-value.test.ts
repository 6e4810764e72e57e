import fc from 'fast-check'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { isSameIdentity } from '../../src/core/identity.ts'
import { sameValue } from '../../src/core/same-value.ts'

describe('same value', () => {
  test.each<[boolean, unknown, unknown]>([
    [true, { a: 1, b: [2] }, { b: [2], a: 1 }],
    [true, { a: undefined }, {}],
    [false, { a: null }, {}],
    [false, { a: undefined, b: 1 }, { a: 1, b: undefined }],
    [false, [1, 2], [2, 1]],
    [false, [], {}],
    [false, [1], { 0: 1 }],
    [false, 1, '1'],
    [false, null, {}],
    [true, null, null],
    [false, { toString: 1 }, { a: 1 }],
    [false, JSON.parse('{"__proto__": {}}'), { a: 1 }],
  ])('%s: %j and %j', (same, a, b) => {
    expect([sameValue(a, b), sameValue(b, a)]).toEqual([same, same])
  })

  test('of JSON is what its text says, and the same both ways', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        expect(sameValue(a, JSON.parse(JSON.stringify(a)))).toBe(true)
        const [left, right] = [a, b].map((value): unknown => JSON.parse(JSON.stringify(value)))
        expect(sameValue(left, right)).toBe(isDeepStrictEqual(left, right))
      }),
    )
  })
})

test.each([
  [true, 'aa,bb', 'aa,bb'],
  [true, 'aa,bb', 'bb'],
  [true, 'aa', 'aa,serial'],
  [false, 'aa,bb', 'cc'],
  [false, 'aa', 'a'],
  [false, '', 'aa'],
  [false, ',', 'aa,'],
])('%s: identity %s and %s', (same, a, b) => {
  expect([isSameIdentity(a, b), isSameIdentity(b, a)]).toEqual([same, same])
})
