import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRecentMap } from '../../src/adapters/kubernetes/recent-map.ts'
import { createSimilarEvents } from '../../src/adapters/kubernetes/similar-events.ts'
import type { RecordedEvent } from '../../src/ports/event-log.ts'

const eventOf = (uid: number, lastTimestamp: string): RecordedEvent => ({
  namespace: 'default',
  name: `ap-1.${uid}`,
  uid: `event-${uid}`,
  type: 'Warning',
  reason: 'Unreachable',
  message: `said ${uid}`,
  regarding: { apiVersion: 'reflash.dev/v1alpha1', kind: 'Device', namespace: 'default', name: 'ap-1' },
  count: 3,
  firstTimestamp: '2026-01-01T00:00:00.000Z',
  lastTimestamp,
  version: uid,
})

test('what is combined began when the first of it was, however old its own event is', () => {
  const shown = createSimilarEvents()
  for (let uid = 0; uid < 10; uid += 1) shown(eventOf(uid, '2026-01-01T01:00:00.000Z'), uid)
  expect(shown(eventOf(10, '2026-01-01T02:00:00.000Z'), 10)).toMatchObject({
    count: 1,
    firstTimestamp: '2026-01-01T02:00:00.000Z',
    lastTimestamp: '2026-01-01T02:00:00.000Z',
  })
  expect(shown(eventOf(11, '2026-01-01T02:00:30.000Z'), 11)).toMatchObject({
    uid: 'event-10/combined',
    count: 2,
    firstTimestamp: '2026-01-01T02:00:00.000Z',
    lastTimestamp: '2026-01-01T02:00:30.000Z',
  })
})

test('without ten quiet minutes no more than eleven events of one object and reason are shown', () => {
  const happenings = fc.array(fc.record({ uid: fc.nat(50), afterMs: fc.nat(600_000) }), { minLength: 12 })
  fc.assert(
    fc.property(happenings, (list) => {
      const shown = createSimilarEvents()
      let nowMs = 0
      const uids = list.map(({ uid, afterMs }) => {
        nowMs += afterMs
        return shown(eventOf(uid, '2026-01-01T01:00:00.000Z'), nowMs).uid
      })
      expect(new Set(uids).size).toBe(Math.min(11, new Set(list.map(({ uid }) => uid)).size))
    }),
  )
})

test('a map of what was used last forgets what was not used for longest', () => {
  const keys = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 30 })
  fc.assert(
    fc.property(keys, fc.integer({ min: 1, max: 4 }), (used, max) => {
      const map = createRecentMap<number>(max)
      const recent: string[] = []
      for (const [at, key] of used.entries()) {
        const isKept = recent.slice(-max).includes(key)
        let isMade = false
        map.use(key, () => {
          isMade = true
          return at
        })
        expect(isMade).toBe(!isKept)
        if (recent.includes(key)) recent.splice(recent.indexOf(key), 1)
        recent.push(key)
      }
    }),
  )
})
