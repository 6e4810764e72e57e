/** So many items wait for their reader at the most; then their sources wait. */
const maxWaiting = 1000

/** What several sources yield, in the order in which it comes. Ends with all of them; the first error ends all. */
export async function* mergeStreams<T>(
  sources: readonly ((signal: AbortSignal) => AsyncIterable<T>)[],
  signal: AbortSignal,
): AsyncGenerator<T> {
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  let waiting: T[] = []
  let open = sources.length
  let failure: { error: unknown } | undefined
  let came = Promise.withResolvers<void>()
  let taken = Promise.withResolvers<void>()

  const pump = async (source: (signal: AbortSignal) => AsyncIterable<T>): Promise<void> => {
    try {
      for await (const item of source(either)) {
        waiting.push(item)
        came.resolve()
        while (waiting.length >= maxWaiting && !either.aborted) await taken.promise
        if (either.aborted) return
      }
    } catch (error) {
      if (!either.aborted) failure ??= { error }
    } finally {
      open -= 1
      came.resolve()
    }
  }
  const wakeAll = (): void => {
    came.resolve()
    taken.resolve()
  }
  either.addEventListener('abort', wakeAll, { once: true })
  const pumps = sources.map(pump)
  try {
    while (!signal.aborted) {
      const items = waiting
      waiting = []
      taken.resolve()
      taken = Promise.withResolvers()
      for (const item of items) {
        if (signal.aborted) return
        yield item
      }
      if (failure) throw failure.error
      if (waiting.length > 0) continue
      if (open === 0) return
      await came.promise
      came = Promise.withResolvers()
    }
  } finally {
    stop.abort()
    await Promise.all(pumps)
  }
}
