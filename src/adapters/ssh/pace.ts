import type { Clock } from '../../ports/clock.ts'

/** Resolves when it is the caller's turn; rejects with the signal's reason. */
export type Pace = (options: { urgent: boolean; signal: AbortSignal }) => Promise<void>

/**
 * Lets one caller pass every `gapMs`, the urgent ones first, each kind in the order of asking. Handshakes cost CPU: a
 * fleet that begins all of them at once finishes none for a long while, and starves whatever else is going on. A timer
 * that comes late says that the process is behind, so the next caller passes later by as much as that is over the gap.
 */
export function createPace(gapMs: number, clock: Clock): Pace {
  const urgent = new Set<() => void>()
  const patient = new Set<() => void>()
  let nextAt = -Infinity
  let isArmed = false

  const passOne = (): void => {
    const [pass] = urgent.size > 0 ? urgent : patient
    if (!pass) return
    urgent.delete(pass)
    patient.delete(pass)
    pass()
  }
  const arm = (): void => {
    if (isArmed || urgent.size + patient.size === 0) return
    isArmed = true
    const dueAt = Math.max(clock.monotonic(), nextAt)
    // A sleep, and not a timer of `after`: whoever waits for a turn keeps the process alive.
    void clock.sleep(dueAt - clock.monotonic()).then(() => {
      isArmed = false
      const now = clock.monotonic()
      nextAt = now + Math.max(gapMs, now - dueAt)
      passOne()
      arm()
    })
  }

  return ({ urgent: isUrgent, signal }) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error)
      const lane = isUrgent ? urgent : patient
      const leave = (): void => {
        lane.delete(pass)
        reject(signal.reason as Error)
      }
      const pass = (): void => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      signal.addEventListener('abort', leave, { once: true })
      lane.add(pass)
      arm()
    })
}
