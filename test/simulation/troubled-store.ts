import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'

/** Full: it says that its disk is. */
export type Trouble = 'Error' | 'Full' | 'Slow'

export interface StoreTrouble {
  /** Of the writes. A third fails as the disk is full; of the others the store keeps half, though nobody is told. */
  errorShare: number
  slowShare: number
  slowestMs: number
}

/** A store of which writes take long, or fail, until it is told to stop that. */
export function troubled(
  store: DeclaredStore,
  options: {
    trouble: StoreTrouble
    clock: Clock
    random: SeededRandom
    isOver: () => boolean
    onTrouble: (what: Trouble) => void
  },
): DeclaredStore {
  const { trouble, clock, random, isOver, onTrouble } = options

  async function slowly(): Promise<void> {
    if (isOver() || !random.chance(trouble.slowShare)) return
    onTrouble('Slow')
    await clock.sleep(random.integer(1, trouble.slowestMs))
  }

  async function write<T>(action: () => Promise<T>): Promise<T> {
    await slowly()
    const fails = !isOver() && random.chance(trouble.errorShare)
    if (fails && random.chance(1 / 3)) {
      onTrouble('Full')
      throw new ReflashError('StateFull', 'the disk is full')
    }
    const isKept = !fails || random.chance(1 / 2)
    const result = isKept ? await action() : undefined
    if (fails) {
      onTrouble('Error')
      throw new ReflashError('ServerUnavailable', 'the store gives no answer')
    }
    await slowly()
    return result!
  }

  return {
    ...store,
    create: (manifest) => write(() => store.create(manifest)),
    setFinalizers: (object, finalizers) => write(() => store.setFinalizers(object, finalizers)),
    saveStatus: (object) => write(() => store.saveStatus(object)),
    delete: (kind, key, options_) => write(() => store.delete(kind, key, options_)),
  }
}
