import type { RecordedEvent } from '../../ports/event-log.ts'
import type { EventTable } from '../../ports/event-table.ts'
import type { Database } from './database.ts'

/** Events in the state file, without checksums: a row that is not as it was written is a line that nobody reads. */
export function createEventTable({ connection, run, write }: Database): EventTable {
  const all = connection.prepare('SELECT json FROM events')
  const put = connection.prepare('INSERT OR REPLACE INTO events (namespace, name, json) VALUES (?, ?, ?)')
  const remove = connection.prepare('DELETE FROM events WHERE namespace = ? AND name = ?')

  return {
    load: () =>
      run(() => Array.from(all.iterate(), (row) => parse(String(row['json']))))
        .filter((event) => event !== undefined)
        .toSorted((a, b) => a.version - b.version),
    save(changes) {
      write(() => {
        for (const event of changes.put) put.run(event.namespace, event.name, JSON.stringify(event))
        for (const { namespace, name } of changes.remove) remove.run(namespace, name)
      })
    },
  }
}

/** Undefined for what is no event any more. */
function parse(text: string): RecordedEvent | undefined {
  try {
    const event = JSON.parse(text) as Partial<RecordedEvent> | null
    return isEvent(event) ? event : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const textFields = ['namespace', 'name', 'uid', 'type', 'reason', 'message'] as const
const timeFields = ['firstTimestamp', 'lastTimestamp'] as const
const subjectFields = ['apiVersion', 'kind', 'namespace', 'name'] as const

const isEvent = (event: Partial<RecordedEvent> | null): event is RecordedEvent =>
  typeof event === 'object' &&
  event !== null &&
  textFields.every((field) => typeof event[field] === 'string') &&
  timeFields.every((field) => Number.isFinite(Date.parse(String(event[field])))) &&
  subjectFields.every((field) => typeof event.regarding?.[field] === 'string') &&
  Number.isSafeInteger(event.count) &&
  Number.isSafeInteger(event.version)
