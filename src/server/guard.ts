import type { Context, MiddlewareHandler } from 'hono'
import { fullAccess, type Access, type ServerEnv } from './access.ts'
import { statusError, statusResponse, type Status } from './status-error.ts'
import type { TokenGate } from './tokens.ts'

/** Everybody gets the same words, whatever was wrong. */
const unauthorized = statusError(
  401,
  'Unauthorized',
  'a valid token is needed: send Authorization: Bearer, and the token',
)
const forbidden = statusError(403, 'Forbidden', 'this token may not read that')

/**
 * Finds out who asks, refuses what they may not read, and tells the routes: `c.get('access')`. Without `tokens` nobody
 * is asked.
 */
export function guard(tokens: TokenGate | undefined): MiddlewareHandler<ServerEnv> {
  return async (context, next) => {
    if (!tokens) {
      context.set('access', fullAccess)
      return next()
    }
    const checked = tokens.check(context.req.header('Authorization'), addressOf(context))
    const { pathname, search } = new URL(context.req.url)
    switch (checked.kind) {
      case 'Absent':
        if (!probes.has(pathname) || search !== '') return refuse(unauthorized)
        context.set('access', noAccess)
        return next()
      case 'Bad':
        return refuse(unauthorized)
      case 'TooMany': {
        const { retryAfterSeconds } = checked
        return refuse(statusError(429, 'TooManyRequests', 'too many bad tokens', { retryAfterSeconds }))
      }
      case 'Known': {
        const { access } = checked
        if (!mayAsk(pathname, access)) return refuse(forbidden)
        context.set('access', access)
        return next()
      }
    }
  }
}

/** One word for who watches over the process. */
const probes = new Set(['/livez', '/readyz', '/healthz'])

const noAccess: Access = {
  read: false,
  sensitive: false,
  metrics: false,
  images: false,
  namespaces: new Set(),
}

const refuse = (status: Status): Response =>
  statusResponse(status, status.code === 401 ? { 'WWW-Authenticate': 'Bearer' } : {})

const addressOf = (context: Context<ServerEnv>): string => context.env.incoming.socket.remoteAddress ?? ''

const objectsPath = /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)\/./
const namespacedPath = /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)\/namespaces\/([^/]+)(?:\/|$)/

/** Below the paths of objects a token for some namespaces reads these alone; other routes look at `namespaces` themselves. */
function mayAsk(path: string, { read, metrics, images, namespaces }: Access): boolean {
  if (probes.has(path)) return true
  if (path === '/metrics') return metrics
  if (path.startsWith('/images/')) return images
  if (!read) return false
  if (namespaces === 'All' || !objectsPath.test(path)) return true
  const namespace = namespacedPath.exec(path)?.[1]
  return namespace !== undefined && namespaces.has(namespace)
}
