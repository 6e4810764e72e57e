import type { Blocked } from '../api/resources.ts'
import type { PolicyStatus } from '../api/status-api.ts'
import { troubles, type BlockedReason } from '../core/reasons.ts'

type Failing = PolicyStatus['models'][number]['failing'][number]
const maxFailing = 20

/** Devices in trouble: all are counted, the first few by name are kept. */
export interface FailingDevices {
  count: number
  /** Those that need a person, then those whose trouble may pass; each by name. */
  Person: Failing[]
  Passing: Failing[]
}

export const failingDevices = (): FailingDevices => ({ count: 0, Person: [], Passing: [] })

/** Counts a device that is blocked, if that is trouble. Costs no more than the few that are kept. */
export function addFailing(all: FailingDevices, device: string, { reason, message }: Blocked): void {
  const trouble = troubles[reason as BlockedReason]
  if (!trouble) return
  all.count += 1
  const kept = all[trouble]
  if (kept.length === maxFailing && kept.at(-1)!.device < device) return
  const place = kept.findIndex((other) => other.device > device)
  kept.splice(place === -1 ? kept.length : place, 0, { device, reason, message })
  if (kept.length > maxFailing) kept.pop()
}

/** As the API shows them: at most 20, those that need a person first. */
export function shownFailing({ count, Person, Passing }: FailingDevices): {
  failing: Failing[]
  more: number
} {
  const failing = [...Person, ...Passing].slice(0, maxFailing)
  return { failing, more: count - failing.length }
}
