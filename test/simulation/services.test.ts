import { expect, test } from 'vitest'
import type { Phase } from '../../src/api/resources.ts'
import type { RouterEvent, RouterFact } from '../../src/simulator/history.ts'
import { at, booted, write } from './forged-past.ts'
import { minuteMs } from './past.ts'
import { judgeServices } from './services.ts'

const services = ['dnsmasq']
const stopped = (atMs: number) => at(atMs, { type: 'ServicesStopped', services })
const run = (atMs: number) => at(atMs, { type: 'ServicesStarted', services })
const happens = (atMs: number, fact: RouterFact) => at(atMs, fact)
/** A minute after the verdict is the latest time. */
const [verdictMs, latestMs] = [2000, 2000 + minuteMs]
const late = latestMs + 1
const foundAs = (phase: Phase): string[] => [
  `services: ap-1 was left without its services when ap-1-1 was ${phase}`,
]

interface Row {
  says: string
  history: RouterEvent[]
  phase?: Phase
  device?: string
  beginnings?: number[]
  restMs?: number
  leaders?: number
  newsMs?: number
  slackMs?: number
  /** Unless told, that they are left stopped by a cancelled operation. */
  finds?: string[]
}

test.each<Row>([
  { says: 'at the same moment', history: [stopped(1000), run(1000)], finds: [] },
  { says: 'at the latest time', history: [stopped(1000), run(latestMs)], finds: [] },
  { says: 'later', history: [stopped(1000), run(late)] },
  { says: 'by a boot', history: [stopped(1000), booted(latestMs, 'b')], finds: [] },
  { says: 'by a late boot', history: [stopped(1000), booted(late, 'b')] },
  { says: 'never', history: [stopped(1000)] },
  { says: 'never, at the end of the world', history: [stopped(1000)], restMs: latestMs, finds: [] },
  { says: 'twice, the second time late', history: [stopped(500), run(600), stopped(1000), run(late)] },
  ...(['Queued', 'Failed', 'Succeeded'] as const).map((phase) => ({
    says: `late, after it was ${phase}`,
    history: [stopped(1000), run(late)],
    phase,
    finds: foundAs(phase),
  })),
  ...(['Uploading', 'Testing', 'Flashing'] as const).map((phase) => ({
    says: `late, while it is ${phase}`,
    history: [stopped(1000), run(late)],
    phase,
    finds: [],
  })),
  { says: 'late, when they were stopped after the verdict', history: [stopped(2001), run(late)], finds: [] },
  { says: 'late, when they were stopped as it began', history: [stopped(800), run(late)] },
  { says: 'late, when they were stopped with the verdict', history: [stopped(2000), run(late)] },
  { says: 'late, by the verdict on another', history: [stopped(1000), run(late)], device: 'ap-2', finds: [] },
  { says: 'late, after a new start', history: [stopped(1000), run(late)], beginnings: [1000], finds: [] },
  { says: 'late, before a new start', history: [stopped(1000), run(late)], beginnings: [late + 1] },
  { says: 'late, by a new start', history: [stopped(1000), run(late)], beginnings: [late], finds: [] },
  { says: 'late, after an old start', history: [stopped(1000), run(late)], beginnings: [999] },
  ...[
    happens(1500, { type: 'Fault', kind: 'LinkLost' }),
    happens(1500, { type: 'AuthRefused' }),
    happens(1500, { type: 'WentDown', bootId: 'boot-0' }),
  ].map((event) => ({
    says: `late, with ${event.type}`,
    history: [stopped(1000), event, run(late)],
    finds: [],
  })),
  {
    says: 'late, with a login',
    history: [stopped(1000), happens(1500, { type: 'Connected', bootId: 'boot-0' }), run(late)],
  },
  {
    says: 'late, after a fault',
    history: [happens(999, { type: 'Fault', kind: 'LinkLost' }), stopped(1000), run(late)],
  },
  ...[{ leaders: 2 }, { newsMs: 1 }, { slackMs: 1 }].map((more) => ({
    says: `late, with ${JSON.stringify(more)}`,
    history: [stopped(1000), run(late)],
    finds: [],
    ...more,
  })),
])('services come back $says', (row) => {
  const { history, phase = 'Cancelled', device = 'ap-1', beginnings = [], restMs = 10 * minuteMs } = row
  const past = {
    leaders: 1,
    newsMs: 0,
    slackMs: 0,
    ...row,
    routers: [{ name: 'ap-1', history }],
    writes: [
      // Of three, two of which have waited all the time, one is at work.
      write(700, { operation: 'ap-1-1', device, phase: 'Queued' }),
      write(800, { operation: 'ap-1-1', device, phase: 'Connecting' }),
      write(900, { operation: 'ap-1-2', device: 'ap-1', phase: 'Queued' }),
      write(1001, { operation: 'ap-1-3', device: 'ap-1', phase: 'Queued' }),
      write(2500, { operation: 'ap-1-4', device: 'ap-1', phase: 'Connecting' }),
      write(verdictMs, { operation: 'ap-1-1', device, phase }),
    ],
    beginnings,
    rest: { atMs: restMs },
  }
  expect([...judgeServices(past)]).toEqual(row.finds ?? foundAs('Cancelled'))
})
