import { Hono, type Context } from 'hono'
import type { Key } from '../api/resources.ts'
import type { Fleet } from '../controllers/fleet.ts'
import { hasCode } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { LiveFeed } from '../ports/live-feed.ts'
import type { ServerEnv } from './access.ts'
import { paths } from './api-routes.ts'
import { writeLog, type FollowOptions } from './log-follower.ts'
import { asEvents, asText } from './log-format.ts'
import { problem } from './problem.ts'
import { readNumber, readQuery, readWord } from './query.ts'
import { accessOf, mayNotRead, mayReadIn, notThere, type Redact } from './status-routes.ts'
import { streamHeaders, streamText } from './text-stream.ts'
import { createWatchCount, type WatchCount } from './watch-count.ts'

export interface LogRouteOptions {
  fleet: Fleet
  feed: LiveFeed
  clock: Clock
  redact: Redact
  /** Logs that are followed at once. */
  maxStreams: number
  /** The same with one token; as many as for all unless told. */
  maxStreamsPerToken?: number
}

const retryAfterSeconds = '10'

/** The log of each operation, as server-sent events that go on after a cut, or as text. */
export function logRoutes(options: LogRouteOptions): Hono<ServerEnv> {
  const slots = createWatchCount(options.maxStreams, options.maxStreamsPerToken ?? options.maxStreams)
  const app = new Hono<ServerEnv>()
  app.onError((error) => {
    if (hasCode(error, 'Invalid')) return problem(400, error.message)
    throw error
  })
  app.get(paths.log, (context) => answer(context, context.req.param(), { ...options, slots }))
  return app
}

function answer(
  context: Context<ServerEnv>,
  key: Key,
  options: LogRouteOptions & { slots: WatchCount },
): Response {
  const access = accessOf(context)
  if (!mayReadIn(access, key.namespace)) return mayNotRead()
  const query = readQuery(context.req.url, ['after', 'follow'])
  const operation = options.fleet.get('UpgradeOperation', key)
  if (!operation) return notThere('operation', key)
  const isText = (context.req.header('Accept') ?? '').includes('text/plain')
  const follow = readWord('follow', query.follow, ['true', 'false']) ?? (isText ? 'false' : 'true')
  const lastEventId = context.req.header('Last-Event-ID')
  const after = readNumber(
    lastEventId === undefined ? 'after' : 'Last-Event-ID',
    lastEventId ?? query.after,
    { least: 0, most: Number.MAX_SAFE_INTEGER, absent: 0 },
  )
  const headers = {
    'Content-Type': isText ? 'text/plain; charset=utf-8' : 'text/event-stream',
    // Whatever gathers an answer before it hands it on would make the log late.
    'Cache-Control': 'no-store, no-transform',
    'X-Accel-Buffering': 'no',
  }
  if (context.req.raw.method === 'HEAD') return new Response(null, { headers })
  const { clock, fleet, feed, redact, slots } = options
  const release = slots.take(access.tokenId)
  if (!release) return tooMany()
  const device = { namespace: key.namespace, name: operation.spec.deviceRef.name }
  const reading: FollowOptions = {
    fleet,
    feed,
    clock,
    after,
    isFollowing: follow === 'true',
    format: isText ? asText : asEvents,
    hide: (text) => redact(text, device, access),
  }
  const body = streamText({ clock, signal: context.req.raw.signal }, async (stream) => {
    try {
      await writeLog(key, reading, stream)
    } finally {
      release()
    }
  })
  return new Response(body, { headers: { ...headers, ...streamHeaders } })
}

const tooMany = (): Response =>
  problem(429, 'as many logs are followed as are allowed; try again', {
    'Retry-After': retryAfterSeconds,
  })
