import type { ClusterOutside } from '../../src/cluster.ts'
import type { ResourceStore } from '../../src/ports/resource-store.ts'

/** What controllers have asked to be written, lost races included. */
export interface WriteCount {
  /** The store, with a count of every write that is asked of it. */
  of: <S extends ResourceStore>(store: S) => S
  decorate: (outside: ClusterOutside) => ClusterOutside
  total(): number
  /** By what was written, as `status of Device`; one that was refused as `lost status of Device`. */
  counts(): Record<string, number>
  /** Begins anew. */
  reset(): void
  /** For the message of an assertion. */
  told(): string
}

/** Counts every write that a controller asks of the store. */
export function countWrites(): WriteCount {
  const counts = new Map<string, number>()
  const count = async <T>(name: string, written: Promise<T>): Promise<T> => {
    const add = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1)
    try {
      const result = await written
      add(name)
      return result
    } catch (error) {
      add(`lost ${name}`)
      throw error
    }
  }
  const of: WriteCount['of'] = (store) => ({
    ...store,
    create: (manifest) => count(`create ${manifest.kind}`, store.create(manifest)),
    setFinalizers: (object, finalizers) =>
      count(`finalizers of ${object.kind}`, store.setFinalizers(object, finalizers)),
    saveStatus: (object) => count(`status of ${object.kind}`, store.saveStatus(object)),
    delete: (kind, key, options) => count(`delete ${kind}`, store.delete(kind, key, options)),
  })
  return {
    of,
    decorate: (outside) => ({ ...outside, store: of(outside.store) }),
    total: () => [...counts.values()].reduce((sum, value) => sum + value, 0),
    counts: () => Object.fromEntries(counts),
    reset: () => counts.clear(),
    told: () => [...counts].map(([name, value]) => `${value} ${name}`).join(', '),
  }
}
