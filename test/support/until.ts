/** Asks every `pauseMs` until the condition gives something truthy, and returns that. Fails with `what` after `limitMs`. */
export const until = async <T>(
  what: string,
  condition: () => T | Promise<T>,
  limitMs = 10_000,
  pauseMs = 10,
): Promise<Exclude<T, false | undefined | null>> => {
  const endsMs = performance.now() + limitMs
  for (;;) {
    const value = await condition()
    if (value) return value as Exclude<T, false | undefined | null>
    if (performance.now() > endsMs) throw new Error(`not within ${limitMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}
