import { sameValue } from './same-value.ts'

/** What the object that leaders are elected by says. */
export interface LeaseRecord {
  /** Who leads, by the name that this process gave itself; '' when it was given back. */
  holder: string
  /** How long the holder may be silent before others may take over; absent where a stranger wrote none. */
  durationMs?: number
  /** RFC 3339 by the holder's wall clock: for people, and to tell one record from the next. */
  acquireTime?: string
  renewTime?: string
  /** How often the holder has changed. */
  transitions: number
}

export interface ElectionTimes {
  /** Others take over when a record has not changed for this long. */
  durationMs: number
  /** A leader that could not renew for this long leads no more. */
  renewDeadlineMs: number
  /** Between two tries, at least; at most a fifth more. */
  retryMs: number
}

/** Those of client-go, which administrators of clusters know. */
export const electionTimes: ElectionTimes = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000 }

const longestRetry = 1.2

/** Why these times elect nobody, or two at once; undefined: they are sound. */
export function timesProblem({ durationMs, renewDeadlineMs, retryMs }: ElectionTimes): string | undefined {
  if (!(retryMs > 0)) return `the retry period must be longer than 0 ms: ${retryMs} ms`
  if (!(renewDeadlineMs > longestRetry * retryMs)) {
    const least = `${longestRetry} times the retry period of ${retryMs} ms`
    return `the renew deadline must be longer than ${least}: ${renewDeadlineMs} ms`
  }
  if (!(durationMs > renewDeadlineMs)) {
    return `the lease duration must be longer than the renew deadline of ${renewDeadlineMs} ms: ${durationMs} ms`
  }
  return undefined
}

/** How long after the start of one try the next one starts; `random01` keeps candidates apart. */
export const retryAfterMs = ({ retryMs }: ElectionTimes, random01: number): number =>
  retryMs * (1 + (longestRetry - 1) * random01)

/** What one candidate has seen; all times are of its own monotonic clock, in ms. */
export interface Observed {
  /** As last seen; undefined: there never was one. */
  record: LeaseRecord | undefined
  /** False when it was deleted: its holder may not have noticed. */
  isThere: boolean
  /** When the record was first seen as it is. */
  changedAt: number
}

export const nothingObserved: Observed = { record: undefined, isThere: false, changedAt: 0 }

/** After another look, whose answer came at `now`; undefined: there is no record. */
export function observe(before: Observed, record: LeaseRecord | undefined, now: number): Observed {
  if (record === undefined) return { ...before, isThere: false }
  const isSame = before.record !== undefined && sameValue(before.record, record)
  return { record, isThere: true, changedAt: isSame ? before.changedAt : now }
}

export interface Candidate {
  /** Shared with no other process, nor with an earlier one. */
  identity: string
  times: ElectionTimes
  observed: Observed
  /** When the latest write that made or kept it the leader was sent; undefined: it does not lead. */
  renewedAt: number | undefined
}

/** What to do; a write counts only if the record is still the one that was observed. */
export type Decision =
  /** Write the record as ours, and lead once that is stored. */
  | { kind: 'Acquire' }
  | { kind: 'Renew' }
  /** Somebody may lead for so long, if the record does not change. */
  | { kind: 'Wait'; ms: number }
  /** Lead no more, from this moment. */
  | { kind: 'Lost'; why: 'NotRenewed' | 'TakenOver' }

/**
 * Leaders are counted out by their own clock from before the write was sent, and by that of others from after it was
 * seen: that the first limit is the shorter one keeps them apart. No wall clock is asked.
 */
export function decide({ identity, times, observed, renewedAt }: Candidate, now: number): Decision {
  const { record, changedAt } = observed
  if (renewedAt !== undefined) {
    if (record?.holder !== identity) return { kind: 'Lost', why: 'TakenOver' }
    if (now - renewedAt >= times.renewDeadlineMs) return { kind: 'Lost', why: 'NotRenewed' }
    return { kind: 'Renew' }
  }
  // Our own name: that of a write whose answer was lost.
  const isFree = record === undefined || record.holder === '' || record.holder === identity
  const leftMs = changedAt + (record?.durationMs ?? times.durationMs) - now
  return isFree || leftMs <= 0 ? { kind: 'Acquire' } : { kind: 'Wait', ms: leftMs }
}

/** The record that acquires or renews; `time` is now, by the wall clock. */
export function claimOf({ identity, times, observed: { record } }: Candidate, time: string): LeaseRecord {
  const isOurs = record?.holder === identity
  return {
    holder: identity,
    durationMs: times.durationMs,
    acquireTime: (isOurs ? record.acquireTime : undefined) ?? time,
    renewTime: time,
    transitions: record === undefined ? 0 : record.transitions + (isOurs ? 0 : 1),
  }
}

/** The record that gives back: whoever sees it may acquire at once. */
export const releaseOf = (record: LeaseRecord, time: string): LeaseRecord => ({
  ...record,
  holder: '',
  renewTime: time,
})
