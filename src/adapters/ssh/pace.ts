import type { Clock } from '../../ports/clock.ts'

/**
 * Lets one caller pass every `gapMs`, in the order of asking. Handshakes cost CPU: a fleet that begins all of them at
 * once finishes none for a long while, and starves whatever else is going on. Rejects with the signal's reason.
 */
export function createPace(gapMs: number, clock: Clock): (signal: AbortSignal) => Promise<void> {
  let nextAt = -Infinity
  return async (signal) => {
    const now = clock.monotonic()
    const at = Math.max(now, nextAt)
    nextAt = at + gapMs
    if (at > now) await clock.sleep(at - now, signal)
  }
}
