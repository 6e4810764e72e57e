import type { Duplex } from 'node:stream'
import ssh2, {
  type AuthHandlerMiddleware,
  type Client,
  type ClientErrorExtensions,
  type NextAuthHandler,
} from 'ssh2'
import { messageOf, ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { Clock } from '../../ports/clock.ts'
import { findMismatch, isDowngraded, isStrict, type Offer, ssh2Algorithms } from './algorithms.ts'
import type { Authentication } from './authentication.ts'
import { guarded } from './guarded.ts'
import { type HostKey, type HostKeyPolicy, judgeHostKey } from './host-key.ts'
import { joinIdentification } from './identification.ts'
import { holdKeyObjects } from './key-objects.ts'
import { createOfferReader } from './read-offer.ts'

const keepaliveMs = 10_000
/** Three keepalives unanswered, and the next one due. */
const silenceMs = 4 * keepaliveMs
const closeMs = 1000

export interface LinkOptions {
  /** A connected TCP socket or forwarded channel. Belongs to the link from here on, also when it fails. */
  stream: Duplex
  /** Address and port, for messages. */
  where: string
  offer: Offer
  policy: HostKeyPolicy
  /** Absent: stop before authentication, once the device has proven that it owns its host key. */
  authentication?: Authentication
  limitMs: number
  clock: Clock
  signal: AbortSignal
}

/** One SSH connection that is up. */
export interface Link {
  readonly client: Client
  readonly stream: Duplex
  readonly where: string
  readonly hostKey: HostKey
  /** Host key algorithms that the device offers. */
  readonly offered: readonly string[]
  /** Whether the device does strict key exchange. */
  readonly strict: boolean
  /** Why it is down, once it is. */
  lost: () => ReflashError | undefined
  /** Calls `fn` once when the link goes down; the returned function takes that back. */
  onLost: (fn: (error: ReflashError) => void) => () => void
  /** Until the returned function is called, so much silence is borne: answers queue behind a slow upload. */
  bearSilence: (ms: number) => () => void
  /** Takes it down at once. What still waits for it gets the error. */
  destroy: (error?: ReflashError) => void
  /** Says goodbye and waits for the other side, a second at most. */
  close: () => Promise<void>
}

type ClientError = Error & ClientErrorExtensions

interface Attempt {
  offer: () => Offer | undefined
  refusal: ReflashError | undefined
  accepted: readonly string[] | null
}

const authFailed = ({ where, authentication }: LinkOptions, attempt: Attempt, cause: unknown) => {
  const accepts = attempt.accepted?.length ? printable(attempt.accepted.join(', '), 200) : 'nothing'
  const tried =
    authentication?.method === 'publickey'
      ? 'is its public key in authorized_keys of the device?'
      : 'is the password right, and does the device allow logging in with one?'
  return new ReflashError(
    'AuthFailed',
    `${where} refuses ${authentication?.username ?? ''} by ${authentication?.method ?? ''} (it accepts: ${accepts}): ${tried}`,
    { cause },
  )
}

const translate = (error: ClientError, options: LinkOptions, attempt: Attempt): ReflashError => {
  const { where, offer } = options
  const theirs = attempt.offer()
  const said = printable(messageOf(error), 200)
  if (attempt.refusal) return attempt.refusal
  if (error.level === 'client-authentication') return authFailed(options, attempt, error)
  if (!theirs) {
    return new ReflashError(
      'Unreachable',
      `${where} accepts connections but does not start SSH (${said}): is this the port of its SSH server, and is that not overloaded?`,
      { cause: error },
    )
  }
  const mismatch = findMismatch(offer, theirs)
  if (mismatch) {
    return new ReflashError(
      'AlgorithmMismatch',
      `${where} has no ${mismatch.part} algorithm in common with us; it offers ${printable(mismatch.theirs.join(', '), 300)}. For OpenWrt 15.05 and older set legacyAlgorithms: true on the device`,
      { cause: error },
    )
  }
  return new ReflashError(
    'ConnectionLost',
    `${where} ended the connection during the SSH handshake (${said})`,
    {
      cause: error,
    },
  )
}

const downgraded = (where: string): ReflashError =>
  new ReflashError(
    'ConnectionLost',
    `${where} has done strict key exchange before and does not any more: older firmware, or somebody in between`,
    { cause: new Error('no strict key exchange') },
  )

const timedOut = ({ where, limitMs }: LinkOptions, attempt: Attempt) =>
  new ReflashError(
    'Timeout',
    `${where} accepts connections but ${attempt.offer() ? 'does not finish the SSH login' : 'does not start SSH'} within ${Math.round(limitMs / 1000)} s`,
    { cause: new Error('handshake limit') },
  )

/** Asks our one authentication for the next thing to try; `false` ends it, which the types do not know. */
const authHandler = (options: LinkOptions, attempt: Attempt): AuthHandlerMiddleware => {
  return (accepted: readonly string[] | null, _partial: boolean, next: NextAuthHandler) => {
    attempt.accepted = accepted
    const method = options.authentication?.next(accepted)
    ;(next as (method: unknown) => void)(method ?? false)
  }
}

const createLink = (
  client: Client,
  options: LinkOptions,
  facts: Pick<Link, 'hostKey' | 'offered' | 'strict'>,
): Link => {
  const { stream, where, clock } = options
  const listeners = new Set<(error: ReflashError) => void>()
  const patience = new Set([{ ms: silenceMs }])
  let lost: ReflashError | undefined
  let heardMs = clock.monotonic()

  const markLost = (error: ReflashError) => {
    if (lost) return
    lost = error
    cancelWatch()
    for (const listener of listeners) listener(error)
    listeners.clear()
  }
  const closed = () =>
    new ReflashError('ConnectionLost', `the session on ${where} has been closed`, {
      cause: new Error('closed'),
    })
  const destroy = (error = closed()) => {
    markLost(error)
    stream.destroy()
  }
  const dropped = (cause: unknown) =>
    new ReflashError(
      'ConnectionLost',
      `${where} dropped the connection (${printable(messageOf(cause), 200)})`,
      { cause },
    )
  const watch = () => {
    const quietMs = clock.monotonic() - heardMs
    if (quietMs < Math.max(...[...patience].map(({ ms }) => ms)))
      cancelWatch = clock.after(keepaliveMs, watch)
    else destroy(dropped(new Error(`no sign of life for ${Math.round(quietMs / 1000)} s`)))
  }
  let cancelWatch = clock.after(keepaliveMs, watch)

  // Before ssh2 sees it: what it writes in answer goes out together, and not in the three parts of each packet.
  stream.prependListener('data', () => {
    heardMs = clock.monotonic()
    stream.cork()
    process.nextTick(() => stream.uncork())
  })
  client.on('error', (error) => destroy(dropped(error)))
  // A forwarded channel only ends; it closes when we close it too.
  client.on('end', () => destroy(dropped(new Error('closed'))))
  client.on('close', () => markLost(dropped(new Error('closed'))))

  return {
    client,
    stream,
    where,
    ...facts,
    lost: () => lost,
    onLost: (fn) => {
      listeners.add(fn)
      return () => listeners.delete(fn)
    },
    bearSilence: (ms) => {
      const borne = { ms }
      patience.add(borne)
      return () => {
        heardMs = clock.monotonic()
        patience.delete(borne)
      }
    },
    destroy,
    close: () =>
      new Promise((resolve) => {
        if (stream.destroyed || lost) return resolve()
        const finish = () => {
          cancel()
          stream.destroy()
          resolve()
        }
        const cancel = clock.after(closeMs, finish)
        client.once('end', finish)
        client.once('close', finish)
        markLost(closed())
        client.end()
      }),
  }
}

/**
 * SSH over a connected stream: handshake, host key, authentication.
 * @throws ReflashError `Unreachable`, `Timeout`, `ConnectionLost`, `AuthFailed`, `HostKeyChanged`, `HostKeyUnknown`, `AlgorithmMismatch`.
 */
export const openLink = (options: LinkOptions): Promise<Link> => {
  const { stream, where, offer, policy, authentication, limitMs, clock, signal } = options
  const reader = createOfferReader()
  const attempt: Attempt = { offer: reader.offer, refusal: undefined, accepted: null }
  const late = () => timedOut(options, attempt)
  const client = new ssh2.Client()
  let up = false
  let hostKey: HostKey | undefined

  const verify = (key: Buffer): boolean => {
    // A later key exchange has to show the very same key.
    attempt.refusal = judgeHostKey(key, hostKey ? { pins: [hostKey], acceptNew: false } : policy, where)
    hostKey ??= Buffer.from(key)
    const theirs = reader.offer()
    if (theirs && isDowngraded(offer, theirs)) attempt.refusal ??= downgraded(where)
    return attempt.refusal === undefined
  }
  if (signal.aborted) stream.destroy()
  return guarded({ clock, limitMs, signal, late }, (resolve, reject) => {
    const done = () => {
      if (!hostKey) return
      up = authentication !== undefined
      stream.off('data', reader.push)
      const theirs = reader.offer()
      const facts = {
        hostKey,
        offered: theirs?.serverHostKey ?? [],
        strict: theirs !== undefined && isStrict(theirs),
      }
      resolve(createLink(client, options, facts))
    }
    // Both listeners stay for the life of the stream: more than one error may come, and none may end the process.
    stream.on('error', () => {})
    client.on('error', (error) => reject(translate(error, options, attempt)))
    const closed = () => reject(translate(new Error('connection closed'), options, attempt))
    client.on('end', closed)
    client.on('close', closed)
    client.on('change password', () =>
      reject(authFailed(options, attempt, new Error('the password has expired'))),
    )
    // At first, and after every later key exchange.
    client.on('handshake', () => holdKeyObjects(client))
    if (authentication) client.once('ready', done)
    else client.once('handshake', done)
    client.connect({
      sock: stream,
      username: authentication?.username ?? '',
      algorithms: ssh2Algorithms(offer),
      hostVerifier: verify,
      authHandler: authHandler(options, attempt),
      readyTimeout: 0,
      keepaliveInterval: keepaliveMs,
      // The link counts silence itself: ssh2 takes an answer that queues behind an upload for a dead peer.
      keepaliveCountMax: Number.MAX_SAFE_INTEGER,
    })
    joinIdentification(client)
    stream.on('data', reader.push)
    return () => {
      if (!up) stream.destroy()
    }
  })
}
