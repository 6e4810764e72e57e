import { Hono } from 'hono'
import type { Clock } from '../ports/clock.ts'
import type { Metrics } from '../ports/metrics.ts'
import { fullAccess, type ServerEnv } from './access.ts'
import type { Collection } from './collection.ts'
import { discoveryRoutes, pathNotFound } from './discovery.ts'
import { healthRoutes, type HealthCheck } from './health-routes.ts'
import { internalError } from './http-server.ts'
import { measureRequests, metricsRoutes, type Exposition } from './metrics-routes.ts'

/** Everything that the routes show. */
export interface ServerParts {
  /** Of the program. */
  version: string
  clock: Clock
  collections: readonly Collection[]
  health: { live: readonly HealthCheck[]; ready: readonly HealthCheck[] }
  metrics: Metrics & Exposition
  /** Hears of what a route threw; the client learns no details. */
  onBug: (error: unknown) => void
}

/** All routes in one: whoever asks is looked at first, and everything else is mounted behind that. */
export function createServerApp(parts: ServerParts): Hono<ServerEnv> {
  const { version, clock, collections, health, metrics, onBug } = parts
  const app = new Hono<ServerEnv>()
  app.use(measureRequests(metrics, clock))
  app.use(async (context, next) => {
    context.set('access', fullAccess)
    await next()
  })
  app.route('/', healthRoutes({ ...health, clock }))
  app.route('/', metricsRoutes(metrics))
  app.route(
    '/',
    discoveryRoutes(
      collections.map(({ info }) => info),
      { version },
    ),
  )
  app.notFound(({ req }) => pathNotFound(req.path))
  app.onError((error) => {
    onBug(error)
    return internalError()
  })
  return app
}
