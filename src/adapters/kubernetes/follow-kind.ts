import { messageOf, ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { Clock, Random } from '../../ports/clock.ts'
import { failureOf } from './api-failure.ts'
import { afterOutcome, startListWatch, type Ask, type Outcome } from './list-watch.ts'
import type { Transport } from './transport.ts'

/** What happens to the objects at one path, as the server has them. */
export type RawEvent =
  | { type: 'Listed'; objects: readonly RawObject[]; resourceVersion: string }
  | { type: 'Added' | 'Modified' | 'Deleted'; object: RawObject }
  | { type: 'Bookmark'; resourceVersion: string }
  | { type: 'Interrupted'; error: ReflashError }

export interface RawObject {
  metadata: { name: string; namespace?: string; resourceVersion: string; [field: string]: unknown }
  [field: string]: unknown
}

export interface FollowOptions {
  transport: Transport
  clock: Clock
  random: Random
  /** Of the collection, such as `/apis/reflash.dev/v1alpha1/devices`. */
  path: string
  /** Which objects; empty for all. */
  labelSelector: string
  signal: AbortSignal
}

/** The server ends a watch after this, so that no token and no certificate is used for ever. */
const watchSeconds = { least: 290, most: 590 }
/** Past its own end a watch is given this long to say so: a dead connection says nothing. */
const endMarginMs = 5000
/** A watch is answered before there is anything to tell. */
const answerMs = 30_000
/** Bookmarks come every minute, mostly; a watch in which nothing came for longer may be dead. */
const silenceMs = 90_000

const eventTypes = { ADDED: 'Added', MODIFIED: 'Modified', DELETED: 'Deleted', BOOKMARK: 'Bookmark' } as const
const isEventType = (type: string): type is keyof typeof eventTypes => Object.hasOwn(eventTypes, type)

/** Follows the objects at one path until the signal is aborted; whatever goes wrong is tried again. */
export async function* followKind(options: FollowOptions): AsyncGenerator<RawEvent> {
  const { random, signal } = options
  let machine = startListWatch()
  while (!signal.aborted) {
    if (machine.waitMs > 0 && !(await sleeps(machine.waitMs, options))) return
    const { ask } = machine
    const { outcome, error } = ask.kind === 'List' ? await list(ask, options) : yield* watch(ask, options)
    if (signal.aborted) return
    const [next, told] = afterOutcome(machine, outcome, random())
    machine = next
    if (told?.kind === 'Listed')
      yield { type: 'Listed', objects: told.objects as RawObject[], resourceVersion: told.resourceVersion }
    if (told?.kind === 'Interrupted') yield { type: 'Interrupted', error: error ?? tooShort(options.path) }
  }
}

/** False when the signal is aborted meanwhile. */
async function sleeps(ms: number, { clock, signal }: FollowOptions): Promise<boolean> {
  try {
    await clock.sleep(ms, signal)
    return true
  } catch (error) {
    if (!signal.aborted) throw error
    return false
  }
}

interface Asked {
  outcome: Outcome
  error?: ReflashError
}

async function list(ask: Ask & { kind: 'List' }, options: FollowOptions): Promise<Asked> {
  const { transport, path, clock, signal } = options
  const startedAt = clock.monotonic()
  try {
    const answer = await transport.request({
      method: 'GET',
      path,
      query: {
        ...selection(options),
        ...(ask.limit === undefined ? {} : { limit: String(ask.limit) }),
        ...(ask.continue === undefined ? {} : { continue: ask.continue }),
      },
      signal,
    })
    const failure = failureOf(answer, `list ${path}`)
    if (failure) return failed(failure, { ...answer, lastedMs: clock.monotonic() - startedAt })
    const { items, metadata } = answer.body as {
      items?: RawObject[]
      metadata: { resourceVersion: string; continue?: string }
    }
    return {
      outcome: {
        kind: 'Page',
        objects: items ?? [],
        resourceVersion: metadata.resourceVersion,
        continue: metadata.continue === '' ? undefined : metadata.continue,
      },
    }
  } catch (error) {
    return failed(errorOf(error, signal), { lastedMs: clock.monotonic() - startedAt })
  }
}

const selection = ({ labelSelector }: FollowOptions): Record<string, string> =>
  labelSelector === '' ? {} : { labelSelector }

async function* watch(ask: Ask & { kind: 'Watch' }, options: FollowOptions): AsyncGenerator<RawEvent, Asked> {
  const { transport, path, clock, random, signal } = options
  const startedAt = clock.monotonic()
  const lastedMs = (): number => clock.monotonic() - startedAt
  const seconds = Math.round(watchSeconds.least + random() * (watchSeconds.most - watchSeconds.least))
  const silence = new AbortController()
  const hush = (): void => silence.abort()
  const cancelCap = clock.after(seconds * 1000 + endMarginMs, hush)
  let cancelSilence = clock.after(answerMs, hush)
  let { resourceVersion } = ask
  let hasBegun = false
  let changes = 0
  const ended = (): Asked => ({ outcome: { kind: 'Ended', resourceVersion, lastedMs: lastedMs(), changes } })
  const failedNow = (error: ReflashError, answer: { status?: number; retryAfterMs?: number } = {}): Asked =>
    failed(error, { ...answer, lastedMs: lastedMs(), ...(hasBegun ? { resourceVersion } : {}) })
  try {
    const stream = await transport.stream({
      method: 'GET',
      path,
      query: {
        ...selection(options),
        watch: 'true',
        resourceVersion,
        allowWatchBookmarks: 'true',
        timeoutSeconds: String(seconds),
      },
      signal: AbortSignal.any([signal, silence.signal]),
    })
    if (stream.status !== 200) {
      const answer = { status: stream.status, body: parse(await stream.text()) }
      const failure = failureOf(answer, `watch ${path}`)!
      return failedNow(failure, stream)
    }
    hasBegun = true
    cancelSilence()
    cancelSilence = clock.after(silenceMs, hush)
    yield { type: 'Bookmark', resourceVersion }
    for await (const line of stream.lines) {
      cancelSilence()
      cancelSilence = clock.after(silenceMs, hush)
      const heard = heardIn(line, path)
      if ('error' in heard) return failedNow(heard.error, heard)
      const { type, object } = heard
      ;({ resourceVersion } = object.metadata)
      if (type !== 'Bookmark') changes += 1
      yield type === 'Bookmark' ? { type, resourceVersion } : { type, object }
    }
    return ended()
  } catch (error) {
    // Silence alone proves nothing against the version that is known: it is watched on from there.
    if (silence.signal.aborted && !signal.aborted)
      return hasBegun ? ended() : failedNow(new ReflashError('ServerUnavailable', `watch ${path}: no answer`))
    return failedNow(errorOf(error, signal))
  } finally {
    cancelCap()
    cancelSilence()
    silence.abort()
  }
}

const failed = (
  error: ReflashError,
  {
    status,
    retryAfterMs,
    resourceVersion,
    lastedMs,
  }: {
    status?: number
    retryAfterMs?: number
    resourceVersion?: string
    lastedMs: number
  },
): Asked => ({
  error,
  outcome: {
    kind: 'Failed',
    status,
    lastedMs,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  },
})

const errorOf = (error: unknown, signal: AbortSignal): ReflashError => {
  if (error instanceof ReflashError) return error
  if (signal.aborted) return new ReflashError('ServerUnavailable', 'stopped', { cause: error })
  throw error
}

const unreadable = (path: string, line: string): ReflashError =>
  new ReflashError('ServerUnavailable', `watch ${path}: this is no event: ${printable(line, 100)}`)

const tooShort = (path: string): ReflashError =>
  new ReflashError('ServerUnavailable', `watch ${path}: the server ends it at once`)

type Heard =
  | { type: (typeof eventTypes)[keyof typeof eventTypes]; object: RawObject }
  /** Why the watch is over, and the status that goes with it. */
  | { error: ReflashError; status: number }

function heardIn(line: string, path: string): Heard {
  const event = parse(line) as { type?: unknown; object?: unknown } | null
  const { type, object } = event ?? {}
  const nonsense = { error: unreadable(path, line), status: 200 }
  if (typeof type !== 'string' || typeof object !== 'object' || object === null) return nonsense
  if (type === 'ERROR') {
    const { code: status = 500 } = object as { code?: number }
    const error = failureOf({ status, body: object }, `watch ${path}`) ?? nonsense.error
    return { error, status }
  }
  const isUsable = isEventType(type) && (object as Partial<RawObject>).metadata?.resourceVersion
  return isUsable ? { type: eventTypes[type], object: object as RawObject } : nonsense
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    return messageOf(error)
  }
}
