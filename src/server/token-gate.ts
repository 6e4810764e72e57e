import { timingSafeEqual } from 'node:crypto'
import { hashOfToken, idOfToken } from '../core/api-token.ts'
import type { Clock } from '../ports/clock.ts'
import type { TokenSource } from '../ports/token-source.ts'
import type { Access } from './access.ts'
import { bearerToken, isProbe, type AccessGate, type GateAnswer, type GateRequest } from './access-gate.ts'
import { paths } from './api-routes.ts'
import { createBadTokens } from './bad-tokens.ts'

/** A gate that knows at once. */
export interface TokenGate extends AccessGate {
  check(request: GateRequest): GateAnswer
}

/**
 * Compares what clients send with the accepted tokens. Too many bad ones from one address are told to wait, for bad ones
 * alone: behind one address there may be many, and 32 bytes are not guessed. `onRefused` hears of bad tokens, at most
 * once a minute.
 */
export function createTokenGate(
  source: TokenSource,
  { clock, onRefused }: { clock: Clock; onRefused: (address: string) => void },
): TokenGate {
  const badTokens = createBadTokens({ clock, onRefused })
  return {
    check({ authorization, address, url }) {
      if (authorization === undefined) return { kind: 'Absent' }
      const access = accessOf(bearerToken(authorization), source, clock.now())
      if (!access) return badTokens.refuse(address)
      return mayAsk(url.pathname, access) ? { kind: 'Known', access } : { kind: 'Forbidden' }
    },
  }
}

function accessOf(token: string, source: TokenSource, now: number): Access | undefined {
  const id = idOfToken(token)
  const entry = id === undefined ? undefined : source.find(id)
  if (!entry) return undefined
  const isSame = timingSafeEqual(Buffer.from(entry.sha256, 'hex'), Buffer.from(hashOfToken(token), 'hex'))
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

const objectsPath = /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)\/./
const namespacedPath = /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)\/namespaces\/([^/]+)(?:\/|$)/

/** Below the paths of objects a token for some namespaces reads these alone; other routes look at `namespaces` themselves. */
function mayAsk(path: string, { read, metrics, images, namespaces }: Access): boolean {
  if (isProbe(path)) return true
  if (path === paths.metrics) return metrics
  if (path.startsWith('/images/')) return images
  if (!read) return false
  if (namespaces === 'All' || !objectsPath.test(path)) return true
  const namespace = namespacedPath.exec(path)?.[1]
  return namespace !== undefined && namespaces.has(namespace)
}
