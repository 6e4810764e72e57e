import type { Context, MiddlewareHandler } from 'hono'
import { fullAccess, noAccess, type ServerEnv } from './access.ts'
import { isProbe, type AccessGate } from './access-gate.ts'
import { statusError, statusResponse, type Status } from './status-error.ts'

/** Everybody gets the same words, whatever was wrong. */
const unauthorized = statusError(
  401,
  'Unauthorized',
  'a valid token is needed: send Authorization: Bearer, and the token',
)
const forbidden = statusError(403, 'Forbidden', 'this token may not read that')

const unavailable = statusError(
  503,
  'ServiceUnavailable',
  'the API server of the cluster cannot say now who may read that',
  { retryAfterSeconds: 1 },
)

/**
 * Finds out who asks, refuses what they may not read, and tells the routes: `c.get('access')`. Without a gate nobody is
 * asked.
 */
export function guard(gate: AccessGate | undefined): MiddlewareHandler<ServerEnv> {
  return async (context, next) => {
    const url = new URL(context.req.url)
    if (!gate || isBareProbe(url)) {
      context.set('access', gate ? noAccess : fullAccess)
      return next()
    }
    const authorization = context.req.header('Authorization')
    const answer = await gate.check({ authorization, address: addressOf(context), url })
    switch (answer.kind) {
      case 'Known':
        context.set('access', answer.access)
        return next()
      case 'Absent':
      case 'Bad':
        return refuse(unauthorized)
      case 'TooMany': {
        const { retryAfterSeconds } = answer
        return refuse(statusError(429, 'TooManyRequests', 'too many bad tokens', { retryAfterSeconds }))
      }
      case 'Forbidden':
        return refuse(forbidden)
      case 'Unavailable':
        return refuse(unavailable)
    }
  }
}

/** It is answered without a token, and also while nobody can be asked about one. */
const isBareProbe = ({ pathname, search }: URL): boolean => isProbe(pathname) && search === ''

const refuse = (status: Status): Response =>
  statusResponse(status, status.code === 401 ? { 'WWW-Authenticate': 'Bearer' } : {})

const addressOf = (context: Context<ServerEnv>): string => context.env.incoming.socket.remoteAddress ?? ''
