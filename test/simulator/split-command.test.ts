import fc from 'fast-check'
import { expect, it } from 'vitest'
import { quoteCommand } from '../../src/core/shell-quote.ts'
import { splitCommand } from '../../src/simulator/split-command.ts'

it('takes apart what was quoted', () => {
  const word = fc.string({ unit: fc.constantFrom(...`ab '"\\\n$\`;&|<>*é`.split('')) })
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), (words) => {
      expect(splitCommand(quoteCommand(words))).toEqual(words)
    }),
  )
})

it('knows the other ways to quote, too', () => {
  expect(splitCommand(String.raw`  echo "a \"b\" \$c" d\ e ''f""  `)).toEqual([
    'echo',
    'a "b" $c',
    'd e',
    'f',
  ])
  expect(splitCommand('')).toEqual([])
})
