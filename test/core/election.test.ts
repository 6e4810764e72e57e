import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  claimOf,
  decide,
  electionTimes,
  nothingObserved,
  observe,
  releaseOf,
  retryAfterMs,
  timesProblem,
  type LeaseRecord,
  type Observed,
} from '../../src/core/election.ts'

const record = (holder: string, more: Partial<LeaseRecord> = {}): LeaseRecord => ({
  holder,
  durationMs: 15_000,
  acquireTime: '2026-01-01T00:00:00.000000Z',
  renewTime: '2026-01-01T00:01:00.000000Z',
  transitions: 3,
  ...more,
})
const seen = (of: LeaseRecord | undefined, changedAt = 0): Observed => ({
  record: of,
  isThere: true,
  changedAt,
})
const me = { identity: 'me', times: electionTimes }

describe('a candidate', () => {
  test.each<[string, Observed, number, object]>([
    ['takes what nobody ever had', nothingObserved, 0, { kind: 'Acquire' }],
    ['takes what was given back, at once', seen(record('')), 0, { kind: 'Acquire' }],
    ['takes what has its own name: the answer was lost', seen(record('me')), 0, { kind: 'Acquire' }],
    ['waits as long as the record may last', seen(record('other'), 1000), 1000, { kind: 'Wait', ms: 15_000 }],
    ['waits for what is left', seen(record('other'), 1000), 15_999, { kind: 'Wait', ms: 1 }],
    ['takes what has not changed for that long', seen(record('other'), 1000), 16_000, { kind: 'Acquire' }],
    [
      "goes by the holder's own duration",
      seen(record('other', { durationMs: 60_000 })),
      16_000,
      { kind: 'Wait', ms: 44_000 },
    ],
    [
      'goes by its own duration where the holder says none',
      seen({ holder: 'other', transitions: 0 }),
      14_000,
      { kind: 'Wait', ms: 1000 },
    ],
    [
      'does not believe a deletion to have stopped anybody',
      observe(seen(record('other'), 1000), undefined, 2000),
      2000,
      { kind: 'Wait', ms: 14_000 },
    ],
    [
      'takes what was deleted long ago',
      observe(seen(record('other'), 1000), undefined, 2000),
      16_000,
      { kind: 'Acquire' },
    ],
    [
      'takes what was given back and then deleted',
      observe(seen(record('')), undefined, 1),
      1,
      { kind: 'Acquire' },
    ],
    [
      'asks no wall clock: a time long past is one of a clock that is wrong',
      seen(record('other', { renewTime: '1970-01-01T00:00:00.000000Z' })),
      0,
      { kind: 'Wait', ms: 15_000 },
    ],
  ])('%s', (_name, observed, now, decision) => {
    expect(decide({ ...me, observed, renewedAt: undefined }, now)).toEqual(decision)
  })
})

describe('a leader', () => {
  const lost = (why: string): object => ({ kind: 'Lost', why })
  test.each<[string, Observed, number, object]>([
    ['renews', seen(record('me')), 7000, { kind: 'Renew' }],
    ['renews until the deadline', seen(record('me')), 14_999, { kind: 'Renew' }],
    ['leads no more at the deadline', seen(record('me')), 15_000, lost('NotRenewed')],
    ['counts from the write, not from what it saw', seen(record('me'), 14_000), 15_000, lost('NotRenewed')],
    ['makes anew what was deleted', observe(seen(record('me')), undefined, 7000), 7000, { kind: 'Renew' }],
    ['leads no more when another does', seen(record('other')), 5001, lost('TakenOver')],
    ['leads no more when its name was taken out', seen(record('')), 5001, lost('TakenOver')],
  ])('%s', (_name, observed, now, decision) => {
    expect(decide({ ...me, observed, renewedAt: 5000 }, now)).toEqual(decision)
  })
})

describe('what is observed', () => {
  test('changes when any field of the record does', () => {
    const first = observe(nothingObserved, record('a'), 1000)
    expect(first.changedAt).toBe(1000)
    expect(observe(first, record('a'), 2000)).toEqual(first)
    const changes: Partial<LeaseRecord>[] = [
      { renewTime: '2026-01-01T00:01:00.000001Z' },
      { holder: 'b' },
      { transitions: 4 },
      { durationMs: 16_000 },
    ]
    for (const change of changes) {
      expect(observe(first, { ...record('a'), ...change }, 2000).changedAt).toBe(2000)
    }
  })

  test('changes by no deletion', () => {
    const gone = observe(observe(nothingObserved, record('a'), 1000), undefined, 2000)
    expect(gone).toEqual({ record: record('a'), isThere: false, changedAt: 1000 })
    expect(observe(gone, record('a'), 3000)).toEqual({ ...gone, isThere: true })
  })
})

describe('a record', () => {
  const time = '2026-01-01T00:02:00.000000Z'
  const claim = (of: LeaseRecord | undefined): LeaseRecord =>
    claimOf({ ...me, observed: { ...nothingObserved, record: of }, renewedAt: undefined }, time)

  test('of the first leader counts no change', () => {
    const first = {
      holder: 'me',
      durationMs: 15_000,
      acquireTime: time,
      renewTime: time,
      transitions: 0,
    }
    expect(claim(undefined)).toEqual(first)
  })
  test.each(['other', ''])('of a new leader counts one more: after %j', (before) => {
    expect(claim(record(before))).toMatchObject({ holder: 'me', acquireTime: time, transitions: 4 })
  })
  test('of the same leader is only renewed', () => {
    expect(claim(record('me'))).toEqual(record('me', { renewTime: time }))
  })
  test('that is given back names nobody, and still counts', () => {
    expect(releaseOf(record('me'), time)).toEqual(record('', { renewTime: time }))
  })
})

test.each<[string, Partial<typeof electionTimes>, string | undefined]>([
  ['the usual times', {}, undefined],
  ['no retry period', { retryMs: 0 }, 'the retry period must be longer than 0 ms: 0 ms'],
  ['no number', { retryMs: Number.NaN }, 'the retry period must be longer than 0 ms: NaN ms'],
  [
    'one retry before the deadline',
    { renewDeadlineMs: 2400 },
    'the renew deadline must be longer than 1.2 times the retry period of 2000 ms: 2400 ms',
  ],
  ['more than one retry', { renewDeadlineMs: 2401 }, undefined],
  [
    'others take over when the leader stops',
    { durationMs: 10_000 },
    'the lease duration must be longer than the renew deadline of 10000 ms: 10000 ms',
  ],
])('times are judged: %s', (_name, times, problem) => {
  expect(timesProblem({ ...electionTimes, ...times })).toBe(problem)
})

test('tries again within a fifth of the retry period, and not sooner', () => {
  expect(retryAfterMs(electionTimes, 0)).toBe(2000)
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (random01) => {
      const ms = retryAfterMs(electionTimes, random01)
      expect(ms).toBeGreaterThanOrEqual(2000)
      expect(ms).toBeLessThanOrEqual(2400)
    }),
  )
})
