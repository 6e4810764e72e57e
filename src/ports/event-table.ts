import type { Key } from '../api/resources.ts'
import type { RecordedEvent } from './event-log.ts'

/**
 * Where recorded events outlive their process. They decide nothing, so what cannot be read is left out; synchronous,
 * because the last of them are written while the process ends.
 */
export interface EventTable {
  /** Every event that is kept, in the order of their versions. */
  load(): RecordedEvent[]
  /**
   * Puts events, each in the place of an earlier one of its name, and removes others, in one transaction.
   * @throws ReflashError when nothing was written.
   */
  save(changes: { put: readonly RecordedEvent[]; remove: readonly Key[] }): void
}
