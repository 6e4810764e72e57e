/** Time, from one place, so that a fleet can be run in virtual time. */
export interface Clock {
  /** Wall clock, in ms since 1970. May jump; only for times that people read and for deadlines kept in status. */
  now(): number
  /** Monotonic time in ms, for durations within one process. */
  monotonic(): number
  /** Resolves after `ms`; rejects with the signal's reason when that is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `fn` once after `ms`; the returned function cancels it. Keeps no process alive. */
  after(ms: number, fn: () => void): () => void
}

/** Numbers in [0, 1), for jitter only. */
export type Random = () => number
