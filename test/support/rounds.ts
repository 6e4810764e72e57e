/**
 * Plays rounds 0, 1, 2…, one after the other: `count` of them, or `REFLASH_ROUNDS`; with `REFLASH_SECONDS` those and then as
 * many more as begin within so many seconds.
 * @returns How many were played.
 */
export async function playRounds(
  count: number,
  round: (index: number) => Promise<void> | void,
): Promise<number> {
  const atLeast = Number(process.env['REFLASH_ROUNDS'] ?? count)
  let index = 0
  for (; index < atLeast; index += 1) await round(index)
  const endsAt = performance.now() + secondsToPlay() * 1000
  for (; performance.now() < endsAt; index += 1) await round(index)
  return index
}

/** How long a suite may go on beyond its usual size, by `REFLASH_SECONDS`: 0 outside of the nightly run. */
export const secondsToPlay = (): number => Number(process.env['REFLASH_SECONDS'] ?? 0)

/** The same for a property of fast-check: so many runs, or in the nightly run those that fit into a share of its time. */
export const runsToPlay = (
  count: number,
  share = 1,
): { numRuns: number; interruptAfterTimeLimit?: number } => {
  const seconds = secondsToPlay() * share
  return seconds > 0 ? { numRuns: 2 ** 31, interruptAfterTimeLimit: seconds * 1000 } : { numRuns: count }
}
