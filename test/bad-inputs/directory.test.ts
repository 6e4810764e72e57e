import { describe, expect, test } from 'vitest'
import { steersTerminals } from '../support/steers-terminals.ts'
import { cutRows } from './cut-rows.ts'
import { fileRows } from './file-rows.ts'
import { makeGoodFleet } from './good-fleet.ts'
import { imageRows } from './image-rows.ts'
import { manifestRows } from './manifest-rows.ts'
import { play, type Played } from './play.ts'
import { referenceRows } from './reference-rows.ts'
import type { Row } from './row.ts'
import { routerRows } from './router-rows.ts'
import { takeFigures } from './tally.ts'
import { urlRows } from './url-rows.ts'

export const rows: readonly Row[] = [
  ...cutRows,
  ...manifestRows,
  ...referenceRows,
  ...fileRows,
  ...imageRows,
  ...urlRows,
  ...routerRows,
]

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '')
const expected = (line: string | RegExp): unknown =>
  typeof line === 'string' ? line : expect.stringMatching(line)

const isPlayable = ({ needsRoot }: Row): boolean => needsRoot !== true || process.getuid?.() === 0
const playable = rows.filter(isPlayable)
const named = (listed: readonly Row[]): [string, string, Row][] =>
  listed.map((row) => [row.id, row.what, row])

const figures = takeFigures('directory', playable.length)

/** Everything that is in force, but for the other device, which was released meanwhile. */
const inForce = (specs: Played['specs'][0]): object => ({ ...specs, 'Device/other': undefined })

describe.concurrent('a directory into which comes', { timeout: 60_000 }, () => {
  test.skip.each(named(rows.filter((row) => !isPlayable(row))))('%s: %s (needs root)', () => {})

  test.each(named(playable))('%s: %s', async (_, __, row) => {
    await using good = await makeGoodFleet(row.restraint ?? 'policy')
    await row.prepare?.(good)
    const errors = row.says.filter((line) => !/ warning: /.test(String(line)))
    // What only the whole directory can tell is for validate; a run says it of the object.
    const told = row.logs ?? errors
    const arrived = ({ warnings }: { warnings: readonly string[] }): boolean =>
      told.every((line) =>
        warnings.some((text) => (typeof line === 'string' ? text === line : line.test(text))),
      )
    const played = await play(good, row.spoil, arrived, {
      reachesOther: !row.wholeDirectory,
      restarts: !row.neverEnds,
    })
    figures.noteStarts(played.starts)

    const { code, stdout, stderr } = played.validation
    expect(linesOf(stdout)).toEqual(row.says.map(expected))
    expect(code).toBe(errors.length > 0 ? 1 : 0)
    expect(played.starts).toBe(0)
    expect(played.otherStarts).toBe(row.wholeDirectory ? 0 : 1)
    expect(played.bugs).toEqual([])
    expect([stdout, stderr, ...played.warnings].join('\n')).not.toMatch(steersTerminals)

    const [before, after, restarted] = played.specs
    for (const object of row.keeps ?? []) {
      expect(after[object]).toEqual(before[object])
      expect(played.marks[object]).toContain(linesOf(stdout)[0]!.replace(/^.*?:1:1: |^.*?:(?=\d)/, ''))
    }
    if (row.wholeDirectory) expect(after).toEqual(before)
    expect(inForce(restarted)).toEqual(inForce(after))
    if (!row.neverEnds) {
      expect(played.restarted!.ending.kind).toBe('Stuck')
      const { reasons } = played.restarted!.ending as { reasons: string[] }
      for (const line of row.ends ?? []) expect(reasons).toContain(line)
    }
    figures.noteCase()
  })
})
