import { subjectString } from '../../core/keys.ts'
import type { RecordedEvent } from '../../ports/event-log.ts'
import { createRecentMap } from './recent-map.ts'

/** As client-go has it: within this time of each other, events that differ in their words alone are similar. */
const windowMs = 600_000
/** So many of them are shown one by one. */
const maxApart = 10
const maxGroups = 4096

interface Group {
  lastMs: number
  /** Uids of those that are shown one by one. */
  apart: Set<string>
  /** What stands for the others. */
  combined?: RecordedEvent
}

/**
 * Says which event to show when one has happened, for the first time or again: itself, or the one that stands for all
 * further ones of the same object, type and reason. `nowMs` is monotonic.
 */
export function createSimilarEvents(): (event: RecordedEvent, nowMs: number) => RecordedEvent {
  const groups = createRecentMap<Group>(maxGroups)
  return (event, nowMs) => {
    const key = [event.type, event.reason, subjectString(event.regarding)].join('\0')
    const group = groups.use(key, () => ({ lastMs: nowMs, apart: new Set<string>() }))
    if (nowMs - group.lastMs > windowMs) {
      group.apart.clear()
      delete group.combined
    }
    group.lastMs = nowMs
    if (group.apart.size < maxApart) group.apart.add(event.uid)
    if (group.apart.has(event.uid)) return event
    return (group.combined = combine(group.combined, event))
  }
}

function combine(combined: RecordedEvent | undefined, event: RecordedEvent): RecordedEvent {
  const { lastTimestamp } = event
  if (combined) return { ...combined, count: combined.count + 1, lastTimestamp }
  return {
    ...event,
    uid: `${event.uid}/combined`,
    // The words of an event cannot be changed later: they stay those of the first.
    message: `(combined from similar events): ${event.message}`,
    count: 1,
    firstTimestamp: lastTimestamp,
  }
}
