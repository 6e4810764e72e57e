import { createStatusReader } from '../controllers/fleet-status.ts'
import type { Ports } from '../controllers/ports.ts'
import { ReflashError } from '../core/errors.ts'
import { isLoopback, type ListenAddress } from '../core/listen-address.ts'
import type { EventLog } from '../ports/event-log.ts'
import type { LiveFeed } from '../ports/live-feed.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { ResourceStore } from '../ports/resource-store.ts'
import type { AccessReview } from '../ports/access-review.ts'
import type { TokenSource } from '../ports/token-source.ts'
import type { AccessGate } from './access-gate.ts'
import type { HealthCheck } from './health-routes.ts'
import { createEventCollection } from './event-collection.ts'
import { startServer, type HttpServer } from './http-server.ts'
import type { Exposition } from './metrics-routes.ts'
import { createNamespaceCollection } from './namespace-collection.ts'
import { namespacesOfImage } from './image-routes.ts'
import { createRedaction } from './redaction.ts'
import { createResourceCollections } from './resource-collections.ts'
import { createReviewGate } from './review-gate.ts'
import { createServerApp } from './server.ts'
import { openTlsFiles } from './tls-files.ts'
import { createTokenGate } from './token-gate.ts'

/** How the API is served. */
export interface ApiSettings {
  listen: ListenAddress
  tls: { cert: string; key: string } | undefined
  maxConnections: number
  maxWatches: number
  maxWatchesPerToken: number
}

/** What the API shows, and who may see it. */
export interface ApiSource {
  ports: Pick<Ports, 'clock' | 'events' | 'fleet' | 'governor' | 'images'>
  /** As it is stored, without what tests put around it. */
  store: ResourceStore
  eventLog: EventLog
  live: LiveFeed
  metrics: Metrics & Exposition
  /** Of the program. */
  version: string
  /** Those who may read. Without these and `reviews`: everybody who can connect. */
  tokens?: TokenSource
  /** Asked who may read, unless only this machine can connect and nothing is encrypted. */
  reviews?: AccessReview
  /** Whether the fleet has been read. */
  fleetLoaded: () => boolean
  /** What /livez and /readyz ask besides whether the API itself answers and has read its objects. */
  checks: { live: readonly HealthCheck[]; ready: readonly HealthCheck[] }
}

/** Serves the API until it is closed. @throws ReflashError `Invalid` when it cannot. */
export async function serveApi(settings: ApiSettings, source: ApiSource): Promise<HttpServer> {
  const { store, metrics, version } = source
  const { clock, events, fleet, governor, images } = source.ports
  const warn = (reason: string, message: string): void => events.emit({ type: 'Warning', reason, message })
  const onBug = (error: unknown): void =>
    events.emit({ type: 'Bug', controller: 'api', key: 'request', error })
  const tls =
    settings.tls && openTlsFiles(settings.tls, { clock, onError: (why) => warn('CertificateInvalid', why) })
  const gate = createGate(settings, source, warn)
  const closed = new AbortController()
  const collections = createResourceCollections(store, {
    clock,
    signal: closed.signal,
    onError: (error) => {
      // What passes is no bug, and the controllers tell of it, who follow the same store.
      if (!(error instanceof ReflashError && error.recoverable)) onBug(error)
    },
  })
  const app = createServerApp({
    version,
    clock,
    collections: [
      ...collections.all,
      createNamespaceCollection(collections),
      createEventCollection(source.eventLog),
    ],
    collectionsLoaded: () => collections.loaded(),
    fleet,
    fleetLoaded: source.fleetLoaded,
    status: createStatusReader({ fleet, governor, clock, version }),
    stop: () => governor.stop(),
    live: source.live,
    images,
    redaction: createRedaction(collections.of('Device'), collections.of('UpgradeOperation')),
    limits: settings,
    health: {
      live: [{ name: 'ping', holds: () => true }, ...source.checks.live],
      ready: [{ name: 'objects', holds: () => collections.synced() }, ...source.checks.ready],
    },
    metrics,
    gate,
    onBug,
  })
  const server = await startServer({
    listen: settings.listen,
    fetch: (request, env) => app.fetch(request, env),
    needsToken: gate !== undefined,
    maxConnections: settings.maxConnections,
    clock,
    onBug,
    ...(tls ? { tls } : {}),
  }).catch((error: unknown) => {
    closed.abort()
    throw error
  })
  events.emit({ type: 'Info', reason: 'Listening', message: server.url })
  if (!tls && !isLoopback(settings.listen.host)) {
    warn(
      'NotEncrypted',
      `others on the way to ${server.url} can read what it answers, and the tokens: give --tls-cert and --tls-key`,
    )
  }
  return {
    url: server.url,
    async close() {
      await server.close()
      // Last, so that whoever watches sees how it ends.
      closed.abort()
    },
  }
}

/** Whoever is asked about each request; undefined: nobody. */
function createGate(
  { listen, tls }: ApiSettings,
  { tokens, reviews, ports: { clock, fleet } }: ApiSource,
  warn: (reason: string, message: string) => void,
): AccessGate | undefined {
  const onRefused = (address: string): void =>
    warn('TokenRefused', `a request from ${address} had no valid token`)
  if (tokens) return createTokenGate(tokens, { clock, onRefused })
  if (!reviews || (isLoopback(listen.host) && !tls)) return undefined
  return createReviewGate(reviews, {
    clock,
    namespacesOfImage: (sha256) => namespacesOfImage(fleet, sha256),
    onRefused,
    onUnavailable: ({ message }) => warn('ReviewFailed', message),
  })
}
