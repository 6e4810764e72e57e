import { compilePath } from '../core/json-path.ts'

/** Sorts by the first value that the path finds: numbers as numbers, texts with numbers in them as people would. */
export function sortedBy<T>(path: string, items: readonly T[], objectOf: (item: T) => unknown): T[] {
  const read = compilePath(path)
  const keyed = items.map((item) => ({ item, value: read(objectOf(item))[0] }))
  return keyed.toSorted((a, b) => compare(a.value, b.value)).map(({ item }) => item)
}

const natural = new Intl.Collator('en', { numeric: true })

/** What has no value comes first. */
function compare(a: unknown, b: unknown): number {
  const isMissing = (value: unknown): boolean => value === undefined || value === null
  if (isMissing(a) || isMissing(b)) return Number(!isMissing(a)) - Number(!isMissing(b))
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return natural.compare(textOf(a), textOf(b))
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
