import type { Size, Suite } from './suites.ts'

/** Of the whole time as much as large sizes leave to the suites that go on for a time. */
const shareOfPlay = 0.05

const sum = (suites: readonly Suite[], pick: (suite: Suite) => number): number =>
  suites.reduce((total, suite) => total + pick(suite), 0)

/** What these suites take at their usual sizes. */
export const leastSeconds = (suites: readonly Suite[]): number => sum(suites, ({ seconds }) => seconds)

/**
 * The size of the next of some suites: its large one when that leaves the others their time, and for as long as its share
 * of what nobody needs when it is one that goes on for a time.
 */
export function sizeOf(
  next: readonly [Suite, ...Suite[]],
  { leftSeconds, wholeSeconds }: { leftSeconds: number; wholeSeconds: number },
): Size {
  const [{ seconds, large, weight, turns = 1 }] = next
  const spare = leftSeconds - leastSeconds(next)
  if (large && spare - (large.seconds - seconds) >= shareOfPlay * wholeSeconds) return large
  if (weight === undefined) return { env: {}, seconds }
  const weights = sum(next, (suite) => suite.weight ?? 0)
  // Never 0, by which a suite knows that it is not in a nightly run.
  const playSeconds = Math.max(1, Math.floor((spare * weight) / weights / turns))
  return { env: { REFLASH_SECONDS: String(playSeconds) }, seconds: seconds + turns * playSeconds }
}

/** When a suite that has not ended is taken for one that hangs: after its own tests, which know what they wait for. */
export const limitSeconds = (expected: number): number => 3 * expected + 150

/** When the whole run ends, whatever is still to be done. */
export const lastSeconds = (minutes: number): number => minutes * 60 * 1.2 + 60
