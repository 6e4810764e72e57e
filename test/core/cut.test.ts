import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cut, cutToBytes } from '../../src/core/cut.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const beginnings = (whole: string): string[] => {
  const characters = Array.from(whole)
  return Array.from({ length: characters.length + 1 }, (_, count) => characters.slice(0, count).join(''))
}

describe('a text is cut to the longest beginning of whole characters', () => {
  test('that has so many UTF-16 units', () => {
    fc.assert(
      fc.property(text, fc.nat(50), (whole, max) => {
        const longest = beginnings(whole).findLast(({ length }) => length <= max)
        expect(cut(whole, max)).toBe(longest)
      }),
    )
  })

  test('that takes so many bytes', () => {
    fc.assert(
      fc.property(text, fc.nat(80), (whole, max) => {
        const longest = beginnings(whole).findLast((part) => Buffer.byteLength(part) <= max)
        expect(cutToBytes(whole, max)).toBe(longest)
      }),
    )
  })
})
