import { expect, test } from 'vitest'
import { judgeEndings } from './endings.ts'
import { at } from './forged-past.ts'

const fault = (atMs: number) => at(atMs, { type: 'Fault', kind: 'LinkLost' })
const without = 'end: ap-1 was left without cron, dnsmasq'
const services = ['cron', 'dnsmasq']

test.each([
  { says: 'nothing is left', left: [], finds: [] },
  { says: 'all services run', left: [{ device: 'ap-1', services: [] }], finds: [] },
  { says: 'services stay stopped', left: [{ device: 'ap-1', services }], finds: [without] },
  { says: 'something went wrong before', history: [fault(999)], finds: [without] },
  { says: 'something goes wrong from then on', history: [fault(1000)], finds: [] },
  { says: 'something else happens', history: [at(1000, { type: 'AuthRefused' })], finds: [without] },
  { says: 'it takes its time', left: [], atMs: 31_000, finds: [] },
  { says: 'it takes longer', left: [], atMs: 31_001, finds: ['end: it took 30001 ms'] },
])('told to end: $says', ({ left, history = [], atMs = 2000, finds }) => {
  const past = {
    routers: [
      { name: 'ap-2', history: [fault(1500)] },
      { name: 'ap-1', history },
    ],
    endings: [{ sinceMs: 1000, atMs, left: left ?? [{ device: 'ap-1', services }] }],
    endsWithinMs: 30_000,
  }
  expect([...judgeEndings(past)]).toEqual(finds)
})
