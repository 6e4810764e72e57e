import type { AnyResource, Key, Kind, KindMap, Manifest } from '../api/resources.ts'
import {
  applied,
  created,
  deleting,
  isGone,
  missing,
  removed,
  requireVersion,
  taken,
  updated,
  withStatus,
} from '../core/stored-object.ts'
import { hasCode } from '../core/errors.ts'
import { toTime } from '../core/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { ResourceStore } from '../ports/resource-store.ts'
import type { Change, WatchLog } from './watch-log.ts'

/**
 * Where a store of this process keeps its objects: JSON texts by kind, namespace and name, and the version of the latest
 * change. All of it is synchronous, so that nothing comes between a read and the write that depends on it.
 */
export interface ObjectTable {
  latest(): number
  get(kind: Kind, key: Key): string | undefined
  /** Ordered by namespace, then name. */
  list(kind: Kind, namespace: string | undefined): Iterable<string>
  /** Stores or, for `Deleted`, removes the text together with the version: both or neither, and for good when it returns. */
  write(key: Key, change: Change): void
}

/** The store over a table: what a write makes of an object, what it is called, and who hears of it. */
export function createTableStore(parts: {
  table: ObjectTable
  log: WatchLog
  clock: Clock
  newUid: () => string
}): ResourceStore {
  const { table, log, clock, newUid } = parts

  const read = (kind: Kind, key: Key): AnyResource | undefined => parse(table.get(kind, key))
  const stored = (object: AnyResource): AnyResource => {
    const before = read(object.kind, object.metadata)
    if (!before) throw missing(object)
    return before
  }
  const nextVersion = (): string => String(table.latest() + 1)

  /** Writes what has become of an object, if anything, and gives back the caller's own copy. */
  const write = <R extends AnyResource>(
    type: Change['type'],
    before: AnyResource | undefined,
    next: AnyResource | undefined,
  ): R => {
    if (!next) return before as R
    const text = JSON.stringify(next)
    const change = {
      type: isGone(next) ? 'Deleted' : type,
      kind: next.kind,
      version: table.latest() + 1,
      text,
    } as const
    table.write(next.metadata, change)
    log.append(change)
    return JSON.parse(text) as R
  }
  const create = <K extends Kind>(manifest: Manifest<K>): KindMap[K] => {
    const stamp = { resourceVersion: nextVersion(), uid: newUid(), time: toTime(clock.now()) }
    return write('Added', undefined, created(manifest, stamp))
  }

  return {
    async get<K extends Kind>(kind: K, key: Key) {
      return read(kind, key) as KindMap[K] | undefined
    },
    async list<K extends Kind>(kind: K, { namespace }: { namespace?: string } = {}) {
      const items = Array.from(table.list(kind, namespace), (text) => JSON.parse(text) as KindMap[K])
      return { items, resourceVersion: String(table.latest()) }
    },
    async *follow({ kinds, signal }) {
      while (!signal.aborted) {
        // All of one moment, however long a reader takes for each.
        const from = String(table.latest())
        const texts = kinds.map((kind) => ({ kind, objects: [...table.list(kind, undefined)] }))
        for (const { kind, objects } of texts) {
          const parsed = objects.map((text) => JSON.parse(text) as AnyResource)
          yield { type: 'Listed', kind, objects: parsed, resourceVersion: from }
        }
        try {
          yield* log.watch({ kinds, from, signal })
          return
        } catch (error) {
          if (!hasCode(error, 'Expired')) throw error
        }
      }
    },
    async create(manifest) {
      if (read(manifest.kind, manifest.metadata)) throw taken(manifest)
      return create(manifest)
    },
    async apply<K extends Kind>(manifest: Manifest<K>) {
      const before = read(manifest.kind, manifest.metadata)
      if (!before) return create(manifest)
      return write<KindMap[K]>('Modified', before, applied(before, manifest, nextVersion()))
    },
    async update<R extends AnyResource>(object: R) {
      const before = stored(object)
      return write<R>('Modified', before, updated(before, object, nextVersion()))
    },
    async saveStatus<R extends AnyResource>(object: R) {
      const before = stored(object)
      return write<R>('Modified', before, withStatus(before, object, nextVersion()))
    },
    async delete(kind, key, { resourceVersion } = {}) {
      const before = read(kind, key)
      if (!before) return
      if (resourceVersion !== undefined) requireVersion(before, resourceVersion)
      const time = toTime(clock.now())
      if (before.metadata.finalizers?.length) write('Modified', before, deleting(before, nextVersion(), time))
      else write('Deleted', before, removed(before, nextVersion()))
    },
  }
}

const parse = (text: string | undefined): AnyResource | undefined =>
  text === undefined ? undefined : (JSON.parse(text) as AnyResource)
