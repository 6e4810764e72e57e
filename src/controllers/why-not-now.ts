import type { Blocked, Device } from '../api/resources.ts'
import type { SharedLimits } from '../core/admit.ts'
import type { Assessment } from '../core/assess.ts'

/**
 * The one reason why a device off its target is not upgraded now; undefined for a device on its target, and for one
 * that has none. `stop` is why nothing may start at all.
 */
export function whyNotNow(assessment: Assessment, stop: SharedLimits['stop']): Blocked | undefined {
  const { blocked, candidate, owner } = assessment
  if (blocked) return blocked
  if (!candidate) return undefined
  return stop ?? { reason: 'WaitingForSlot', message: `next in line of policy ${owner}` }
}

/** The reason that a device's status gives, as of now: a stop of all starts writes no device. */
export function reasonNow({ status }: Device, stop: SharedLimits['stop']): string | undefined {
  const reason = status.blocked?.reason
  return stop && reason === 'WaitingForSlot' ? stop.reason : reason
}
