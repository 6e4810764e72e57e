import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { ImageStore } from '../../src/ports/image-store.ts'

export interface ImageServerTrouble {
  /** Of the fetches. */
  errorShare: number
  slowestMs: number
}

/** The images of one process, of which none can be had before that time, in monotonic ms. */
export const fromServerClosedUntil = (images: ImageStore, opensMs: number, clock: Clock): ImageStore => ({
  ...images,
  async fetch(request, signal) {
    await clock.sleep(Math.max(0, opensMs - clock.monotonic()), signal)
    return images.fetch(request, signal)
  },
})

/** The images of one process, of which fetches take long, or fail, until that is over. */
export function fromTroubledServer(
  images: ImageStore,
  options: {
    trouble: ImageServerTrouble
    clock: Clock
    random: SeededRandom
    isOver: () => boolean
    onError: () => void
  },
): ImageStore {
  const { trouble, clock, random, isOver, onError } = options
  return {
    ...images,
    async fetch(request, signal) {
      if (isOver()) return images.fetch(request, signal)
      await clock.sleep(random.integer(1, trouble.slowestMs), signal)
      if (isOver() || !random.chance(trouble.errorShare)) return images.fetch(request, signal)
      onError()
      throw new ReflashError('FetchFailed', 'the image server does not answer')
    },
  }
}
