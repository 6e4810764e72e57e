import type { RecordedEvent } from '../../ports/event-log.ts'

/** An event that is to be written. */
export interface QueuedEvent {
  event: RecordedEvent
  /** When this state of it came up, in monotonic ms. */
  sinceMs: number
  /** Whether it was counted against the limit of its object already. */
  admitted: boolean
}

/** Events in the order in which they came up, each in its latest state. */
export interface EventQueue {
  size(): number
  /** Queues an event, in the place of an earlier state of it. False: another one had to go for it. */
  add(event: RecordedEvent, nowMs: number): boolean
  shift(): QueuedEvent | undefined
  /** Queues what was taken out once more, as the last; a later state that has come meanwhile stays. */
  putBack(item: QueuedEvent): void
}

/** Holds at most `max` events: the oldest makes room for a new one. */
export function createEventQueue(max: number): EventQueue {
  const items = new Map<string, QueuedEvent>()
  const shift = (): QueuedEvent | undefined => {
    const item = items.values().next().value
    if (item) items.delete(item.event.uid)
    return item
  }
  return {
    size: () => items.size,
    shift,
    add(event, nowMs) {
      const waiting = items.get(event.uid)
      if (waiting) {
        waiting.event = event
        waiting.sinceMs = nowMs
        return true
      }
      items.set(event.uid, { event, sinceMs: nowMs, admitted: false })
      if (items.size <= max) return true
      shift()
      return false
    },
    putBack(item) {
      const later = items.get(item.event.uid)
      if (later) later.admitted = true
      else items.set(item.event.uid, item)
    },
  }
}
