/** The most of these moments that lie within any `ms`: "at most one request a second" is `mostWithin(1000, times) <= 1`. */
export const mostWithin = (ms: number, times: readonly number[]): number => {
  const sorted = times.toSorted((a, b) => a - b)
  let first = 0
  let most = 0
  for (const [index, at] of sorted.entries()) {
    while (at - sorted[first]! >= ms) first += 1
    most = Math.max(most, index - first + 1)
  }
  return most
}
