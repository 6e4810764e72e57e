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
  withFinalizers,
  withStatus,
} from '../core/stored-object.ts'
import { hasCode } from '../core/errors.ts'
import { toTime } from '../core/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { DeclaredStore } from '../ports/resource-store.ts'
import type { Change, WatchLog } from './watch-log.ts'

/**
 * Where a store of this process keeps its objects: JSON texts by kind, namespace and name, and the version of the latest
 * change. Reads and writes are synchronous, so that nothing comes between a read and the write that depends on it.
 */
export interface ObjectTable {
  latest(): number
  get(kind: Kind, key: Key): string | undefined
  /** Ordered by namespace, then name. */
  list(kind: Kind, namespace: string | undefined): Iterable<string>
  /** Stores or, for `Deleted`, removes the text, and takes the version for the latest. Only within the work of a `commit`. */
  write(key: Key, change: Change): void
  /**
   * Runs `work`, sooner or later but in the order of calls. Resolves with its result when everything that it wrote is
   * stored for good, right after `onCommitted`; rejects when nothing of it is.
   */
  commit<T>(work: () => T, onCommitted: (result: T) => void): Promise<T>
}

/** The store over a table: what a write makes of an object, what it is called, and who hears of it. */
export function createTableStore(parts: {
  table: ObjectTable
  log: WatchLog
  clock: Clock
  newUid: () => string
}): DeclaredStore {
  const { table, log, clock, newUid } = parts

  const read = (kind: Kind, key: Key): AnyResource | undefined => parse(table.get(kind, key))
  const stored = (object: AnyResource): AnyResource => {
    const before = read(object.kind, object.metadata)
    if (!before) throw missing(object)
    return before
  }
  const nextVersion = (): string => String(table.latest() + 1)

  /** What has become of an object, as a copy that is the caller's own, and the change if there is one. */
  interface Written {
    object: AnyResource
    change?: Change
  }
  const write = (type: Change['type'], next: AnyResource): Written & { change: Change } => {
    const text = JSON.stringify(next)
    const change = {
      type: isGone(next) ? 'Deleted' : type,
      kind: next.kind,
      version: table.latest() + 1,
      text,
    } as const
    table.write(next.metadata, change)
    return { object: next, change }
  }
  const modify = (before: AnyResource, next: AnyResource | undefined): Written =>
    next ? write('Modified', next) : { object: before }
  const commit = async <R extends AnyResource>(work: () => Written): Promise<R> => {
    const { object } = await table.commit(work, ({ change }) => change && log.append(change))
    return object as R
  }
  const create = (manifest: Manifest): Written => {
    const stamp = { resourceVersion: nextVersion(), uid: newUid(), time: toTime(clock.now()) }
    return write('Added', created(manifest, stamp))
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
    create: <K extends Kind>(manifest: Manifest<K>) => {
      const own = copyOf(manifest)
      return commit<KindMap[K]>(() => {
        if (read(own.kind, own.metadata)) throw taken(own)
        return create(own)
      })
    },
    apply: <K extends Kind>(manifest: Manifest<K>) => {
      const own = copyOf(manifest)
      return commit<KindMap[K]>(() => {
        const before = read(own.kind, own.metadata)
        return before ? modify(before, applied(before, own, nextVersion())) : create(own)
      })
    },
    setFinalizers: <R extends AnyResource>(object: R, finalizers: readonly string[]) =>
      commit<R>(() => {
        const before = stored(object)
        return modify(before, withFinalizers(before, object, finalizers, nextVersion()))
      }),
    saveStatus: <R extends AnyResource>(object: R) => {
      const own = { ...object, metadata: { ...object.metadata }, status: copyOf(object.status) }
      return commit<R>(() => {
        const before = stored(own)
        return modify(before, withStatus(before, own, nextVersion()))
      })
    },
    async delete(kind, key, { resourceVersion } = {}) {
      const work = (): Change | undefined => {
        const before = read(kind, key)
        if (!before) return undefined
        if (resourceVersion !== undefined) requireVersion(before, resourceVersion)
        const time = toTime(clock.now())
        return before.metadata.finalizers?.length
          ? modify(before, deleting(before, nextVersion(), time)).change
          : write('Deleted', removed(before, nextVersion())).change
      }
      await table.commit(work, (change) => change && log.append(change))
    },
  }
}

/** What is stored is JSON anyhow. */
const copyOf = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

const parse = (text: string | undefined): AnyResource | undefined =>
  text === undefined ? undefined : (JSON.parse(text) as AnyResource)
