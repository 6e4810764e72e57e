import type { RecordedEvent } from '../../ports/event-log.ts'
import type { EventTable } from '../../ports/event-table.ts'

/** Events that are forgotten with their process. */
export function createMemoryEvents(): EventTable {
  const texts = new Map<string, string>()
  return {
    load: () =>
      Array.from(texts.values(), (text) => JSON.parse(text) as RecordedEvent).toSorted(
        (a, b) => a.version - b.version,
      ),
    save({ put, remove }) {
      for (const event of put) texts.set(`${event.namespace}/${event.name}`, JSON.stringify(event))
      for (const { namespace, name } of remove) texts.delete(`${namespace}/${name}`)
    },
  }
}
