import fc from 'fast-check'

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

/** The same for a property of fast-check, of which the nightly run gives each its share of the time. */
export async function playProperty<T>(
  property: fc.IRawProperty<T>,
  count: number,
  { share = 1, ...parameters }: fc.Parameters<T> & { share?: number } = {},
): Promise<void> {
  const endsAt = performance.now() + secondsToPlay() * 1000 * share
  do await fc.assert(property, { numRuns: count, ...parameters })
  while (performance.now() < endsAt)
}
