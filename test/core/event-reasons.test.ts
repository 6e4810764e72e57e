/** Holds the table of event reasons to the code: no event says what is not in it, and nothing is in it that none says. */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { phases } from '../../src/api/schemas/upgrade-operation.ts'
import { eventReasons, isEventReason } from '../../src/core/event-reasons.ts'
import { reasonsOf } from '../../src/core/reasons.ts'

const root = fileURLToPath(new URL('../../src/', import.meta.url))
const codeOf = (pattern: string): string =>
  globSync(pattern, { cwd: root })
    .filter((path) => !path.endsWith('/event-reasons.ts'))
    .map((path) => readFileSync(`${root}${path}`, 'utf8'))
    .join('\n')
const found = (code: string, pattern: RegExp): string[] => [
  ...new Set([...code.matchAll(pattern)].map(({ groups }) => groups!['word']!)),
]

const emitters = codeOf('{app.ts,controllers/*.ts,server/*.ts,cli/*.ts}')
/** The reasons that somebody emits by name, whatever the order of the fields. */
const emitted = [
  ...found(emitters, /\bemit\(\{[^}]*?\breason: '(?<word>[A-Z]\w+)'/g),
  ...found(emitters, /\b(?:warn|info)\(\s*[\w.]*[eE]vents,\s*'(?<word>[A-Z]\w+)'/g),
  ...found(emitters, /\b(?:warning|info)\('(?<word>[A-Z]\w+)'/g),
]

describe('reasons of events', () => {
  test('are all in the table', () => {
    expect(emitted.length).toBeGreaterThan(15)
    expect(emitted.filter((reason) => !isEventReason(reason))).toEqual([])
  })
  test('take in every phase, and everything that needs a person', () => {
    expect([...phases, ...reasonsOf('Stalled')].filter((reason) => !isEventReason(reason))).toEqual([])
  })
  test('take in everything that can be wrong with an image', () => {
    const codes = found(
      codeOf('{adapters/images/*.ts,core/image-readiness.ts}'),
      /(?:ReflashError|not)\(\s*'(?<word>\w+)'/g,
    )
    expect(codes.length).toBeGreaterThan(5)
    expect(codes.filter((reason) => !isEventReason(reason))).toEqual([])
  })
  test('are all used', () => {
    const words = new Set(found(codeOf('**/*.ts'), /'(?<word>[A-Z][A-Za-z]+)'/g))
    const phaseNames = new Set<string>(phases)
    const unused = Object.keys(eventReasons).filter((reason) => !words.has(reason) && !phaseNames.has(reason))
    expect(unused).toEqual([])
  })
  test('are sentences', () => {
    expect(Object.values(eventReasons).filter((text) => !/^[A-Z].*\.$/.test(text))).toEqual([])
  })
})
