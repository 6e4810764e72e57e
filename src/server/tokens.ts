import { timingSafeEqual } from 'node:crypto'
import { hashOfToken, idOfToken } from '../core/api-token.ts'
import type { Clock } from '../ports/clock.ts'
import type { TokenSource } from '../ports/token-source.ts'
import type { Access } from './access.ts'

/** Whether a request may go on, and with what in sight. */
export type TokenCheck =
  | { kind: 'Known'; access: Access }
  /** There is no token. */
  | { kind: 'Absent' }
  | { kind: 'Bad' }
  /** There were too many bad ones from there. */
  | { kind: 'TooMany'; retryAfterSeconds: number }

export interface TokenGate {
  check(authorization: string | undefined, address: string): TokenCheck
}

const maxBadTokens = 10
const windowMs = 60_000
/** Who has more addresses than this to guess from, guesses in vain as well. */
const maxAddresses = 10_000

interface Guesses {
  startedMs: number
  bad: number
}

/**
 * Compares what clients send with the accepted tokens. Beyond ten bad ones a minute from one address the answer changes,
 * for bad ones alone: behind one address there may be many, and 32 bytes are not guessed. `onRefused` hears of bad
 * tokens, at most once a minute.
 */
export function createTokenGate(
  source: TokenSource,
  { clock, onRefused }: { clock: Clock; onRefused: (address: string) => void },
): TokenGate {
  const guesses = new Map<string, Guesses>()
  let toldMs = Number.NEGATIVE_INFINITY

  const refused = (address: string): TokenCheck => {
    const now = clock.monotonic()
    if (now - toldMs >= windowMs) {
      toldMs = now
      onRefused(address)
    }
    const name = networkOf(address)
    const known = guesses.get(name)
    const current = known && now - known.startedMs < windowMs ? known : { startedMs: now, bad: 0 }
    current.bad += 1
    guesses.delete(name)
    guesses.set(name, current)
    if (guesses.size > maxAddresses) guesses.delete(guesses.keys().next().value!)
    if (current.bad <= maxBadTokens) return { kind: 'Bad' }
    return { kind: 'TooMany', retryAfterSeconds: Math.ceil((current.startedMs + windowMs - now) / 1000) }
  }

  return {
    check(authorization, address) {
      if (authorization === undefined) return { kind: 'Absent' }
      const access = accessOf(authorization, source, clock.now())
      return access ? { kind: 'Known', access } : refused(address)
    },
  }
}

function accessOf(authorization: string, source: TokenSource, now: number): Access | undefined {
  const text = /^bearer +(\S+)$/i.exec(authorization)?.[1] ?? ''
  const id = idOfToken(text)
  const entry = id === undefined ? undefined : source.find(id)
  if (!entry) return undefined
  const isSame = timingSafeEqual(Buffer.from(entry.sha256, 'hex'), Buffer.from(hashOfToken(text), 'hex'))
  if (!isSame || Date.parse(entry.expiresAt) <= now) return undefined
  const scopes = new Set(entry.scopes)
  return {
    tokenId: entry.id,
    read: scopes.has('read'),
    sensitive: scopes.has('inventory:sensitive'),
    metrics: scopes.has('metrics'),
    images: scopes.has('images'),
    namespaces: entry.namespaces ? new Set(entry.namespaces) : 'All',
  }
}

/** A home has one IPv4 address, but 2^64 of IPv6. */
function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:/, '')
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.split('::')
  const groups = head === '' ? [] : head.split(':')
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length)
  return [...groups, ...Array.from({ length: missing }, () => '0')].slice(0, 4).join(':')
}
