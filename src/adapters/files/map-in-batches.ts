/** More at once only waits in the thread pool, and holds file descriptors. */
const batchSize = 32

/** Like Promise.all over a map, with a limited number of calls at once. */
export async function mapInBatches<T, R>(items: readonly T[], fn: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let start = 0; start < items.length; start += batchSize) {
    results.push(...(await Promise.all(items.slice(start, start + batchSize).map(fn))))
  }
  return results
}
