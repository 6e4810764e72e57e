/** Room for a few long answers at once. */
export interface StreamSlots {
  /** Undefined when there is no room; the returned function gives the place back, and may be called twice. */
  take(): (() => void) | undefined
  /** How many are taken. */
  taken(): number
}

export function createStreamSlots(max: number): StreamSlots {
  let taken = 0
  return {
    take() {
      if (taken >= max) return undefined
      taken += 1
      let isBack = false
      return () => {
        if (!isBack) taken -= 1
        isBack = true
      }
    },
    taken: () => taken,
  }
}
