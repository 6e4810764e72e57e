/** The most of these moments that lie within any `ms`: "at most one request a second" is `mostWithin(1000, times) <= 1`. */
export const mostWithin = (ms: number, times: readonly number[]): number => {
  const sorted = times.toSorted((a, b) => a - b)
  return Math.max(0, ...sorted.map((start) => sorted.filter((at) => at >= start && at < start + ms).length))
}
