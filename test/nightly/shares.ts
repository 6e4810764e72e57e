import type { Suite } from './suites.ts'

const sum = (suites: readonly Suite[], pick: (suite: Suite) => number): number =>
  suites.reduce((total, suite) => total + pick(suite), 0)

/** What these suites take when none goes on beyond its size. */
export const leastSeconds = (suites: readonly Suite[]): number => sum(suites, ({ seconds }) => seconds)

/** For how long the next of some suites goes on beyond its size, so that those after it have their share of what is left. */
export function playSecondsOf(next: readonly [Suite, ...Suite[]], leftSeconds: number): number | undefined {
  const [{ weight }] = next
  if (weight === undefined) return undefined
  const spare = Math.max(0, leftSeconds - leastSeconds(next))
  // Never 0, by which a suite knows that it is not in a nightly run.
  return Math.max(1, Math.floor((spare * weight) / sum(next, (suite) => suite.weight ?? 0)))
}

/** When a suite that has not ended is taken for one that hangs. */
export const limitSeconds = (expected: number): number => 3 * expected + 120

/** When the whole run ends, whatever is still to be done. */
export const lastSeconds = (minutes: number): number => minutes * 60 * 1.2 + 60
