import type { Clock } from '../../ports/clock.ts'

/** Node fires a timer at once when it is asked to wait longer than this. */
const longestTimerMs = 2 ** 31 - 1

/** Like setTimeout, but for any length; the returned function cancels it. */
const startTimer = (ms: number, keepsAlive: boolean, fn: () => void): (() => void) => {
  const endsAtMs = performance.now() + Math.max(0, ms)
  let timer: NodeJS.Timeout
  const arm = () => {
    // A pause between the two readings may have used up all of it.
    const leftMs = Math.max(0, endsAtMs - performance.now())
    timer = leftMs > longestTimerMs ? setTimeout(arm, longestTimerMs) : setTimeout(fn, Math.ceil(leftMs))
    if (!keepsAlive) timer.unref()
  }
  arm()
  return () => clearTimeout(timer)
}

/** The machine's own time. A sleep keeps the process alive, `after` does not. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const abort = () => {
        cancel()
        // The caller's own reason, whatever it is: that is the contract of the port.
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors
        reject(signal?.reason)
      }
      const cancel = startTimer(ms, true, () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      })
      if (signal?.aborted) abort()
      else signal?.addEventListener('abort', abort, { once: true })
    }),
  after: (ms, fn) => startTimer(ms, false, fn),
}
