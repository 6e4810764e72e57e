import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  afterOutcome,
  startListWatch,
  type Ask,
  type ListWatch,
  type Outcome,
  type Told,
} from '../../src/adapters/kubernetes/list-watch.ts'

const middle = 0.5

const page = (objects: readonly unknown[], more?: string): Outcome => ({
  kind: 'Page',
  objects,
  resourceVersion: '100',
  continue: more,
})
const ended = (lastedMs: number, changes = 0): Outcome => ({
  kind: 'Ended',
  resourceVersion: '200',
  lastedMs,
  changes,
})
const failed = (status: number | undefined, more: object = {}): Outcome => ({
  kind: 'Failed',
  status,
  lastedMs: 5,
  ...more,
})

/** Where a row of outcomes leads, and what was waited and told on the way. */
function follow(...outcomes: Outcome[]): { machine: ListWatch; waits: number[]; told: string[]; last: Told } {
  let machine = startListWatch()
  let last: Told
  const waits: number[] = []
  const told: string[] = []
  for (const outcome of outcomes) {
    ;[machine, last] = afterOutcome(machine, outcome, middle)
    waits.push(machine.waitMs)
    if (last) told.push(last.kind)
  }
  return { machine, waits, told, last }
}

const firstPage: Ask = { kind: 'List', limit: 500, continue: undefined }
const watchFrom = (resourceVersion: string): Ask => ({ kind: 'Watch', resourceVersion })
const listed = page([])

describe('where outcomes lead', () => {
  const rows: [name: string, outcomes: Outcome[], ask: Ask, waits: number[], told: string[]][] = [
    ['nothing yet', [], firstPage, [], []],
    ['a list', [listed], watchFrom('100'), [0], ['Listed']],
    ['a first page', [page([1], 'a')], { ...firstPage, continue: 'a' }, [0], []],
    ['the last page', [page([1], 'a'), listed], watchFrom('100'), [0, 0], ['Listed']],
    [
      '500 in the middle of paging',
      [page([1], 'a'), failed(500)],
      { ...firstPage, continue: 'a' },
      [0, 800],
      ['Interrupted'],
    ],
    [
      '410 in the middle of paging: all at once',
      [page([1], 'a'), failed(410)],
      { kind: 'List', limit: undefined, continue: undefined },
      [0, 0],
      [],
    ],
    ['410 of that too', [page([1], 'a'), failed(410), failed(410)], firstPage, [0, 0, 1600], ['Interrupted']],
    ['410 of a watch: a new list at once', [listed, failed(410)], firstPage, [0, 0], ['Listed']],
    [
      '410 twice in a row: a new list after a while',
      [listed, failed(410), listed, failed(410)],
      firstPage,
      [0, 0, 0, 1600],
      ['Listed', 'Listed', 'Interrupted'],
    ],
    [
      '410 of a watch that was healthy for long, after failures: at once',
      [failed(500), listed, failed(410, { lastedMs: 300_000, resourceVersion: '150' })],
      firstPage,
      [800, 0, 0],
      ['Interrupted', 'Listed'],
    ],
    [
      'an outage right after 410 is told',
      [listed, failed(410), failed(undefined)],
      firstPage,
      [0, 0, 1600],
      ['Listed', 'Interrupted'],
    ],
    [
      'no answer to a watch: from where it was',
      [listed, failed(undefined)],
      watchFrom('100'),
      [0, 800],
      ['Listed', 'Interrupted'],
    ],
    [
      'a watch that broke: from where it had come',
      [listed, failed(undefined, { resourceVersion: '150' })],
      watchFrom('150'),
      [0, 800],
      ['Listed', 'Interrupted'],
    ],
    [
      'an outage however long: never a new list for it',
      [listed, ...Array.from({ length: 8 }, () => failed(undefined))],
      watchFrom('100'),
      [0, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000],
      ['Listed', 'Interrupted'],
    ],
    [
      'a watch that is refused again and again: a new list',
      [listed, failed(500), failed(500), failed(500)],
      firstPage,
      [0, 800, 1600, 3200],
      ['Listed', 'Interrupted'],
    ],
    [
      'list granted, watch forbidden: told each time the list has been heard',
      [listed, failed(403), failed(403), failed(403), listed, failed(403)],
      firstPage,
      [0, 30_000, 30_000, 30_000, 0, 30_000],
      ['Listed', 'Interrupted', 'Listed', 'Interrupted'],
    ],
    [
      'a watch that begins and breaks is told each time',
      [listed, failed(undefined, { resourceVersion: '101' }), failed(undefined, { resourceVersion: '102' })],
      watchFrom('102'),
      [0, 800, 1600],
      ['Listed', 'Interrupted', 'Interrupted'],
    ],
    ['429 is waited for as asked', [failed(429, { retryAfterMs: 7000 })], firstPage, [7000], ['Interrupted']],
    [
      '429 that asks for less than the backoff',
      [failed(429, { retryAfterMs: 1 })],
      firstPage,
      [800],
      ['Interrupted'],
    ],
    [
      '429 of a watch: no list on top of it',
      [listed, failed(429), failed(429), failed(429), failed(429)],
      watchFrom('100'),
      [0, 800, 1600, 3200, 6400],
      ['Listed', 'Interrupted'],
    ],
    ['403 is waited for in peace', [failed(403), failed(403)], firstPage, [30_000, 30_000], ['Interrupted']],
    ['404 likewise', [failed(404)], firstPage, [30_000], ['Interrupted']],
    ['a watch that ends as agreed', [listed, ended(400_000)], watchFrom('200'), [0, 0], ['Listed']],
    [
      'a watch that ends at once with nothing is a failure',
      [listed, ended(3), ended(3)],
      watchFrom('200'),
      [0, 800, 1600],
      ['Listed', 'Interrupted', 'Interrupted'],
    ],
    [
      'a watch that ends at once with something: the next no sooner than a second after it',
      [listed, ended(300, 2)],
      watchFrom('200'),
      [0, 700],
      ['Listed'],
    ],
    [
      'a watch that lasted ends the row of failures',
      [listed, failed(500), failed(500), ended(5000), failed(500)],
      watchFrom('200'),
      [0, 800, 1600, 0, 800],
      ['Listed', 'Interrupted', 'Interrupted'],
    ],
    [
      'so does one that broke after two minutes',
      [listed, failed(500), failed(500), failed(undefined, { lastedMs: 120_000, resourceVersion: '150' })],
      watchFrom('150'),
      [0, 800, 1600, 800],
      ['Listed', 'Interrupted', 'Interrupted'],
    ],
    [
      'one that broke sooner does not',
      [listed, failed(500), failed(undefined, { lastedMs: 119_999, resourceVersion: '150' })],
      watchFrom('150'),
      [0, 800, 1600],
      ['Listed', 'Interrupted', 'Interrupted'],
    ],
  ]
  test.each(rows)('%s', (...row) => {
    const [, outcomes, ask, waits, told] = row
    const end = follow(...outcomes)
    expect(end.machine.ask).toEqual(ask)
    expect(end.waits).toEqual(waits)
    expect(end.told).toEqual(told)
  })

  test('a list is all of its pages, in order, and none of an attempt before', () => {
    const { last } = follow(page([1], 'a'), page([2], 'b'), failed(410), page([3], 'c'), page([4]))
    expect(last).toEqual({ kind: 'Listed', objects: [3, 4], resourceVersion: '100' })
  })
})

