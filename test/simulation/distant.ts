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
  const far =
    <A extends unknown[], T>(ask: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      await travel()
      try {
        return await ask(...args)
      } finally {
        await travel()
      }
    }
  return {
    get: far(store.get) as DeclaredStore['get'],
    list: far(store.list) as DeclaredStore['list'],
    create: far(store.create) as DeclaredStore['create'],
    apply: far(store.apply) as DeclaredStore['apply'],
    setFinalizers: far(store.setFinalizers) as DeclaredStore['setFinalizers'],
    saveStatus: far(store.saveStatus) as DeclaredStore['saveStatus'],
    delete: far(store.delete),
    async *follow(options) {
      for await (const event of store.follow(options)) {
        // Mostly at once, as it is; now and then much later.
        await clock.sleep(random.chance(0.1) ? random.integer(0, newsMs) : random.integer(0, answerMs))
        yield event
      }
    },
  }
}
