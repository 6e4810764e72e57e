import { expect, test } from 'vitest'
import { at, booted, write } from './forged-past.ts'
import { hourMs } from './past.ts'
import { settlingMs } from './settling.ts'

const late = at(hourMs, { type: 'Fault', kind: 'LateReturn' })

test.each([
  { says: 'nothing is written', history: [], writes: [], ms: 0 },
  { says: 'the last write is one of before', history: [], writes: [1], ms: 0 },
  {
    says: 'the last write is not the longest wait',
    history: [late, booted(30 * hourMs, 'b')],
    writes: [12, 31],
    ms: 10,
  },
  { says: 'a router was away by itself', history: [late, booted(30 * hourMs, 'b')], writes: [39], ms: 9 },
  { says: 'a router booted again', history: [booted(30 * hourMs, 'b')], writes: [39], ms: 37 },
  { says: 'a router is still away', history: [late], writes: [39], ms: 37 },
  { says: 'it is written when the time is over', history: [], writes: [39, 41], ms: 37 },
])('time to settle: $says', ({ history, writes, ms }) => {
  const past = {
    routers: [{ name: 'ap-1', history }],
    writes: writes.map((hours) => write(hours * hourMs, {})),
  }
  expect(settlingMs(past, { calmMs: 2 * hourMs, untilMs: 40 * hourMs })).toBe(ms * hourMs)
})
