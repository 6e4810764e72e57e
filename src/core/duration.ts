import { ReflashError } from './errors.ts'

const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a duration such as `1h30m` or `250ms`. @throws ReflashError `Invalid`. */
export function parseDuration(text: string): number {
  const [, only, itsUnit] = /^([0-9]{1,7})(ms|s|m|h|d)$/.exec(text) ?? []
  if (itsUnit !== undefined) return Number(only) * unitMs[itsUnit]!
  if (!/^([0-9]+(ms|s|m|h|d))+$/.test(text)) {
    throw new ReflashError('Invalid', `"${text}" is no duration; expected something like 90s, 15m or 1h30m`)
  }
  let total = 0
  for (const [, count, unit] of text.matchAll(/([0-9]+)(ms|s|m|h|d)/g))
    total += Number(count) * unitMs[unit!]!
  if (!Number.isSafeInteger(total)) throw new ReflashError('Invalid', `"${text}" is too long a duration`)
  return total
}

interface Scale {
  /** Seconds of the unit. */
  size: number
  unit: string
  /** The scale holds for less than this many of its unit, and a second unit is told below `finer`. */
  below: number
  finer: number
  rest: { size: number; unit: string }
}

const [second, minute, hour, day, year] = [1, 60, 3600, 86_400, 31_536_000]
const scales: readonly Scale[] = [
  { size: second, unit: 's', below: 120, finer: 0, rest: { size: second, unit: 's' } },
  { size: minute, unit: 'm', below: 180, finer: 10, rest: { size: second, unit: 's' } },
  { size: hour, unit: 'h', below: 48, finer: 8, rest: { size: minute, unit: 'm' } },
  { size: day, unit: 'd', below: 2 * 365, finer: 8, rest: { size: hour, unit: 'h' } },
  { size: year, unit: 'y', below: Infinity, finer: 8, rest: { size: day, unit: 'd' } },
]

/** A length of time for people, as kubectl prints ages: `119s`, `5m30s`, `179m`, `7h59m`, `47h`, `7d23h`, `2y5d`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const { size, unit, finer, rest } =
    scales.find((scale) => seconds < scale.below * scale.size) ?? scales.at(-1)!
  const count = Math.floor(seconds / size)
  const remainder = Math.floor((seconds % size) / rest.size)
  return count < finer && remainder > 0 ? `${count}${unit}${remainder}${rest.unit}` : `${count}${unit}`
}
