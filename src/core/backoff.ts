const jitterShare = 0.1

/** `ms`, give or take the fraction of it; `random01` is in [0, 1). */
export const jittered = (ms: number, fraction: number, random01: number): number =>
  Math.round(ms * (1 + fraction * (2 * random01 - 1)))

/** Wait before another try, in ms: doubled with each attempt (the first is 1) up to a maximum, ±10 %. */
export function backoff(options: {
  attempt: number
  baseMs: number
  maxMs: number
  random01: number
}): number {
  const { attempt, baseMs, maxMs, random01 } = options
  const doubled = baseMs * 2 ** Math.min(30, Math.max(0, attempt - 1))
  return jittered(Math.min(maxMs, doubled), jitterShare, random01)
}
