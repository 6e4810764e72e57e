import type { AnyResource, Key, Kind } from '../../api/resources.ts'
import type { Clock } from '../../ports/clock.ts'
import type { DeclaredStore } from '../../ports/resource-store.ts'
import { createTableStore, type ObjectTable } from '../table-store.ts'
import { createWatchLog, type WatchLogLimits } from '../watch-log.ts'

/** A store that forgets with its process. `initial` objects are taken as they are, versions and uids included. */
export function createMemoryStore(options: {
  clock: Clock
  initial?: readonly AnyResource[]
  history?: WatchLogLimits
}): DeclaredStore {
  const { clock, initial = [], history } = options
  const table = createMemoryTable(initial)
  let uids = 0
  return createTableStore({
    table,
    log: createWatchLog(table.latest(), history),
    clock,
    // Unlike any uid of `initial`, and the same in every run.
    newUid: () => `memory-${table.latest() + 1}-${(uids += 1)}`,
  })
}

/** Sorts by namespace, then name: no name holds a NUL. */
const idOf = ({ namespace, name }: Key): string => `${namespace}\0${name}`

function createMemoryTable(initial: readonly AnyResource[]): ObjectTable {
  const kinds = new Map<Kind, Map<string, string>>()
  const textsOf = (kind: Kind): Map<string, string> =>
    kinds.get(kind) ?? kinds.set(kind, new Map()).get(kind)!
  // An empty store is at 1: Kubernetes gives 0 a meaning of its own.
  let latest = 1
  for (const object of initial) {
    textsOf(object.kind).set(idOf(object.metadata), JSON.stringify(object))
    latest = Math.max(latest, Number(object.metadata.resourceVersion))
  }

  return {
    latest: () => latest,
    get: (kind, key) => textsOf(kind).get(idOf(key)),
    list: (kind, namespace) =>
      [...textsOf(kind)]
        .filter(([id]) => namespace === undefined || id.startsWith(`${namespace}\0`))
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([, text]) => text),
    write(key, { type, kind, version, text }) {
      if (type === 'Deleted') textsOf(kind).delete(idOf(key))
      else textsOf(kind).set(idOf(key), text)
      latest = version
    },
    async commit(work, onCommitted) {
      const result = work()
      onCommitted(result)
      return result
    },
  }
}
