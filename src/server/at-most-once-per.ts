import type { Clock } from '../ports/clock.ts'

/** The same function, which does nothing for so many ms after it was called. */
export function atMostOncePer<T>(
  ms: number,
  { clock, tell }: { clock: Pick<Clock, 'monotonic'>; tell: (about: T) => void },
): (about: T) => void {
  let toldMs = Number.NEGATIVE_INFINITY
  return (about) => {
    if (clock.monotonic() - toldMs < ms) return
    toldMs = clock.monotonic()
    tell(about)
  }
}
