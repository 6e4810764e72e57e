import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RecordedEvent } from '../../src/ports/event-log.ts'
import type { EventTable } from '../../src/ports/event-table.ts'

export interface EventsWorld {
  events: EventTable
  close(): Promise<void>
  /** The same events as another process finds them; only where they outlive a process. */
  reopen?(): Promise<EventTable>
}

const eventOf = (version: number, more: Partial<RecordedEvent> = {}): RecordedEvent => ({
  namespace: 'default',
  name: `ap-1.${version.toString(16)}`,
  uid: `uid-${version}`,
  type: 'Warning',
  reason: 'Unreachable',
  message: 'Zürich \u{1f4e1} does not answer',
  regarding: {
    apiVersion: 'reflash.dev/v1alpha1',
    kind: 'Device',
    namespace: 'default',
    name: 'ap-1',
    uid: 'one',
  },
  count: 1,
  firstTimestamp: '2026-01-01T00:00:00.000Z',
  lastTimestamp: '2026-01-01T00:00:00.000Z',
  version,
  ...more,
})

/** The promises of `ports/event-table.ts` as tests. */
export const eventTableContract = (name: string, open: () => Promise<EventsWorld>): void => {
  describe(`event table: ${name}`, () => {
    let world: EventsWorld
    let events: EventTable
    beforeEach(async () => {
      world = await open()
      events = world.events
    })
    afterEach(() => world.close())

    it('is empty at first', () => expect(events.load()).toEqual([]))

    it('keeps whole events, in the order of their versions', () => {
      const [first, second] = [eventOf(9), eventOf(10, { namespace: 'east' })]
      events.save({ put: [second, first], remove: [] })
      expect(events.load()).toEqual([first, second])
    })

    it('puts an event in the place of the one of its name', () => {
      events.save({ put: [eventOf(1), eventOf(2)], remove: [] })
      const counted = eventOf(3, { name: eventOf(1).name, count: 2 })
      events.save({ put: [counted], remove: [] })
      expect(events.load()).toEqual([eventOf(2), counted])
    })

    it('removes what is named, in the namespace that is named', () => {
      const elsewhere = eventOf(2, { name: eventOf(1).name, namespace: 'east' })
      events.save({ put: [eventOf(1), elsewhere], remove: [] })
      events.save({ put: [], remove: [eventOf(1), { namespace: 'default', name: 'never-was.1' }] })
      expect(events.load()).toEqual([elsewhere])
    })

    it('keeps copies', () => {
      const event = eventOf(1)
      events.save({ put: [event], remove: [] })
      event.count = 7
      events.load()[0]!.regarding.name = 'another'
      expect(events.load()).toEqual([eventOf(1)])
    })

    it('finds everything again in another process, where it is kept', async ({ skip }) => {
      if (!world.reopen) return skip('it forgets with its process')
      events.save({ put: [eventOf(1)], remove: [] })
      events = await world.reopen()
      expect(events.load()).toEqual([eventOf(1)])
    })
  })
}
