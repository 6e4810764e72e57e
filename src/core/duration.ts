import { ReflashError } from './errors.ts'

const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a duration such as `1h30m` or `250ms`. @throws ReflashError `Invalid`. */
export function parseDuration(text: string): number {
  if (!/^([0-9]+(ms|s|m|h|d))+$/.test(text)) {
    throw new ReflashError('Invalid', `"${text}" is no duration; expected something like 90s, 15m or 1h30m`)
  }
  let total = 0
  for (const [, count, unit] of text.matchAll(/([0-9]+)(ms|s|m|h|d)/g)) total += Number(count) * unitMs[unit!]!
  return total
}

const split = (value: number, base: number): [number, number] => [Math.floor(value / base), value % base]

/** A length of time for people, as kubectl prints ages: `119s`, `5m30s`, `179m`, `7h59m`, `47h`, `7d23h`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const two = (value: number, unit: string, rest: number, restUnit: string): string =>
    rest === 0 ? `${value}${unit}` : `${value}${unit}${rest}${restUnit}`
  if (seconds < 120) return `${seconds}s`
  const [minutes, restSeconds] = split(seconds, 60)
  if (minutes < 10) return two(minutes, 'm', restSeconds, 's')
  if (minutes < 180) return `${minutes}m`
  const [hours, restMinutes] = split(minutes, 60)
  if (hours < 8) return two(hours, 'h', restMinutes, 'm')
  if (hours < 48) return `${hours}h`
  const [days, restHours] = split(hours, 24)
  return days < 8 ? two(days, 'd', restHours, 'h') : `${days}d`
}
