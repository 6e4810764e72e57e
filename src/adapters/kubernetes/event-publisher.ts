import { backoff } from '../../core/backoff.ts'
import { subjectString } from '../../core/keys.ts'
import type { Clock, Random } from '../../ports/clock.ts'
import type { EventLog, RecordedEvent } from '../../ports/event-log.ts'
import type { EventSink } from '../../ports/event-sink.ts'
import type { Metrics } from '../../ports/metrics.ts'
import { createEventQueue, type QueuedEvent } from './event-queue.ts'
import { createEventWriter, type WriteFailure } from './event-writer.ts'
import { createRecentMap } from './recent-map.ts'
import { createSimilarEvents } from './similar-events.ts'
import { createTokenBucket, type TokenBucket } from './token-bucket.ts'
import type { Transport } from './transport.ts'

/** As client-go has it: an object that keeps on telling is heard every five minutes. */
const objectLimit = { burst: 25, refillMs: 300_000 }
/** Objects whose limits are remembered. */
const maxObjects = 4096
/** Of the whole process: the events of a fleet must not take the server from those who work with it. */
const processLimit = { burst: 100, refillMs: 50 }
/** Written within four minutes; about 4 MB. */
const maxQueued = 4000
/** What could not be written for so long is of no use any more. */
const keepTryingMs = 300_000
const pause = { baseMs: 1000, maxMs: 30_000 }
/** For what is left at the end. */
const closeLimitMs = 3000
const pageSize = 1000

/** Why events are not written. */
const dropReasons = ['Full', 'Limited', 'Refused', 'Unavailable'] as const

export interface EventPublisher {
  /** Writes what waits, for a few seconds at most, and ends. Never rejects. */
  close(): Promise<void>
}

/**
 * Writes what the log records from now on as Event objects of the cluster: each is made once, and counted up when it
 * repeats. Nobody waits for it, and what cannot be written for some minutes is dropped and counted.
 */
export function createEventPublisher(options: {
  log: EventLog
  transport: Pick<Transport, 'request'>
  clock: Clock
  random: Random
  metrics: Metrics
  /** Name of the pod. */
  instance: string
  /** Hears once of each way in which events are lost. Not what feeds the log, which would record it as well. */
  warnings: EventSink
}): EventPublisher {
  const { log, transport, clock, random, metrics, instance, warnings } = options
  const write = createEventWriter(transport, instance)
  const shown = createSimilarEvents()
  const objects = createRecentMap<TokenBucket>(maxObjects)
  const wholeProcess = createTokenBucket(processLimit)
  const queue = createEventQueue(maxQueued)
  const closing = new AbortController()
  const ending = new AbortController()
  const told = new Set<string>()
  let seen = log.version()
  let failures = 0
  let lastFailure = 'the server is slow'
  let pausedUntilMs = -Infinity
  let working: Promise<void> | undefined

  for (const reason of dropReasons) metrics.declare('reflash_events_dropped_total', { reason })

  const drop = (reason: (typeof dropReasons)[number]): void =>
    metrics.add('reflash_events_dropped_total', { reason })
  const tellOnce = (what: string, message: string): void => {
    if (told.has(what)) return
    told.add(what)
    warnings.emit({ type: 'Warning', reason: 'EventsNotPublished', message })
  }

  const pull = (): void => {
    for (;;) {
      const changes = log.since(seen, pageSize)
      if (changes === 'Expired') seen = log.version()
      if (changes === 'Expired' || changes.length === 0) return
      for (const { type, event, version } of changes) {
        seen = version
        if (type !== 'DELETED') enqueue(event)
      }
    }
  }

  const enqueue = (event: RecordedEvent): void => {
    const nowMs = clock.monotonic()
    if (!queue.add(shown(event, nowMs), nowMs)) {
      drop('Full')
      tellOnce('Full', `more than ${maxQueued} events wait to be written; the oldest are dropped`)
    }
    working ??= work()
  }

  async function work(): Promise<void> {
    // What is emitted in one go is one write.
    await Promise.resolve()
    while (queue.size() > 0 && !ending.signal.aborted) {
      const nowMs = clock.monotonic()
      const pauseMs = closing.signal.aborted ? 0 : pausedUntilMs - nowMs
      const waitMs = wholeProcess.waitMs(nowMs)
      if (pauseMs > 0) await sleep(pauseMs, closing.signal)
      else if (waitMs > 0) await sleep(waitMs, ending.signal)
      else await writeNext()
    }
    working = undefined
  }

  const sleep = (ms: number, signal: AbortSignal): Promise<void> => clock.sleep(ms, signal).catch(() => {})

  async function writeNext(): Promise<void> {
    const item = queue.shift()!
    if (!isAdmitted(item)) return
    wholeProcess.take(clock.monotonic())
    const failure = await write(item.event, ending.signal)
    if (failure) afterFailure(item, failure)
    else failures = 0
  }

  /** Whether an event is worth writing still, and its object has not told too much. */
  function isAdmitted(item: QueuedEvent): boolean {
    const nowMs = clock.monotonic()
    if (nowMs - item.sinceMs > keepTryingMs) {
      drop('Unavailable')
      tellOnce('Unavailable', `events that could not be written for minutes are dropped: ${lastFailure}`)
      return false
    }
    if (item.admitted) return true
    const object = objects.use(subjectString(item.event.regarding), () => createTokenBucket(objectLimit))
    if (object.waitMs(nowMs) > 0) {
      drop('Limited')
      return false
    }
    object.take(nowMs)
    item.admitted = true
    return true
  }

  function afterFailure(item: QueuedEvent, { error, retryAfterMs }: WriteFailure): void {
    failures += 1
    const pauseMs = backoff({ attempt: failures, ...pause, random01: random() })
    pausedUntilMs = clock.monotonic() + Math.max(pauseMs, retryAfterMs)
    lastFailure = error.message
    if (error.code !== 'ServerUnavailable') {
      drop('Refused')
      tellOnce(error.code, `an event was refused: ${error.message}`)
    } else if (closing.signal.aborted) ending.abort()
    else queue.putBack(item)
  }

  const stopListening = log.onChange(pull)
  return {
    async close() {
      stopListening()
      closing.abort()
      const cancel = clock.after(closeLimitMs, () => ending.abort())
      await working
      cancel()
    },
  }
}
