import type { Key } from '../api/resources.ts'
import { subjectString } from '../core/keys.ts'
import { eventName } from '../core/names.ts'
import { toMs, toTime } from '../core/time.ts'
import type { EventChange, EventLog, RecordedEvent } from '../ports/event-log.ts'

export interface EventLimits {
  perObject: number
  total: number
  /** After its last time an event is kept this long, unless the other bounds bite. */
  keepMs: number
  /** Changes that followers may be behind. */
  changes: number
}

const defaultLimits: EventLimits = {
  perObject: 20,
  // An hour at 30 starts a minute, 14 events an upgrade, with 10,000 devices seen first; about 25 MB in the state file.
  total: 50_000,
  // What happened in the night can be read in the morning.
  keepMs: 24 * 3600_000,
  changes: 10_000,
}

/** What happened to an object, before it has a name. */
export type Happening = Pick<RecordedEvent, 'type' | 'reason' | 'message' | 'regarding'>

/** Recent events in memory, bounded by object, by number and by age. Taking one in costs the same, however many there are. */
export interface EventHistory extends EventLog {
  /** Takes in what happened; an equal event of the same object is counted. */
  note(happening: Happening, now: number): void
  prune(now: number): void
}

interface Entry {
  event: RecordedEvent
  lastMs: number
  identity: string
  subject: string
}

/**
 * Begins with the events of earlier processes, in the order of their versions. New versions ascend from `version`, and
 * each change is told to `onChanged` before the followers hear of it.
 */
export function createEventHistory(options: {
  initial: readonly RecordedEvent[]
  version: number
  newUid: () => string
  onChanged: (change: EventChange) => void
  limits?: Partial<EventLimits>
}): EventHistory {
  const { newUid, onChanged } = options
  const limits = { ...defaultLimits, ...options.limits }
  // The maps are in the order of the last change: what is first has been quiet for longest.
  const byName = new Map<string, Entry>()
  const byIdentity = new Map<string, Entry>()
  const bySubject = new Map<string, Set<Entry>>()
  const listeners = new Set<() => void>()
  let changes: EventChange[] = []
  let version = options.version
  /** Every change after this version is kept. */
  let oldest = version
  let names: string[] | undefined
  let listed: { version: number; events: readonly RecordedEvent[] } | undefined

  const add = (event: RecordedEvent): Entry => {
    const entry = {
      event,
      lastMs: toMs(event.lastTimestamp),
      identity: identityOf(event),
      subject: subjectString(event.regarding),
    }
    const subject = bySubject.get(entry.subject) ?? new Set()
    bySubject.set(entry.subject, subject.add(entry))
    byIdentity.set(entry.identity, entry)
    byName.set(idOf(event), entry)
    names = undefined
    return entry
  }

  const remove = (entry: Entry): void => {
    const { event, subject, identity } = entry
    byName.delete(idOf(event))
    if (byIdentity.get(identity) === entry) byIdentity.delete(identity)
    const others = bySubject.get(subject)!
    others.delete(entry)
    if (others.size === 0) bySubject.delete(subject)
    names = undefined
  }

  const changed = (type: EventChange['type'], event: RecordedEvent): void => {
    const change = { type, event, version: event.version }
    changes.push(change)
    if (changes.length > 2 * limits.changes) {
      const gone = changes.length - limits.changes
      oldest = changes[gone - 1]!.version
      changes = changes.slice(gone)
    }
    onChanged(change)
  }

  const drop = (entry: Entry): void => {
    remove(entry)
    changed('DELETED', { ...entry.event, version: (version += 1) })
  }

  const count = (entry: Entry, now: number): void => {
    const { event, subject } = entry
    version += 1
    entry.event = { ...event, count: event.count + 1, lastTimestamp: toTime(now), version }
    entry.lastMs = now
    const id = idOf(event)
    byName.delete(id)
    byName.set(id, entry)
    const siblings = bySubject.get(subject)!
    siblings.delete(entry)
    siblings.add(entry)
    changed('MODIFIED', entry.event)
  }

  const begin = (happening: Happening, now: number): void => {
    version += 1
    const time = toTime(now)
    const { event, subject } = add({
      namespace: happening.regarding.namespace || 'default',
      name: eventName(happening.regarding.name, version.toString(16)),
      uid: newUid(),
      ...happening,
      count: 1,
      firstTimestamp: time,
      lastTimestamp: time,
      version,
    })
    changed('ADDED', event)
    const siblings = bySubject.get(subject)!
    if (siblings.size > limits.perObject) drop(first(siblings)!)
    while (byName.size > limits.total) drop(first(byName.values())!)
  }

  const prune = (now: number): void => {
    for (const entry of byName.values()) {
      if (now - entry.lastMs <= limits.keepMs) return
      drop(entry)
    }
  }

  const tell = (): void => {
    for (const listener of listeners) listener()
  }

  const all = (): readonly RecordedEvent[] => {
    if (listed?.version === version) return listed.events
    names ??= [...byName.keys()].toSorted()
    listed = { version, events: names.map((name) => byName.get(name)!.event) }
    return listed.events
  }

  for (const event of options.initial) {
    const known = byIdentity.get(identityOf(event))
    if (known) remove(known)
    add(event)
  }

  return {
    version: () => version,
    list: (namespace) =>
      namespace === undefined ? all() : all().filter((event) => event.namespace === namespace),
    get: (key: Key) => byName.get(idOf(key))?.event,
    since(from, limit) {
      if (from < oldest || from > version) return 'Expired'
      const start = firstAfter(changes, from)
      return changes.slice(start, start + limit)
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    note(happening, now) {
      const before = byIdentity.get(identityOf(happening))
      if (before) count(before, now)
      else begin(happening, now)
      prune(now)
      tell()
    },
    prune(now) {
      const before = version
      prune(now)
      if (version !== before) tell()
    },
  }
}

/** Sorts by namespace, then name: no name holds a NUL. */
const idOf = ({ namespace, name }: Key): string => `${namespace}\0${name}`

const identityOf = ({ type, reason, message, regarding }: Happening): string =>
  [type, reason, subjectString(regarding), message].join('\0')

const first = <T>(items: Iterable<T>): T | undefined => {
  for (const item of items) return item
  return undefined
}

/** Index of the first change after a version. */
function firstAfter(changes: readonly EventChange[], version: number): number {
  let low = 0
  let high = changes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (changes[middle]!.version <= version) low = middle + 1
    else high = middle
  }
  return low
}