/** An outcome that may come of this ask while everything fails, or ends at once. */
const badOutcome = (
  { kind }: Ask,
  [choice, lastedMs, status]: [number, number, number | undefined],
): Outcome => {
  // A list may well come while watches fail.
  if (kind === 'List') return choice % 3 === 0 ? page([], choice === 0 ? 'more' : undefined) : failed(status)
  if (choice % 3 === 0)
    return { kind: 'Ended', resourceVersion: '5', lastedMs, changes: choice === 0 ? 1 : 0 }
  return failed(status, { lastedMs, ...(choice === 1 ? { resourceVersion: '5' } : {}) })
}
const trouble = fc.tuple(
  fc.integer({ min: 0, max: 5 }),
  fc.integer({ min: 0, max: 999 }),
  fc.constantFrom(undefined, 400, 401, 403, 404, 410, 410, 429, 500, 503, 504),
)

test('whatever goes wrong, the server is asked no more than once a second in the long run', () => {
  fc.assert(
    fc.property(
      fc.array(trouble, { minLength: 40, maxLength: 200 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (troubles, random01) => {
        let machine = startListWatch()
        let elapsedMs = 0
        // Of pages only two come in a row: lists end.
        let pages = 0
        for (const each of troubles) {
          elapsedMs += machine.waitMs
          let outcome = badOutcome(machine.ask, each)
          if (outcome.kind === 'Page' && outcome.continue !== undefined && ++pages % 3 === 0)
            outcome = page([])
          // What an answer takes is left out: it may take no time.
          ;[machine] = afterOutcome(machine, { ...outcome }, random01)
          if (outcome.kind === 'Ended') elapsedMs += outcome.lastedMs
        }
        expect(troubles.length).toBeLessThanOrEqual(elapsedMs / 1000 + 20)
      },
    ),
    { numRuns: 2000 },
  )
})

test('whatever went wrong, a healthy server leads to a watch, with all that is there', () => {
  fc.assert(
    fc.property(
      fc.array(trouble, { maxLength: 60 }),
      fc.array(fc.integer(), { maxLength: 30 }),
      fc.integer({ min: 1, max: 7 }),
      (troubles, objects, pageSize) => {
        let machine = startListWatch()
        let hasList = false
        for (const each of troubles) {
          const outcome = badOutcome(machine.ask, each)
          const [next, told] = afterOutcome(machine, outcome, middle)
          hasList ||= told?.kind === 'Listed'
          machine = next
        }
        expect(machine.waitMs).toBeLessThanOrEqual(33_000)
        // Healthy from now on, but for pages of before, which it has forgotten.
        let told: Told
        for (let asks = 0; machine.ask.kind === 'List'; asks += 1) {
          expect(asks).toBeLessThan(40)
          const { ask }: { ask: Ask & { kind: 'List' } } = machine as never
          const at = ask.continue === undefined ? 0 : Number(ask.continue)
          const size = ask.limit === undefined ? objects.length : pageSize
          const end = at + size
          const outcome: Outcome = Number.isNaN(at)
            ? failed(410)
            : page(objects.slice(at, end), end < objects.length ? `${end}` : undefined)
          ;[machine, told] = afterOutcome(machine, outcome, middle)
        }
        expect(machine.ask.kind).toBe('Watch')
        if (told) expect(told).toEqual({ kind: 'Listed', objects, resourceVersion: '100' })
        else expect(hasList).toBe(true)
        ;[machine, told] = afterOutcome(machine, ended(300_000), middle)
        expect(machine).toEqual({
          ask: watchFrom('200'),
          waitMs: 0,
          pages: [],
          failures: 0,
          isInterrupted: false,
        })
      },
    ),
  )
})
