import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readBank } from './bank.ts'
import { checkApplies } from './checkout.ts'

const bank = await readBank()
const root = fileURLToPath(new URL('../../', import.meta.url))

/** Promises that are kept by now, by their number in `docs/promises.md`. */
const promises = [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 23, 24, 25, 26, 27, 28, 30]

/** Without any of these a router could be flashed wrongly, or twice. */
const lifelines = [
  'digest-taken-as-declared',
  'metadata-boards-not-compared',
  'board-not-checked-before-upload',
  'guard-trusts-board-of-probe',
  'guard-does-not-hash',
  'guard-does-not-test',
  'guard-tests-without-options',
  'upgrader-tests-without-options',
  'guard-without-boot-id',
  'verdict-without-boot-id',
  'intent-not-durable',
  'intent-not-written',
  'intent-after-the-start',
]

test('the bank has a number for each mistake, and none twice', () => {
  expect(bank.length).toBeGreaterThanOrEqual(25)
  const numbers = bank.map(({ name }) => /^(\d{3})-[a-z0-9]+(-[a-z0-9]+)*$/.exec(name)?.[1])
  expect(numbers).not.toContain(undefined)
  expect(new Set(numbers).size).toBe(bank.length)
})

test('every promise that is kept has a mistake that breaks it, and so has what all of them rest on', () => {
  const broken = new Set(bank.flatMap((bug) => bug.promises))
  expect(promises.filter((number) => !broken.has(number))).toEqual([])
  const names = new Set(bank.map(({ name }) => name.slice(4)))
  expect(lifelines.filter((name) => !names.has(name))).toEqual([])
})

describe('each mistake', () => {
  test.each(bank)('$name can be planted, and names a test', async ({ path, mistake, test: file, seeds }) => {
    expect(mistake).toMatch(/^[A-Z`].*\.$/)
    expect(existsSync(root + file)).toBe(true)
    if (seeds !== undefined) expect(seeds).toBeGreaterThan(0)
    await checkApplies(path)
  })
})
