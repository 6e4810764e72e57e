import type { Clock } from '../../ports/clock.ts'

export interface Guard {
  clock: Clock
  limitMs: number
  signal: AbortSignal
  /** What to reject with when the limit has passed. */
  late: () => Error
}

/**
 * A promise that settles exactly once: by the callbacks, by the limit, or by the abort (with the signal's reason).
 * The function that `start` returns is then called once, to take down whatever it set up.
 */
export const guarded = <T>(
  guard: Guard,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
): Promise<T> =>
  new Promise((resolve, reject) => {
    const { clock, limitMs, signal, late } = guard
    let settled = false
    let takeDown: (() => void) | undefined
    const settle = (finish: () => void) => {
      if (settled) return
      settled = true
      cancelLimit()
      signal.removeEventListener('abort', onAbort)
      takeDown?.()
      finish()
    }
    const fail = (error: unknown) =>
      settle(() => {
        // An abort rejects with the caller's own reason, whatever it is.
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors
        reject(error)
      })
    const onAbort = () => fail(signal.reason)
    const cancelLimit = clock.after(limitMs, () => fail(late()))
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      takeDown = start((value) => settle(() => resolve(value)), fail)
      if (settled) takeDown()
    } catch (error) {
      fail(error)
    }
  })
