import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'

/** Within this an answer comes. */
const answerMs = 40
/** So late news may come: what a cache holds is then that old. */
const newsMs = 3000

/** A store at the other end of a slow network: each request takes a while either way, and its news come late, in order. */
export function distant(
  store: DeclaredStore,
  { clock, random }: { clock: Clock; random: SeededRandom },
): DeclaredStore {
  const travel = () => clock.sleep(random.integer(0, answerMs / 2))
  const far = async <T>(ask: () => Promise<T>): Promise<T> => {
    await travel()
    try {
      return await ask()
    } finally {
      await travel()
    }
  }
  return {
    get: (kind, key) => far(() => store.get(kind, key)),
    list: (kind, options) => far(() => store.list(kind, options)),
    create: (manifest) => far(() => store.create(manifest)),
    apply: (manifest) => far(() => store.apply(manifest)),
    setFinalizers: (object, finalizers) => far(() => store.setFinalizers(object, finalizers)),
    saveStatus: (object) => far(() => store.saveStatus(object)),
    delete: (kind, key, options) => far(() => store.delete(kind, key, options)),
    async *follow(options) {
      for await (const event of store.follow(options)) {
        // Mostly at once, as it is; now and then much later.
        await clock.sleep(random.chance(0.1) ? random.integer(0, newsMs) : random.integer(0, answerMs))
        yield event
      }
    },
  }
}
