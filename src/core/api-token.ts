/** Tokens of the API: how they look, and what the file of those that are accepted may say. */
import { createHash } from 'node:crypto'
import { ReflashError } from './errors.ts'
import { toMs } from './time.ts'

export const tokenScopes = ['read', 'inventory:sensitive', 'metrics', 'images'] as const
export type TokenScope = (typeof tokenScopes)[number]

/** An accepted token; the token itself is nowhere. */
export interface TokenEntry {
  id: string
  /** Of the whole text of the token, in lower-case hex. */
  sha256: string
  scopes: readonly TokenScope[]
  /** Absent: all. */
  namespaces?: readonly string[]
  /** RFC 3339. */
  expiresAt: string
}

/** A leaked token that nobody misses should not open anything for longer than this. */
export const maxTokenDays = 90
const dayMs = 86_400_000
const maxTokens = 1000

const idPattern = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/
const namespacePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const timePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/
const tokenPattern = /^rfl_([a-z0-9-]{1,32})_[A-Za-z0-9_-]{43}$/

/** The text that a client sends, from 32 bytes of chance. */
export const tokenText = (id: string, secret: Uint8Array): string =>
  `rfl_${id}_${Buffer.from(secret).toString('base64url')}`

/** The id in a token; undefined for what cannot be one. */
export const idOfToken = (text: string): string | undefined => tokenPattern.exec(text)?.[1]

export const hashOfToken = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Reads the content of a file of tokens at a time in ms since 1970. @throws ReflashError `Invalid` for the first thing wrong. */
export function readTokenEntries(content: unknown, now: number): TokenEntry[] {
  if (!Array.isArray(content)) throw invalid('is no list of tokens')
  if (content.length > maxTokens) throw invalid(`has more than ${maxTokens} tokens`)
  const entries = content.map((item: unknown, index) => readEntry(item, `token ${index + 1}`, now))
  const twice = entries.find(({ id }, index) => entries.findIndex((other) => other.id === id) < index)
  if (twice) throw invalid(`has two tokens with the id ${twice.id}`)
  return entries
}

/** Each field: what it must be, and the words for one that is not. */
const fields: Record<keyof TokenEntry, { accepts: (value: unknown) => boolean; words: string }> = {
  id: {
    accepts: (value) => matches(idPattern, value),
    words: 'id must be 1 to 32 of a-z, 0-9 and -',
  },
  sha256: {
    accepts: (value) => matches(/^[0-9a-f]{64}$/, value),
    words: 'sha256 must be the SHA-256 of the token, as 64 digits of lower-case hex',
  },
  scopes: {
    accepts: (value) => isList(value, (item) => (tokenScopes as readonly unknown[]).includes(item)),
    words: `scopes must be a list of ${tokenScopes.join(', ')}`,
  },
  namespaces: {
    accepts: (value) => value === undefined || isList(value, (item) => matches(namespacePattern, item)),
    words: 'namespaces must be a list of their names; leave it out for all of them',
  },
  expiresAt: {
    accepts: (value) => matches(timePattern, value) && !Number.isNaN(toMs(value)),
    words: 'expiresAt must be a time such as 2027-01-31T00:00:00Z',
  },
}

function readEntry(item: unknown, where: string, now: number): TokenEntry {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) throw invalid(`${where} is no map`)
  // Not quoted: whoever mistakes the fields may have written the token itself.
  if (Object.keys(item).some((name) => !Object.hasOwn(fields, name))) {
    throw invalid(`${where} has a field that is none of ${Object.keys(fields).join(', ')}`)
  }
  const values = item as Record<string, unknown>
  for (const [name, { accepts, words }] of Object.entries(fields)) {
    if (!accepts(values[name])) throw invalid(`${where}: ${words}`)
  }
  const entry = values as unknown as TokenEntry
  if (entry.namespaces && entry.scopes.includes('metrics')) {
    throw invalid(`${where}: metrics are of all namespaces; make a token of its own for them`)
  }
  if (toMs(entry.expiresAt) > now + maxTokenDays * dayMs) {
    throw invalid(`${where}: expiresAt must be within ${maxTokenDays} days`)
  }
  return entry
}

const matches = (pattern: RegExp, value: unknown): value is string =>
  typeof value === 'string' && pattern.test(value)

const isList = (value: unknown, accepts: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.length > 0 && value.every(accepts)

const invalid = (message: string): ReflashError => new ReflashError('Invalid', message)
