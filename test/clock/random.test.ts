import { expect, it } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'

const draw = (random: () => number, count: number): number[] => Array.from({ length: count }, () => random())

it('repeats itself for the same seed and differs for another', () => {
  expect(draw(createRandom(7), 20)).toEqual(draw(createRandom(7), 20))
  expect(draw(createRandom(7), 20)).not.toEqual(draw(createRandom(8), 20))
})

it('forks by name, whatever was drawn before', () => {
  const random = createRandom('seed')
  const before = draw(random.fork('a'), 5)
  draw(random, 100)
  expect(draw(random.fork('a'), 5)).toEqual(before)
  expect(draw(random.fork('b'), 5)).not.toEqual(before)
})

it('is spread evenly, for each of many seeds', () => {
  const firsts = Array.from({ length: 4000 }, (_, seed) => createRandom(seed)())
  const many = draw(createRandom(1), 4000)
  for (const sample of [firsts, many]) {
    const tenths = Array.from({ length: 10 }, () => 0)
    for (const value of sample) tenths[Math.floor(value * 10)]! += 1
    expect(Math.min(...tenths)).toBeGreaterThan(300)
    expect(Math.max(...tenths)).toBeLessThan(500)
  }
  expect(new Set(Array.from({ length: 200 }, () => createRandom(1).integer(3, 5))).size).toBe(1)
  const random = createRandom(2)
  expect(
    [...new Set(Array.from({ length: 200 }, () => random.integer(3, 5)))].toSorted((a, b) => a - b),
  ).toEqual([3, 4, 5])
})
