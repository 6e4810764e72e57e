import { nothingObserved, observe, type LeaseRecord, type Observed } from '../../core/election.ts'
import type { Clock } from '../../ports/clock.ts'
import { recordOf, type Lease, type LeaseAccess } from './leases.ts'

/** A Lease as one candidate knows it. */
export interface ObservedLease {
  readonly observed: Observed
  /** False after a write until its answer has come: nobody knows whether it was stored. */
  readonly isCurrent: boolean
  look(signal?: AbortSignal): Promise<void>
  /** Provided that what was observed is still stored; for the rest as `LeaseAccess.write`. */
  write(record: LeaseRecord, signal?: AbortSignal): Promise<void>
}

export function observeLease(lease: LeaseAccess, { monotonic }: Pick<Clock, 'monotonic'>): ObservedLease {
  let stored: Lease | undefined
  let observed = nothingObserved
  let isCurrent = false
  const take = (latest: Lease | undefined): void => {
    stored = latest
    observed = observe(observed, latest && recordOf(latest), monotonic())
    isCurrent = true
  }
  return {
    get observed() {
      return observed
    },
    get isCurrent() {
      return isCurrent
    },
    look: async (signal) => take(await lease.read(signal)),
    async write(record, signal) {
      isCurrent = false
      take(await lease.write(record, stored, signal))
    },
  }
}
