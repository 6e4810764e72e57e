import type { Suite } from './suites.ts'

/** Until the first test of a suite begins, on a machine that is slow. */
const startUpSeconds = 10

const sum = (suites: readonly Suite[], pick: (suite: Suite) => number): number =>
  suites.reduce((total, suite) => total + pick(suite), 0)

/** What these suites take when none goes on beyond its size. */
export const leastSeconds = (suites: readonly Suite[]): number => sum(suites, ({ seconds }) => seconds)

/** How long the next of some suites may take, so that those after it have their share of what is left. */
export function expectedSeconds(next: readonly [Suite, ...Suite[]], leftSeconds: number): number {
  const [{ seconds, weight = 0 }] = next
  const spare = Math.max(0, leftSeconds - leastSeconds(next))
  const weights = sum(next, (suite) => suite.weight ?? 0)
  return Math.floor(seconds + (weights > 0 ? (spare * weight) / weights : 0))
}

/** For how long each test of a suite goes on that goes on for a time; undefined for a suite of one size. */
export function playSecondsOf({ weight, playing = 1 }: Suite, expected: number): number | undefined {
  return weight === undefined ? undefined : Math.max(0, Math.floor((expected - startUpSeconds) / playing))
}

/** When a suite that has not ended is taken for one that hangs. */
export const limitSeconds = (expected: number): number => 2 * expected + 60

/** When the whole run ends, whatever is still to be done. */
export const lastSeconds = (minutes: number): number => minutes * 60 * 1.2 + 60
