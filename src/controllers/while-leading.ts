import { ReflashError } from '../core/errors.ts'
import type { Elector } from '../ports/elector.ts'
import type { ResourceStore } from '../ports/resource-store.ts'

/**
 * The store for whoever leads by its own clock at the moment of a write, and still when that is accepted: nothing is
 * begun on a device after a lease that may have run out meanwhile. Who does not lead gets ReflashError
 * `ServerUnavailable`, and leaves what was written to the next leader.
 */
export function whileLeading(store: ResourceStore, { standing }: Pick<Elector, 'standing'>): ResourceStore {
  const requireLead = (): void => {
    if (standing().isLeader) return
    throw new ReflashError('ServerUnavailable', 'this process does not lead any more, and writes nothing')
  }
  const led = async <T>(write: () => Promise<T>): Promise<T> => {
    requireLead()
    const written = await write()
    requireLead()
    return written
  }
  return {
    get: (kind, key) => store.get(kind, key),
    list: (kind, options) => store.list(kind, options),
    follow: (options) => store.follow(options),
    create: (manifest) => led(() => store.create(manifest)),
    setFinalizers: (object, finalizers) => led(() => store.setFinalizers(object, finalizers)),
    saveStatus: (object) => led(() => store.saveStatus(object)),
    delete: (kind, key, options) => led(() => store.delete(kind, key, options)),
  }
}
