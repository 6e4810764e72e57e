import {
  claimOf,
  decide,
  electionTimes,
  releaseOf,
  retryAfterMs,
  timesProblem,
  type Candidate,
  type ElectionTimes,
} from '../../core/election.ts'
import { hasCode, ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { Clock, Random } from '../../ports/clock.ts'
import type { Elector, Standing } from '../../ports/elector.ts'
import { runUntilAborted } from '../run-until-aborted.ts'
import { createStandingListeners } from '../standing-listeners.ts'
import { microTime, openLease } from './leases.ts'
import { observeLease } from './observed-lease.ts'
import type { Transport } from './transport.ts'

export interface LeaseElectorOptions {
  /** Its own, so that no trouble of other requests makes a renewal wait. */
  transport: Pick<Transport, 'request'>
  clock: Clock
  random: Random
  namespace: string
  name: string
  /** Shown to people, and shared with no other process, nor with an earlier one. */
  identity: string
  times?: Partial<ElectionTimes>
}

interface Term {
  renewedAt: number
  loss: AbortController
  cancelDeadline: () => void
}

/** So often a release is tried against somebody who writes the Lease at the same time. */
const releaseTries = 3

/**
 * Elects by a Lease, as client-go does; it needs the verbs get, create and update.
 * @throws ReflashError `Invalid` for times that elect nobody, or two at once.
 */
export function createLeaseElector(options: LeaseElectorOptions): Elector {
  const { clock, random, namespace, name, identity } = options
  const times = { ...electionTimes, ...options.times }
  const problem = identity === '' ? 'a candidate needs a name' : timesProblem(times)
  if (problem !== undefined) throw new ReflashError('Invalid', `leader election: ${problem}`)
  // A connection that went silent costs one try, and leaves time for another.
  const lease = observeLease(openLease({ ...options, limitMs: Math.ceil(times.renewDeadlineMs / 2) }), clock)
  const listeners = createStandingListeners()
  let term: Term | undefined
  let failure: ReflashError | undefined
  let hasClaimed = false
  let isRunning = false

  const candidate = (): Candidate => ({
    identity,
    times,
    observed: lease.observed,
    renewedAt: term?.renewedAt,
  })
  const isLeader = (): boolean => term !== undefined && !term.loss.signal.aborted
  const standing = (): Standing => {
    settle()
    const { record } = lease.observed
    return {
      isLeader: isLeader(),
      holder: record?.holder || undefined,
      transitions: record?.transitions ?? 0,
      ...(term && isLeader() ? { renewedAt: term.renewedAt } : {}),
      ...(failure ? { failure } : {}),
    }
  }
  const tell = (): void => listeners.tell(standing())
  const note = (error: ReflashError | undefined): void => {
    failure = error
    tell()
  }

  const lose = (reason: unknown): void => {
    term?.cancelDeadline()
    term?.loss.abort(reason)
    tell()
  }
  /** Ends a term whose time is up, or after which somebody else's has begun. */
  const settle = (): void => {
    const decision = decide(candidate(), clock.monotonic())
    if (!isLeader() || decision.kind !== 'Lost') return
    const lost = `the lease ${namespace}/${name} is lost`
    if (decision.why === 'NotRenewed') {
      const why = `not renewed for ${times.renewDeadlineMs / 1000} s`
      return lose(new ReflashError('ServerUnavailable', `${lost}: ${why}`, { cause: failure }))
    }
    const holder = lease.observed.record?.holder ?? ''
    const how = holder === '' ? ': somebody gave it back' : ` to ${printable(holder, 100)}`
    lose(new ReflashError('Conflict', `${lost}${how}`))
  }
  const renewed = (own: Term, sentAt: number): void => {
    own.renewedAt = sentAt
    own.cancelDeadline()
    own.cancelDeadline = clock.after(sentAt + times.renewDeadlineMs - clock.monotonic(), settle)
  }

  /** When the write was sent that made us the holder; undefined: somebody else wrote, and was looked at. */
  const claim = async (signal?: AbortSignal): Promise<number | undefined> => {
    const sentAt = clock.monotonic()
    const { isThere } = lease.observed
    hasClaimed = true
    try {
      await lease.write(claimOf(candidate(), microTime(clock.now())), signal)
    } catch (error) {
      // What cannot be created has no namespace to be in.
      const isMissed = hasCode(error, 'Conflict', 'AlreadyExists') || (isThere && hasCode(error, 'NotFound'))
      if (!isMissed) throw error
      await lease.look(signal)
      return undefined
    }
    // The process may have been paused until now.
    return clock.monotonic() - sentAt < times.renewDeadlineMs ? sentAt : undefined
  }
  const release = async (): Promise<void> => {
    for (let tries = 0; tries < releaseTries; tries += 1) {
      try {
        if (!lease.isCurrent) await lease.look()
        const { record, isThere } = lease.observed
        if (!isThere || record?.holder !== identity) return
        return await lease.write(releaseOf(record, microTime(clock.now())))
      } catch (error) {
        if (!(error instanceof ReflashError)) throw error
        note(error)
        // It expires by itself.
        if (error.code !== 'Conflict') return
      }
    }
  }

  const rest = async (startedAt: number, maxMs: number, signal: AbortSignal): Promise<void> => {
    const leftMs = startedAt + retryAfterMs(times, random()) - clock.monotonic()
    // Whoever rests looks at the signal.
    await clock.sleep(Math.max(0, Math.min(leftMs, maxMs)), signal).catch(() => {})
  }
  /** When the write was sent that made us the leader; undefined: the signal was aborted before. */
  const acquire = async (signal: AbortSignal): Promise<number | undefined> => {
    while (!signal.aborted) {
      const startedAt = clock.monotonic()
      let waitMs = Infinity
      try {
        await lease.look(signal)
        const decision = decide(candidate(), clock.monotonic())
        // Not to be aborted: what may have made us the holder must be known, to be given back.
        const sentAt = decision.kind === 'Acquire' ? await claim() : undefined
        if (sentAt !== undefined) return sentAt
        if (decision.kind === 'Wait') waitMs = decision.ms
        note(undefined)
      } catch (error) {
        if (signal.aborted) break
        if (!(error instanceof ReflashError && error.recoverable)) throw error
        note(error)
      }
      await rest(startedAt, waitMs, signal)
    }
    return undefined
  }
  /** Renews until the signal is aborted, as it is by a loss. */
  const keep = async (own: Term, signal: AbortSignal): Promise<void> => {
    let startedAt = own.renewedAt
    for (;;) {
      await rest(startedAt, Infinity, signal)
      startedAt = clock.monotonic()
      try {
        if (!lease.isCurrent && !signal.aborted) await lease.look(signal)
        settle()
        if (signal.aborted) return
        const sentAt = await claim(signal)
        if (sentAt !== undefined) renewed(own, sentAt)
        note(undefined)
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof ReflashError)) throw error
        note(error)
      }
    }
  }

  const serve = async (
    sentAt: number,
    work: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<'Stopped' | 'Lost'> => {
    const own: Term = { renewedAt: sentAt, loss: new AbortController(), cancelDeadline: () => {} }
    const { signal: loss } = own.loss
    const ended = new AbortController()
    term = own
    renewed(own, sentAt)
    note(undefined)
    const keeping = keep(own, AbortSignal.any([ended.signal, loss]))
    void keeping.catch(lose)
    try {
      await runUntilAborted(work, AbortSignal.any([signal, loss]))
    } finally {
      ended.abort()
      await keeping.finally(() => {
        own.cancelDeadline()
        term = undefined
        tell()
      })
      if (!loss.aborted) await release()
    }
    return loss.aborted ? 'Lost' : 'Stopped'
  }

  return {
    async lead(work, signal) {
      if (isRunning) throw new ReflashError('Busy', `${identity} stands for election already`)
      isRunning = true
      hasClaimed = false
      try {
        const sentAt = await acquire(signal)
        if (sentAt !== undefined && !signal.aborted) return await serve(sentAt, work, signal)
        if (hasClaimed) await release()
        return 'Stopped'
      } finally {
        isRunning = false
        tell()
      }
    },
    standing,
    onChange: (listener) => listeners.onChange(listener),
  }
}
