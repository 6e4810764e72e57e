import { expect, test } from 'vitest'
import { nearest } from '../../src/api/nearest.ts'

test.each([
  ['prot', 'port'],
  ['maxConcurent', 'maxConcurrent'],
  ['adresses', 'addresses'],
  ['Hold', 'hold'],
])('%s was meant to be %s', (word, meant) => {
  expect(nearest(word, ['port', 'hold', 'addresses', 'maxConcurrent'])).toBe(meant)
})

test('what resembles nothing is left alone', () => {
  expect(nearest('colour', ['port', 'hold', 'addresses'])).toBeUndefined()
})
