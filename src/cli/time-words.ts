import { toMs } from '../core/time.ts'

const units = [
  { ms: 86_400_000, word: 'd' },
  { ms: 3_600_000, word: 'h' },
  { ms: 60_000, word: 'm' },
  { ms: 1000, word: 's' },
] as const

/** A length of time with its two largest units: `3 h 12 m`, `45 s`. */
export function lengthInWords(ms: number): string {
  let left = Math.max(0, Math.floor(ms / 1000)) * 1000
  const parts = units.flatMap((unit) => {
    const count = Math.floor(left / unit.ms)
    left -= count * unit.ms
    return [{ count, text: `${count} ${unit.word}` }]
  })
  const first = parts.findIndex(({ count }) => count > 0)
  if (first === -1) return ms > 0 ? 'less than 1 s' : '0 s'
  return parts
    .slice(first, first + 2)
    .filter(({ count }) => count > 0)
    .map(({ text }) => text)
    .join(' ')
}

/** A time as seen from now: `in 3 h 12 m`, `5 s ago`; undefined for what is no time. */
export function relativeTime(time: string | undefined, nowMs: number): string | undefined {
  const ms = time === undefined ? Number.NaN : toMs(time)
  if (Number.isNaN(ms)) return undefined
  return ms > nowMs ? `in ${lengthInWords(ms - nowMs)}` : `${lengthInWords(nowMs - ms)} ago`
}
