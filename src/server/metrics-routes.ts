import { Hono, type MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import type { Clock } from '../ports/clock.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { ServerEnv } from './access.ts'
import { statusError, statusResponse } from './status-error.ts'

/** What is shown to a scraper. */
export interface Exposition {
  readonly contentType: string
  text(): Promise<string>
}

/** `/metrics`, for those who may read metrics, and those of all namespaces. */
export function metricsRoutes(exposition: Exposition): Hono<ServerEnv> {
  return new Hono<ServerEnv>().get('/metrics', async (context) => {
    const { metrics, namespaces } = context.get('access')
    // Counts name policies of every namespace.
    if (!metrics || namespaces !== 'All') {
      return statusResponse(statusError(403, 'Forbidden', 'this token may not read metrics'))
    }
    return context.body(await exposition.text(), 200, { 'Content-Type': exposition.contentType })
  })
}

const methods = new Set(['GET', 'HEAD'])

/** Measures how long each answer takes to begin, by the pattern of its route: paths and queries hold names. */
export function measureRequests(metrics: Metrics, clock: Clock): MiddlewareHandler {
  return async (context, next) => {
    const before = clock.monotonic()
    await next()
    const { method } = context.req
    metrics.observe(
      'http_request_duration_seconds',
      {
        method: methods.has(method) ? method : 'other',
        route: routePath(context),
        status: String(context.res.status),
      },
      (clock.monotonic() - before) / 1000,
    )
  }
}
