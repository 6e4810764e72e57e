import type { Clock } from '../ports/clock.ts'

/** So much time's worth of bytes goes out at once: timers are coarser than the pace of small pieces. */
const burstMs = 100

/**
 * One cap for all uploads together. The returned function waits until `bytes` may be sent, in order of asking: uploads
 * that ask piece by piece share fairly. An aborted wait gives its bytes back and rejects with the signal's reason.
 */
export const createBandwidth = (
  maxBitsPerSecond: number,
  clock: Clock,
): ((bytes: number, signal: AbortSignal) => Promise<void>) => {
  const msPerByte = 8000 / maxBitsPerSecond
  /** When everything granted so far will have been sent at the capped pace. */
  let busyUntilMs = clock.monotonic()

  return async (bytes, signal) => {
    signal.throwIfAborted()
    const nowMs = clock.monotonic()
    const costMs = bytes * msPerByte
    busyUntilMs = Math.max(busyUntilMs, nowMs - burstMs) + costMs
    const waitMs = busyUntilMs - nowMs
    if (waitMs <= 0) return
    try {
      await clock.sleep(waitMs, signal)
    } catch (error) {
      busyUntilMs -= costMs
      throw error
    }
  }
}
