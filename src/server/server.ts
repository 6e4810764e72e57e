import { Hono } from 'hono'
import type { Clock } from '../ports/clock.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { ServerEnv } from './access.ts'
import type { Collection } from './collection.ts'
import { discoveryRoutes, pathNotFound } from './discovery.ts'
import { guard } from './guard.ts'
import { healthRoutes, type HealthCheck } from './health-routes.ts'
import { internalError } from './http-server.ts'
import { measureRequests, metricsRoutes, type Exposition } from './metrics-routes.ts'
import type { TokenGate } from './tokens.ts'

/** Everything that the routes show. */
export interface ServerParts {
  /** Of the program. */
  version: string
  clock: Clock
  collections: readonly Collection[]
  health: { live: readonly HealthCheck[]; ready: readonly HealthCheck[] }
  metrics: Metrics & Exposition
  /** Undefined: nobody is asked who they are. */
  tokens: TokenGate | undefined
  /** Hears of what a route threw; the client learns no details. */
  onBug: (error: unknown) => void
}

/** All routes in one: whoever asks is looked at first, and everything else is mounted behind that. */
export function createServerApp(parts: ServerParts): Hono<ServerEnv> {
  const { version, clock, collections, health, metrics, tokens, onBug } = parts
  const app = new Hono<ServerEnv>()
  app.use(measureRequests(metrics, clock))
  app.use(guard(tokens))
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
