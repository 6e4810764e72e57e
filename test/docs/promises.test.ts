import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readBank } from '../bugs/bank.ts'
import { notPromised, promises } from './promises.ts'

const root = new URL('../../', import.meta.url)
const bank = await readBank()

test.each(promises)(
  'promise $number has tests that are there, and a mistake that proves them',
  (promised) => {
    expect(promised.tests).not.toEqual([])
    for (const [file, name] of promised.tests) {
      // As a string literal writes it.
      const text = readFileSync(new URL(file, root), 'utf8').replaceAll("\\'", "'")
      expect(text, `${file}: ${name}`).toContain(name)
    }
    const planted = bank.filter((bug) => bug.promises.includes(promised.number))
    const named = promised.tests.map(([file]) => file)
    expect(planted.some(({ test: file }) => named.includes(file))).toBe(true)
    for (const { name, test: file } of planted) expect(existsSync(new URL(file, root)), name).toBe(true)
  },
)

test('every mistake breaks a promise, and none is both promised and not', () => {
  const numbers = promises.map(({ number }) => number)
  const others = Object.keys(notPromised).map(Number)
  expect(new Set([...numbers, ...others]).size).toBe(numbers.length + others.length)
  for (const { name, promises: broken } of bank) {
    expect(
      broken.filter((number) => ![...numbers, ...others].includes(number)),
      name,
    ).toEqual([])
    expect(
      broken.some((number) => numbers.includes(number)),
      name,
    ).toBe(true)
  }
})
