import type { Clock } from '../ports/clock.ts'
import type { TooMany } from './access-gate.ts'
import { atMostOncePer } from './at-most-once-per.ts'

const maxBadTokens = 10
const windowMs = 60_000
/** Who has more addresses than this to guess from, guesses in vain as well. */
const maxAddresses = 10_000

interface Guesses {
  startedMs: number
  bad: number
}

/** How many bad tokens came from where. */
export interface BadTokens {
  /** Counts one more, and says what to answer. */
  refuse(address: string): { kind: 'Bad' } | TooMany
  /** What to answer to one more from there, where there were too many. */
  tooMany(address: string): TooMany | undefined
}

/**
 * Beyond ten bad tokens a minute from one address the answer changes. `onRefused` hears of bad tokens, at most once a
 * minute.
 */
export function createBadTokens(options: {
  clock: Pick<Clock, 'monotonic'>
  onRefused: (address: string) => void
}): BadTokens {
  const { clock } = options
  const guesses = new Map<string, Guesses>()
  const tell = atMostOncePer(windowMs, { clock, tell: options.onRefused })

  const current = (network: string): Guesses | undefined => {
    const known = guesses.get(network)
    return known && clock.monotonic() - known.startedMs < windowMs ? known : undefined
  }
  const wait = ({ startedMs }: Guesses): TooMany => ({
    kind: 'TooMany',
    retryAfterSeconds: Math.ceil((startedMs + windowMs - clock.monotonic()) / 1000),
  })

  return {
    refuse(address) {
      tell(address)
      const network = networkOf(address)
      const counted = current(network) ?? { startedMs: clock.monotonic(), bad: 0 }
      counted.bad += 1
      guesses.delete(network)
      guesses.set(network, counted)
      if (guesses.size > maxAddresses) guesses.delete(guesses.keys().next().value!)
      return counted.bad <= maxBadTokens ? { kind: 'Bad' } : wait(counted)
    },
    tooMany(address) {
      const counted = current(networkOf(address))
      return counted && counted.bad >= maxBadTokens ? wait(counted) : undefined
    },
  }
}

/** Who guesses from one guesses from all of it: a home has one IPv4 address, but 2^64 of IPv6. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:/, '')
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.split('::')
  const groups = head === '' ? [] : head.split(':')
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length)
  return [...groups, ...Array.from({ length: missing }, () => '0')].slice(0, 4).join(':')
}
