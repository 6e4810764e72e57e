import type { Key } from '../api/resources.ts'

/** What an event is about; the kind may be one that Reflash does not keep, such as Namespace. */
export interface EventSubject {
  apiVersion: string
  kind: string
  namespace: string
  name: string
  uid?: string
  /** The version of the object when it happened. */
  resourceVersion?: string
}

/** Equal events of one object are one, with a count. */
export interface RecordedEvent {
  namespace: string
  name: string
  uid: string
  type: 'Normal' | 'Warning'
  /** One word in CamelCase. */
  reason: string
  message: string
  regarding: EventSubject
  count: number
  /** RFC 3339. */
  firstTimestamp: string
  lastTimestamp: string
  /** The version of the log in which it last changed; ascending through the whole log, also over restarts. */
  version: number
}

export interface EventChange {
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  event: RecordedEvent
  version: number
}

/**
 * Recent events, to be listed and followed as a `Collection` of the server is: ordered by namespace, then name. A listener
 * is called while something is emitted, and must not throw.
 */
export interface EventLog {
  version(): number
  list(namespace?: string): readonly RecordedEvent[]
  get(key: Key): RecordedEvent | undefined
  /** At most `limit` changes after that version, in order; `Expired` when they are not kept, or the version is not ours. */
  since(version: number, limit: number): readonly EventChange[] | 'Expired'
  onChange(listener: () => void): () => void
}
