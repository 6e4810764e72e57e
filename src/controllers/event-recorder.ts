import type { Key, Kind } from '../api/resources.ts'
import { apiVersion } from '../api/schema.ts'
import { printable } from '../core/printable.ts'
import type { Clock } from '../ports/clock.ts'
import type { EventChange, EventLog, EventSubject, RecordedEvent } from '../ports/event-log.ts'
import type { EventSink } from '../ports/event-sink.ts'
import type { EventTable } from '../ports/event-table.ts'
import { createEventHistory, type EventLimits } from './event-history.ts'
import { recordablesOf, type Recordable } from './recorded.ts'

/** At most one transaction in this time: what a crash takes with it is what came since. */
const saveEveryMs = 1000
/** After a save that failed: a full disk is not full for a second. */
const retrySaveMs = 30_000
/** A larger batch would keep the controllers waiting. */
const maxRowsPerSave = 1000
const pruneEveryMs = 5 * 60_000
/** As a Kubernetes API server allows. */
const maxMessageLength = 1024
/** More changes than a process makes whose last ones were lost: their versions are not used twice. */
const versionGap = 100_000

const noTable: EventTable = { load: () => [], save: () => {} }
const defaultNamespace: EventSubject = { apiVersion: 'v1', kind: 'Namespace', namespace: '', name: 'default' }

/** Turns what controllers emit into events that are kept, listed and followed. */
export interface EventRecorder extends EventSink, EventLog {
  /** Writes what is not written yet, and ends. */
  close(): void
}

/**
 * Goes on with the events of the table. A save that fails stops nothing: it is told once to `onFailure`, and tried
 * again.
 */
export function openEventRecorder(options: {
  /** Without one the events are forgotten with the process. */
  table?: EventTable
  clock: Clock
  /** Which object bears a name now. */
  metadataOf: (kind: Kind, key: Key) => Pick<EventSubject, 'uid' | 'resourceVersion'> | undefined
  newUid: () => string
  onFailure: (error: unknown) => void
  /** What stands for the fleet as a whole; the namespace `default` unless told. */
  whole?: EventSubject
  limits?: Partial<EventLimits>
}): EventRecorder {
  const { table = noTable, clock, metadataOf, newUid, onFailure, whole = defaultNamespace, limits } = options
  const initial = table.load()
  const batch = createBatch(initial)
  const history = createEventHistory({
    initial,
    version: firstVersion(initial, clock.now()),
    newUid,
    ...(limits ? { limits } : {}),
    onChanged: (change) => {
      batch.add(change)
      saveSoon()
    },
  })
  let cancelSave: (() => void) | undefined
  let failing = false
  let closed = false

  const saveSoon = (): void => {
    if (!closed) cancelSave ??= clock.after(failing ? retrySaveMs : saveEveryMs, saveSome)
  }

  function saveSome(): void {
    cancelSave = undefined
    save()
    if (batch.size() > 0) saveSoon()
  }

  function save(): void {
    const rows = batch.take(maxRowsPerSave)
    if (rows.put.length + rows.remove.length === 0) return
    try {
      table.save(rows)
      batch.saved(rows)
      failing = false
    } catch (error) {
      if (!failing) onFailure(error)
      failing = true
    }
  }

  let cancelPrune = (): void => {}
  const pruneLater = (): void => {
    cancelPrune = clock.after(pruneEveryMs, () => {
      history.prune(clock.now())
      pruneLater()
    })
  }
  history.prune(clock.now())
  pruneLater()

  const subjectOf = (about: Recordable['about']): EventSubject => {
    if (!about) return whole
    const { uid, resourceVersion } = metadataOf(about.kind, about.key) ?? {}
    return {
      apiVersion,
      kind: about.kind,
      ...about.key,
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    }
  }

  return {
    emit(event) {
      for (const { type, reason, message, about } of recordablesOf(event)) {
        const words = printable(message, maxMessageLength)
        history.note({ type, reason, message: words, regarding: subjectOf(about) }, clock.now())
      }
    },
    version: () => history.version(),
    list: (namespace) => history.list(namespace),
    get: (key) => history.get(key),
    since: (version, limit) => history.since(version, limit),
    onChange: (listener) => history.onChange(listener),
    close() {
      if (closed) return
      closed = true
      cancelSave?.()
      cancelPrune()
      failing = false
      while (batch.size() > 0 && !failing) save()
    },
  }
}

/** Beyond every version that was ever given out, also when the last ones were lost or the wall clock was set back. */
function firstVersion(initial: readonly RecordedEvent[], now: number): number {
  const latest = initial.at(-1)?.version
  return Math.max(now, latest === undefined ? 0 : latest + versionGap)
}

interface Rows {
  put: readonly RecordedEvent[]
  remove: readonly Key[]
}

/** What the table does not hold yet: the latest of each event, however often it has changed. */
function createBatch(initial: readonly RecordedEvent[]) {
  const idOf = ({ namespace, name }: Key): string => `${namespace}/${name}`
  const kept = new Set(initial.map(idOf))
  const waiting = new Map<string, EventChange>()
  return {
    size: () => waiting.size,
    add(change: EventChange): void {
      const id = idOf(change.event)
      // What came and went between two saves never was.
      if (change.type === 'DELETED' && !kept.has(id)) waiting.delete(id)
      else waiting.set(id, change)
    },
    take(max: number): Rows {
      const changes: EventChange[] = []
      for (const change of waiting.values()) {
        if (changes.length === max) break
        changes.push(change)
      }
      const isGone = ({ type }: EventChange): boolean => type === 'DELETED'
      return {
        put: changes.filter((change) => !isGone(change)).map(({ event }) => event),
        remove: changes.filter(isGone).map(({ event: { namespace, name } }) => ({ namespace, name })),
      }
    },
    saved({ put, remove }: Rows): void {
      for (const event of put) {
        kept.add(idOf(event))
        waiting.delete(idOf(event))
      }
      for (const key of remove) {
        kept.delete(idOf(key))
        waiting.delete(idOf(key))
      }
    },
  }
}
