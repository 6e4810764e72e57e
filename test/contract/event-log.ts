import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { openEventRecorder, type EventRecorder } from '../../src/controllers/event-recorder.ts'
import type { EventChange } from '../../src/ports/event-log.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import type { EventsWorld } from './event-table.ts'

const begin = Date.parse('2026-01-01T00:00:00Z')
const dark = (name: string, message = 'does not answer', namespace = 'default'): FleetEvent => ({
  type: 'Warning',
  kind: 'Device',
  object: { namespace, name },
  reason: 'Unreachable',
  message,
})

/** The promises of `ports/event-log.ts`, kept by the recorder over any table. */
export const eventLogContract = (name: string, open: () => Promise<EventsWorld>): void => {
  describe(`event log: ${name}`, () => {
    let world: EventsWorld
    let clock: ReturnType<typeof createManualClock>
    let log: EventRecorder
    let failures: unknown[]
    let uids = 0
    const record = (limits = {}, table = world.events): EventRecorder =>
      openEventRecorder({
        table,
        clock,
        metadataOf: (_kind, key) => ({ uid: `uid-of-${key.name}`, resourceVersion: '7' }),
        newUid: () => `event-${(uids += 1)}`,
        onFailure: (error) => failures.push(error),
        limits: { perObject: 3, total: 6, keepMs: 3600_000, changes: 10, ...limits },
      })
    /** Every change that a follower sees who pulls a few at a time. */
    const follow = (from: number): EventChange[] => {
      const seen: EventChange[] = []
      for (;;) {
        const more = log.since(seen.at(-1)?.version ?? from, 2)
        if (more === 'Expired') throw new Error('expired')
        if (more.length === 0) return seen
        seen.push(...more)
      }
    }
    const messages = (): string[] => log.list().map(({ message }) => message)

    beforeEach(async () => {
      world = await open()
      clock = createManualClock(begin)
      failures = []
      log = record()
    })
    afterEach(async () => {
      log.close()
      await world.close()
      expect(failures).toEqual([])
    })

    it('records an event of the object that bears the name now', () => {
      log.emit(dark('ap-1'))
      const [event] = log.list()
      expect(event).toEqual({
        namespace: 'default',
        name: expect.stringMatching(/^ap-1\.[0-9a-f]+$/) as string,
        uid: expect.stringMatching(/^event-/) as string,
        type: 'Warning',
        reason: 'Unreachable',
        message: 'does not answer',
        regarding: {
          apiVersion: 'reflash.dev/v1alpha1',
          kind: 'Device',
          namespace: 'default',
          name: 'ap-1',
          uid: 'uid-of-ap-1',
          resourceVersion: '7',
        },
        count: 1,
        firstTimestamp: '2026-01-01T00:00:00.000Z',
        lastTimestamp: '2026-01-01T00:00:00.000Z',
        version: log.version(),
      })
      expect(log.get(event!)).toBe(event)
      expect(log.get({ namespace: 'east', name: event!.name })).toBeUndefined()
    })

    it('counts equal events of one object, and no others', async () => {
      log.emit(dark('ap-1'))
      log.emit(dark('ap-2'))
      await clock.advance(1500)
      log.emit(dark('ap-1'))
      log.emit(dark('ap-1', 'refuses'))
      expect(log.list().map((event) => [event.regarding.name, event.message, event.count])).toEqual([
        ['ap-1', 'does not answer', 2],
        ['ap-1', 'refuses', 1],
        ['ap-2', 'does not answer', 1],
      ])
      expect(log.list()[0]).toMatchObject({
        firstTimestamp: '2026-01-01T00:00:00.000Z',
        lastTimestamp: '2026-01-01T00:00:01.500Z',
      })
    })

    it('lists by namespace, then name, and one namespace alone', () => {
      for (const [namespace, name] of [
        ['east', 'b'],
        ['default', 'z'],
        ['east', 'a'],
        ['east-2', 'a'],
      ] as const)
        log.emit(dark(name, 'x', namespace))
      const names = (namespace?: string): string[] =>
        log.list(namespace).map((event) => `${event.namespace}/${event.name.split('.')[0]}`)
      expect(names()).toEqual(['default/z', 'east/a', 'east/b', 'east-2/a'])
      expect(names('east')).toEqual(['east/a', 'east/b'])
      expect(log.list()).toBe(log.list())
    })

    it('keeps the latest of one object, and the latest of all', () => {
      const from = log.version()
      for (const message of ['1', '2', '3', '1', '4']) log.emit(dark('ap-1', message))
      expect(messages()).toEqual(['1', '3', '4'])
      for (const device of ['b', 'c', 'd', 'e']) log.emit(dark(device))
      expect(log.list()).toHaveLength(6)
      expect(messages().slice(0, 2)).toEqual(['1', '4'])
      const gone = follow(from).filter(({ type }) => type === 'DELETED')
      expect(gone.map(({ event }) => event.message)).toEqual(['2', '3'])
    })

    it('forgets what is old, and tells its followers', async () => {
      log.emit(dark('ap-1'))
      await clock.advance(3_000_000)
      log.emit(dark('ap-2'))
      const from = log.version()
      await clock.advance(1_000_000)
      expect(log.list().map(({ regarding }) => regarding.name)).toEqual(['ap-2'])
      expect(follow(from).map(({ type, event }) => [type, event.regarding.name])).toEqual([
        ['DELETED', 'ap-1'],
      ])
    })

    it('gives every change once and in order to a follower who pulls', () => {
      const from = log.version()
      let calls = 0
      const stop = log.onChange(() => (calls += 1))
      log.emit(dark('ap-1'))
      log.emit(dark('ap-1'))
      log.emit(dark('ap-2'))
      stop()
      log.emit(dark('ap-3'))
      expect(calls).toBe(3)
      const seen = follow(from)
      expect(seen.map(({ type, event }) => [type, event.regarding.name, event.count])).toEqual([
        ['ADDED', 'ap-1', 1],
        ['MODIFIED', 'ap-1', 2],
        ['ADDED', 'ap-2', 1],
        ['ADDED', 'ap-3', 1],
      ])
      expect(seen.map(({ version }) => version)).toEqual(seen.map(({ event }) => event.version))
      expect(seen.at(-1)!.version).toBe(log.version())
    })

    it('says so when a follower is too far behind, or of another time', () => {
      const from = log.version()
      for (let count = 0; count < 25; count += 1) log.emit(dark('ap-1'))
      expect(log.since(from, 100)).toBe('Expired')
      expect(log.since(1, 100)).toBe('Expired')
      expect(log.since(log.version() + 1, 100)).toBe('Expired')
      expect(log.since(log.version(), 100)).toEqual([])
      expect(log.since(log.version() - 5, 100)).toHaveLength(5)
    })

    it('goes on after a restart, with higher versions', async ({ skip }) => {
      if (!world.reopen) return skip('it forgets with its process')
      log.emit(dark('ap-1'))
      log.emit(dark('ap-2'))
      const before = { version: log.version(), events: log.list() }
      log.close()
      // As far back as a router's clock without a battery.
      clock = createManualClock(Date.parse('2000-01-01T00:00:00Z'))
      log = record({}, await world.reopen())
      expect(log.list()).toEqual(before.events)
      expect(log.version()).toBeGreaterThan(before.version)
      expect(log.since(before.version, 10)).toBe('Expired')
      log.emit(dark('ap-1'))
      expect(log.list().map(({ count }) => count)).toEqual([2, 1])
    })

    it('is written once a second, and when it ends', async () => {
      log.emit(dark('ap-1'))
      expect(world.events.load()).toEqual([])
      await clock.advance(1000)
      expect(world.events.load()).toEqual(log.list())
      log.emit(dark('ap-1'))
      log.close()
      expect(world.events.load()).toMatchObject([{ count: 2 }])
    })

    it('writes nothing of what came and went in between', async () => {
      for (let message = 0; message < 20; message += 1) log.emit(dark('ap-1', `${message}`))
      await clock.advance(1000)
      expect(world.events.load()).toEqual(log.list().toSorted((a, b) => a.version - b.version))
    })
  })
}
