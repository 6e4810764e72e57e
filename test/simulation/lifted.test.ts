/** Losses that were acknowledged, and are said to stop all starts nevertheless. */
import { expect, test } from 'vitest'
import { past, write, type Forged } from './forged-past.ts'
import { dayMs, type Past } from './past.ts'
import { judgeStop } from './stops.ts'

const date = '2026-03-01'
const say = (forged: Forged, atMs: number): unknown => forged.saidLatched.push({ atMs, date })
const lose = (forged: Forged, atMs: number, operation: string): unknown =>
  forged.writes.push(write(atMs, { operation, phase: 'Failed', failureClass: 'Lost' }))
/** Somebody else begins in the place of one that died, perhaps with an operation in its flash since then. */
function dies(forged: Forged, beganMs: number, flashMs?: number): void {
  if (flashMs !== undefined) forged.writes.push(write(flashMs, { operation: 'b', phase: 'Rebooting' }))
  forged.beginnings.push(beganMs)
}
/** A state of before the losses were acknowledged. */
const putBack = (forged: Forged): void =>
  void (forged.putBack = { ofMs: 150_000, atMs: 200_500, writesKnown: 4, writesMade: 4 })
const found = 'the losses of 2026-03-01 were acknowledged 1000 ms before they were said to stop all'

const rows: { says: string; forge: (forged: Forged) => void; finds?: string[] }[] = [
  { says: 'after they were acknowledged', forge: () => {}, finds: [found] },
  { says: 'before they were acknowledged', forge: (f) => void (f.saidLatched[0]!.atMs = 199_999) },
  { says: 'by whoever is ended then', forge: (f) => void (f.saidLatched[0]!.atMs = 200_000) },
  {
    says: 'when they are, and were before',
    forge: (f) => void f.acknowledged.unshift({ atMs: 100_000, date }),
    finds: [found],
  },
  { says: 'those of another day', forge: (f) => void (f.acknowledged[0]!.date = '2026-02-28') },
  { says: 'with a store in trouble', forge: (f) => void (f.slackMs = 1) },
  { says: 'after a new loss', forge: (f) => lose(f, 200_500, 'b') },
  { says: 'after a new loss at that moment', forge: (f) => lose(f, 200_000, 'b') },
  { says: 'with a loss at the same moment', forge: (f) => lose(f, 201_000, 'b') },
  { says: 'before a loss', forge: (f) => lose(f, 201_001, 'b'), finds: [found] },
  { says: 'after a loss of before', forge: (f) => lose(f, 199_999, 'b'), finds: [found] },
  {
    says: 'after a loss that is told again',
    forge: (f) => {
      lose(f, 199_000, 'b')
      lose(f, 200_500, 'b')
    },
    finds: [found],
  },
  {
    says: 'after a loss on another day',
    forge: (f) => {
      lose(f, 200_500, 'b')
      f.writes.at(-1)!.wallMs += dayMs
    },
    finds: [found],
  },
  {
    says: 'after fewer new losses than are too many',
    forge: (f) => {
      f.governor.maxLostPerDay = 2
      lose(f, 200_500, 'b')
    },
    finds: [found],
  },
  { says: 'after one died with another one in its flash', forge: (f) => dies(f, 200_500, 200_100) },
  {
    says: 'after one died before the flash of another one',
    forge: (f) => dies(f, 200_500, 200_600),
    finds: [found],
  },
  { says: 'after one died when all was over', forge: (f) => dies(f, 200_500), finds: [found] },
  {
    says: 'before one dies with another one in its flash',
    forge: (f) => dies(f, 201_001, 200_100),
    finds: [found],
  },
  { says: 'under an older state, which knows nothing of it', forge: putBack },
  {
    says: 'once more under an older state',
    forge: (f) => {
      putBack(f)
      say(f, 200_400)
    },
    finds: ['the losses of 2026-03-01 were acknowledged 400 ms before they were said to stop all'],
  },
]

test.each(rows)('losses are said to stop all: $says', ({ forge, finds = [] }) => {
  const forged = past()
  forged.acknowledged.push({ atMs: 200_000, date })
  say(forged, 201_000)
  forge(forged)
  expect([...judgeStop(forged as Past)]).toEqual(finds)
})
