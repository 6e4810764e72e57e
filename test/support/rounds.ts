/**
 * Plays rounds 0, 1, 2…, one after the other: `count` of them, or `REFLASH_ROUNDS`; with `REFLASH_SECONDS` those and as
 * many more as begin within so many seconds.
 * @returns How many were played.
 */
export async function playRounds(
  count: number,
  round: (index: number) => Promise<void> | void,
): Promise<number> {
  const atLeast = Number(process.env['REFLASH_ROUNDS'] ?? count)
  const endsAt = performance.now() + secondsToPlay() * 1000
  let index = 0
  for (; index < atLeast || performance.now() < endsAt; index += 1) await round(index)
  return index
}

/** How long a suite may go on beyond its usual size, by `REFLASH_SECONDS`: 0 outside of the nightly run. */
export const secondsToPlay = (): number => Number(process.env['REFLASH_SECONDS'] ?? 0)
