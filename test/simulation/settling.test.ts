import { expect, test } from 'vitest'
import { at, booted, write } from './forged-past.ts'
import { hourMs } from './past.ts'
import { settlingMs } from './settling.ts'

const late = at(hourMs, { type: 'Fault', kind: 'LateReturn' })
const other = at(hourMs, { type: 'Fault', kind: 'Outage' })
const back = booted(30 * hourMs, 'b')

test.each([
  { says: 'nothing is written', history: [], writes: [], ms: 0 },
  { says: 'the last write is one of before', history: [], writes: [1], ms: 0 },
  { says: 'the last write is not the longest wait', history: [late, back], writes: [12, 31], ms: 10 },
  { says: 'a router was away by itself', history: [late, back], writes: [39], ms: 9 },
  { says: 'it is seen as it comes back', history: [late, back], writes: [30], ms: 0 },
  {
    says: 'it had booted before, at the latest as it went away',
    history: [booted(0, 'a'), booted(hourMs, 'a'), late, back],
    writes: [39],
    ms: 9,
  },
  { says: 'a router booted again', history: [back], writes: [39], ms: 37 },
  { says: 'a router was away for another reason', history: [other, back], writes: [39], ms: 37 },
  { says: 'a router is still away', history: [late], writes: [39], ms: 37 },
  { says: 'it is written at the end of the time', history: [], writes: [40], ms: 38 },
  { says: 'it is written when the time is over', history: [], writes: [39, 41], ms: 37 },
  { says: 'a router is gone by now', history: [], writes: [3], device: 'gone', ms: 1 },
])('time to settle: $says', ({ history, writes, device = 'ap-1', ms }) => {
  const past = {
    routers: [{ name: 'ap-1', history }],
    writes: writes.map((hours) => write(hours * hourMs, { device })),
  }
  expect(settlingMs(past, { calmMs: 2 * hourMs, untilMs: 40 * hourMs })).toBe(ms * hourMs)
})
