import type { ClusterOutside } from '../../src/cluster.ts'

/** What one controller has asked to be written, lost races included. */
export interface WriteCount {
  decorate: (outside: ClusterOutside) => ClusterOutside
  total(): number
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
  return {
    decorate: (outside) => {
      const { store } = outside
      return {
        ...outside,
        store: {
          ...store,
          create: (manifest) => count(`create ${manifest.kind}`, store.create(manifest)),
          setFinalizers: (object, finalizers) =>
            count(`finalizers of ${object.kind}`, store.setFinalizers(object, finalizers)),
          saveStatus: (object) => count(`status of ${object.kind}`, store.saveStatus(object)),
          delete: (kind, key, options) => count(`delete ${kind}`, store.delete(kind, key, options)),
        },
      }
    },
    total: () => [...counts.values()].reduce((sum, value) => sum + value, 0),
    told: () => [...counts].map(([name, value]) => `${value} ${name}`).join(', '),
  }
}
