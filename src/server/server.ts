import { Hono } from 'hono'
import type { Fleet } from '../controllers/fleet.ts'
import type { StatusReader } from '../controllers/fleet-status.ts'
import type { Governor } from '../controllers/governor.ts'
import type { Clock } from '../ports/clock.ts'
import type { ImageStore } from '../ports/image-store.ts'
import type { LiveFeed } from '../ports/live-feed.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { ServerEnv } from './access.ts'
import type { AccessGate } from './access-gate.ts'
import { apiDocsRoutes } from './api-docs.ts'
import type { Collection } from './collection.ts'
import { discoveryRoutes, pathNotFound } from './discovery.ts'
import { guard } from './guard.ts'
import { healthRoutes, type HealthCheck } from './health-routes.ts'
import { imageRoutes } from './image-routes.ts'
import { logRoutes } from './log-routes.ts'
import { measureRequests, metricsRoutes, type Exposition } from './metrics-routes.ts'
import { problem } from './problem.ts'
import type { Redaction } from './redaction.ts'
import { internalError } from './refuse.ts'
import { resourceRoutes } from './resources.ts'
import { statusRoutes } from './status-routes.ts'
import { warnOfStop } from './stop-warning.ts'

/** Everything that the routes show, and to whom. */
export interface ServerParts {
  /** Of the program. */
  version: string
  clock: Clock
  collections: readonly Collection[]
  /** Whether the collections have been filled. */
  collectionsLoaded: () => boolean
  fleet: Fleet
  /** Whether the fleet has been read. */
  fleetLoaded: () => boolean
  status: StatusReader
  /** Why nothing may start, if that is so. */
  stop: Governor['stop']
  live: LiveFeed
  images: Pick<ImageStore, 'open'>
  redaction: Redaction
  health: { live: readonly HealthCheck[]; ready: readonly HealthCheck[] }
  metrics: Metrics & Exposition
  /** Undefined: nobody is asked who they are. */
  gate: AccessGate | undefined
  limits: { maxWatches: number; maxWatchesPerToken: number }
  /** Hears of what a route threw; the client learns no details. */
  onBug: (error: unknown) => void
}

/** An image takes memory and disk while it is sent; firmware is for few. */
const maxDownloads = 16

/** All routes in one: whoever asks is looked at first, and everything else is mounted behind that. */
export function createServerApp(parts: ServerParts): Hono<ServerEnv> {
  const { version, clock, collections, fleet, limits, metrics, redaction, onBug } = parts
  const infos = collections.map(({ info }) => info)
  const app = new Hono<ServerEnv>()
  app.use(measureRequests(metrics, clock))
  app.use(guard(parts.gate))
  for (const path of ['/api/status/*', '/images/*']) {
    app.use(path, async (_, next) => (parts.fleetLoaded() ? next() : notYet()))
  }
  app.route('/', healthRoutes({ ...parts.health, clock }))
  app.route('/', metricsRoutes(metrics))
  app.route('/', discoveryRoutes(infos, { version }))
  app.use('/apis/reflash.dev/v1alpha1/*', warnOfStop(parts.stop))
  app.route(
    '/',
    resourceRoutes({ collections, clock, isReady: parts.collectionsLoaded, show: redaction.show, ...limits }),
  )
  app.route('/', statusRoutes({ status: parts.status, redact: redaction.text }))
  app.route(
    '/',
    logRoutes({
      fleet,
      feed: parts.live,
      clock,
      redact: redaction.text,
      maxStreams: limits.maxWatches,
      maxStreamsPerToken: limits.maxWatchesPerToken,
    }),
  )
  app.route('/', imageRoutes({ fleet, images: parts.images, clock, maxDownloads }))
  app.route('/', apiDocsRoutes({ version }))
  app.notFound(({ req }) => pathNotFound(req.path))
  app.onError((error) => {
    onBug(error)
    return internalError()
  })
  return app
}

/** Counts of a fleet that is still being read would be wrong. */
const notYet = (): Response => problem(503, 'the state is still being read', { 'Retry-After': '1' })
