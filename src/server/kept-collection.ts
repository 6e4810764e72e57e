import type { Key } from '../api/resources.ts'
import type { ApiObject, Collection, CollectionChange, ResourceInfo } from './collection.ts'

export interface HistoryLimits {
  changes: number
  /** Length of all texts in the kept objects together, roughly. */
  characters: number
}

/** As the store's own log keeps: a follower lags by seconds, and who lags by more lists again. */
const defaultLimits: HistoryLimits = { changes: 10_000, characters: 32 * 1024 * 1024 }

export interface KeptCollection {
  collection: Collection
  /** Makes these the objects without telling anybody: nothing before that version can be followed. */
  reset(objects: readonly ApiObject[], version: number): void
  /** Takes changes in, in the order of their versions. Nobody hears of it before `tell`. */
  apply(change: { type: CollectionChange['type']; object: ApiObject; version: number }): void
  /** Tells the listeners, if anything has changed since the last call. */
  tell(): void
}

/** A collection in memory, with its latest changes. `version` says how far the source has been seen. */
export function createKeptCollection(
  info: ResourceInfo,
  version: () => number,
  limits: HistoryLimits = defaultLimits,
): KeptCollection {
  /** Sorted; copied before a change when a reader has it. */
  let objects: ApiObject[] = []
  let lent = false
  let history = createHistory(limits, 0)
  let untold = false
  const listeners = new Set<() => void>()

  const own = (): ApiObject[] => {
    if (lent) objects = objects.slice()
    lent = false
    return objects
  }

  return {
    collection: {
      info,
      version,
      list(namespace) {
        if (namespace !== undefined) {
          const start = placeOf(objects, { namespace, name: '' })
          let end = start
          while (end < objects.length && objects[end]!.metadata.namespace === namespace) end += 1
          return objects.slice(start, end)
        }
        lent = true
        return objects
      },
      get(key) {
        const found = objects[placeOf(objects, key)]
        return found && compareKeys(found.metadata, key) === 0 ? found : undefined
      },
      since: (from, limit) => history.since(from, limit),
      onChange(listener) {
        // Wrapped, so that the same function given twice is two listeners.
        const entry = (): void => listener()
        listeners.add(entry)
        return () => void listeners.delete(entry)
      },
    },
    reset(next, at) {
      objects = next.toSorted((a, b) => compareKeys(a.metadata, b.metadata))
      lent = false
      history = createHistory(limits, at)
      untold = true
    },
    apply({ type, object, version: at }) {
      const place = placeOf(objects, object.metadata)
      const found = objects[place]
      const before = found && compareKeys(found.metadata, object.metadata) === 0 ? found : undefined
      if (!before && type === 'DELETED') return
      if (type === 'DELETED') own().splice(place, 1)
      else own().splice(place, before ? 1 : 0, object)
      const change = { object, version: at }
      if (!before) history.append({ type: 'ADDED', ...change })
      else history.append({ type: type === 'DELETED' ? type : 'MODIFIED', ...change, before })
      untold = true
    },
    tell() {
      if (!untold) return
      untold = false
      for (const listener of listeners) listener()
    },
  }
}

/** The latest changes after `start`, bounded. */
function createHistory(limits: HistoryLimits, start: number) {
  let changes: { change: CollectionChange; characters: number }[] = []
  let characters = 0
  /** The version after which every change is kept. */
  let oldest = start

  /** Drops a fifth at a time, so that appending does not cost work that grows with the history. */
  const trim = (): void => {
    if (changes.length <= limits.changes && characters <= limits.characters) return
    let dropped = 0
    while (
      dropped < changes.length &&
      (changes.length - dropped > limits.changes * 0.8 || characters > limits.characters * 0.8)
    ) {
      characters -= changes[dropped]!.characters
      dropped += 1
    }
    oldest = changes[dropped - 1]!.change.version
    changes = changes.slice(dropped)
  }

  return {
    append(change: CollectionChange): void {
      const entry = { change, characters: charactersOf(change.object) }
      changes.push(entry)
      characters += entry.characters
      trim()
    },
    since(from: number, limit: number): readonly CollectionChange[] | 'Expired' {
      if (from < oldest) return 'Expired'
      const first = firstIndex(changes.length, (index) => changes[index]!.change.version > from)
      return changes.slice(first, first + limit).map(({ change }) => change)
    },
  }
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const compareKeys = (
  a: { namespace?: string; name: string },
  b: { namespace?: string; name: string },
): number => compareText(a.namespace ?? '', b.namespace ?? '') || compareText(a.name, b.name)

/** Where the object of this key is, or would be. */
const placeOf = (objects: readonly ApiObject[], key: { namespace?: string; name: string } | Key): number =>
  firstIndex(objects.length, (index) => compareKeys(objects[index]!.metadata, key) >= 0)

/** The first index below `length` for which the condition holds, given that it holds for all after it; else `length`. */
export function firstIndex(length: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}

/** Every value costs a little, texts and names by their length: much cheaper than writing it out. */
function charactersOf(value: unknown): number {
  if (typeof value === 'string') return value.length + 8
  if (typeof value !== 'object' || value === null) return 8
  let sum = 16
  for (const [name, item] of Object.entries(value)) sum += name.length + charactersOf(item)
  return sum
}
