import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { parseContent } from '../../src/adapters/files/parse-content.ts'
import type { ParsedFile, ParsedItem } from '../../src/adapters/files/parse-file.ts'
import { defaultOf } from '../../src/api/defaults.ts'
import { kindInfo } from '../../src/api/kinds.ts'
import type { Manifest } from '../../src/api/resources.ts'
import type { Schema } from '../../src/api/schema.ts'
import { sameValue } from '../../src/core/same-value.ts'
import { exampleFleet } from '../support/example-fleet.ts'
import { recordFigure } from '../support/figures.ts'

/*
 * What is promised about a file that is cut off. Nothing in YAML says where a file ends, so a cut one may be valid: then
 * every document before the cut is as it was, and the last one is the beginning of what it was, with defaults for what is
 * lost. No limit of a policy is ever looser than both the default and what the whole file says, and none is ever absent.
 * That a file is not taken while it is being written is the promise of the directory, in directory-source.test.ts.
 */

const root = new URL('../../', import.meta.url)
const files = new Map<string, Buffer>([
  ['the example of the pages', Buffer.from(exampleFleet)],
  ...globSync('examples/**/*.{yaml,yml}', { cwd: root }).map((path): [string, Buffer] => [
    path,
    readFileSync(new URL(path, root)),
  ]),
])

const valueOf = ({ manifest, secret }: ParsedItem): unknown => manifest?.spec ?? secret?.entries
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** Whether a value is what is left of another: equal, cut, its default, or without what came later. */
function isBeginning(cut: unknown, whole: unknown, schema: Schema | undefined): boolean {
  if (schema && sameValue(cut, defaultOf(schema))) return true
  if (!isObject(cut) || !isObject(whole)) return whole !== undefined && textOf(whole).startsWith(textOf(cut))
  return Object.entries(cut).every(([name, value]) =>
    isBeginning(value, whole[name], schema?.properties?.[name]),
  )
}

const limitsOf = ({ manifest }: ParsedItem) => (manifest as Manifest<'UpgradePolicy'>).spec.limits
const defaultLimits = { maxConcurrent: 10, startsPerMinute: 6 }

function checkLast(cut: ParsedItem, whole: ParsedItem): void {
  const { kind } = cut.manifest ?? {}
  const left = `${JSON.stringify(valueOf(cut))} of ${cut.id}`
  expect(isBeginning(valueOf(cut), valueOf(whole), kind && kindInfo(kind).spec), left).toBe(true)
  if (kind !== 'UpgradePolicy') return
  for (const name of ['maxConcurrent', 'startsPerMinute'] as const) {
    expect(limitsOf(cut)[name]).toBeGreaterThanOrEqual(1)
    expect(limitsOf(cut)[name]).toBeLessThanOrEqual(Math.max(defaultLimits[name], limitsOf(whole)[name]))
  }
}

/** How many objects of a cut file are not as in the whole one; fails when one means something else. */
function check(cut: ParsedFile, whole: ParsedFile): number {
  let partial = 0
  for (const [index, item] of cut.items.entries()) {
    const before = whole.items[index]
    expect(before, item.id).toBeDefined()
    if (item.id === before!.id && JSON.stringify(valueOf(item)) === JSON.stringify(valueOf(before!))) continue
    partial += 1
    // Only what the cut goes through.
    expect(index).toBe(cut.items.length - 1)
    expect(before!.id.startsWith(item.id)).toBe(true)
    checkLast(item, before!)
  }
  return partial
}

test(
  'every example, cut at every byte, means nothing else than what is left of it',
  { timeout: 300_000 },
  async () => {
    let [cuts, partial, accepted, slowestMs] = [0, 0, 0, 0]
    for (const bytes of files.values()) {
      const whole = await parseContent(bytes, systemClock)
      for (let length = 0; length < bytes.length; length += 1) {
        const startMs = performance.now()
        const cut = await parseContent(bytes.subarray(0, length), systemClock)
        slowestMs = Math.max(slowestMs, performance.now() - startMs)
        cuts += 1
        accepted += cut.items.length
        partial += check(cut, whole)
      }
    }
    expect(cuts).toBeGreaterThan(8000)
    expect(accepted).toBeGreaterThan(1000)
    // Cut in brackets a document is no YAML any more; the few that are in blocks are what is left.
    expect(partial).toBeLessThan(accepted / 10)
    const figure = (name: string, value: number, more: { unit?: string; goal?: string } = {}): void =>
      recordFigure({ suite: 'fuzz', name: `truncated examples: ${name}`, value, ...more })
    figure('cuts', cuts)
    figure('objects read from less than all of their lines', partial)
    figure('meaning something else', 0, { goal: '0' })
    figure('slowest cut', Math.round(slowestMs), { unit: 'ms' })
  },
)
