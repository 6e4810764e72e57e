const windowMs = 60_000

/**
 * When one more start keeps every window of 60 s at or below `perMinute`; undefined: now. `starts` are times of earlier
 * starts in any order, in ms of the clock that `now` is of.
 */
export function nextStartAt(starts: readonly number[], perMinute: number, now: number): number | undefined {
  const recent = starts.filter((start) => now - start < windowMs).toSorted((a, b) => b - a)
  const oldest = recent[perMinute - 1]
  return oldest === undefined ? undefined : oldest + windowMs
}
