import fc from 'fast-check'
import { expect, test } from 'vitest'
import { printable, quoted } from '../../src/core/printable.ts'

test('is printable ASCII of at most the given length, whatever goes in', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.nat(100), (text, maxLength) => {
      const shown = printable(text, maxLength)
      expect(shown.length).toBeLessThanOrEqual(maxLength)
      expect(shown).toMatch(/^[\x20-\x7e]*$/)
    }),
  )
})

test.each([
  { text: 'plain text', shown: 'plain text' },
  { text: '\x1b[2Jgone\r\n', shown: String.raw`\x1b[2Jgone\x0d\x0a` },
  { text: 'caf\u00e9 \u202e', shown: String.raw`caf\xe9 \u202e` },
  { text: 'x'.repeat(50), shown: `${'x'.repeat(27)}...` },
])('shows $shown', ({ text, shown }) => {
  expect(printable(text, 30)).toBe(shown)
})

test.each([
  { text: 'a "word"', shown: String.raw`"a \"word\""` },
  { text: 'caf\u00e9 \u009b31m\u202e', shown: String.raw`"caf\u00e9 \u009b31m\u202e"` },
  { text: '\x1b[2J\n', shown: String.raw`"\u001b[2J\n"` },
  { text: 'x'.repeat(50), shown: `"${'x'.repeat(30)}"` },
])('quotes $shown', ({ text, shown }) => {
  expect(quoted(text, 30)).toBe(shown)
})
