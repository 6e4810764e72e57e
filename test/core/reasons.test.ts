/** Holds the tables of reasons to the code: nothing is said that is not in them, and nothing is in them that is not said. */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { failureClasses } from '../../src/api/schemas/upgrade-operation.ts'
import { errorTable } from '../../src/core/errors.ts'
import {
  blockedReasons,
  conditions,
  reasonsOf,
  troubles,
  type ConditionType,
} from '../../src/core/reasons.ts'

const root = fileURLToPath(new URL('../../src/', import.meta.url))
/** Everything that decides or says something; the table itself is no use of its words. */
const code = globSync('{core,controllers}/*.ts', { cwd: root })
  .filter((path) => path !== 'core/reasons.ts')
  .map((path) => readFileSync(`${root}${path}`, 'utf8'))
  .join('\n')
const words = new Set([...code.matchAll(/'([A-Z][A-Za-z]+)'/g)].map(([, word]) => word!))
const found = (pattern: RegExp): string[] => [
  ...new Set([...code.matchAll(pattern)].map(({ groups }) => groups!['word']!)),
]
/** An error's code becomes the reason of an image that is not Ready. */
const spoken = (reason: string): boolean => words.has(reason) || Object.hasOwn(errorTable, reason)
const conditionTypes = Object.keys(conditions) as ConditionType[]

describe('reasons of blocked devices', () => {
  test('are all in the table', () => {
    const used = found(/\bno\(\s*'(?<word>[A-Z]\w+)'/g)
    expect(used.length).toBeGreaterThan(20)
    const conditionWords = new Set<string>(conditionTypes.flatMap(reasonsOf))
    expect(
      used.filter((reason) => !Object.hasOwn(blockedReasons, reason) && !conditionWords.has(reason)),
    ).toEqual([])
  })
  test('are all used', () => {
    expect(Object.keys(blockedReasons).filter((reason) => !words.has(reason))).toEqual([])
  })
  test('are sentences, each its own', () => {
    const texts = Object.values(blockedReasons)
    expect(texts.filter((text) => !/^[A-Z].*\.$/.test(text))).toEqual([])
    expect(new Set(texts).size).toBe(texts.length)
  })
  test('take in every failure class that blocks by its own name', () => {
    const after = ['Lost', 'WrongVersion', 'RolledBack', 'Unhealthy']
    const before = [
      'Unreachable',
      'AuthFailed',
      'HostKeyChanged',
      'IdentityChanged',
      'Rejected',
      'Unsupported',
    ]
    for (const name of [...before, ...after]) {
      expect(failureClasses).toContain(name)
      expect(blockedReasons).toHaveProperty(name)
    }
  })
})

describe('trouble', () => {
  test('is told of reasons that block a device, and of every final failure', () => {
    expect(Object.keys(troubles).filter((reason) => !Object.hasOwn(blockedReasons, reason))).toEqual([])
    for (const reason of ['Lost', 'WrongVersion', 'RolledBack', 'Unhealthy', 'Rejected'])
      expect(troubles).toHaveProperty(reason, 'Person')
  })
})

describe('reasons of conditions', () => {
  test('are sentences, as is what each condition says', () => {
    const texts = Object.values(conditions).flatMap(({ says, reasons }) => [
      says,
      ...Object.values<Record<string, string>>(reasons).flatMap((words) => Object.values(words)),
    ])
    expect(texts.filter((text) => !/^[A-Z`].*\.$/.test(text))).toEqual([])
  })
  test('are all in the table', () => {
    const known = new Set<string>([
      ...conditionTypes.flatMap(reasonsOf),
      ...Object.keys(blockedReasons),
      ...Object.keys(errorTable),
    ])
    const used = [
      ...found(/\bset\(\s*'[A-Z]\w+',\s*'(?:True|False|Unknown)',\s*'(?<word>[A-Z]\w+)'/g),
      ...found(/\byes\(\s*'(?<word>[A-Z]\w+)'/g),
      ...found(/status: '(?:True|False|Unknown)'(?: as const)?,\s*reason: '(?<word>[A-Z]\w+)'/g),
    ]
    expect(used.length).toBeGreaterThan(10)
    expect(used.filter((reason) => !known.has(reason))).toEqual([])
  })
  test.each(conditionTypes)('of %s are all used', (type) => {
    expect(words.has(type) || new RegExp(`\\b${type}:`).test(code)).toBe(true)
    expect(reasonsOf(type).filter((reason) => !spoken(reason))).toEqual([])
  })
})
