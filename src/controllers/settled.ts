import type { Device, UpgradeOperation } from '../api/resources.ts'
import { keyOf, keyString } from '../core/keys.ts'
import { holdsSlot, isFinished, isHandWritten, phaseOf } from '../core/operation.ts'
import { toMs } from '../core/time.ts'
import type { Ports } from './ports.ts'

/** A next step further away than this is not waited for. */
const patienceMs = 10 * 60_000

export type Standing =
  | { kind: 'Moving' }
  | { kind: 'Converged' }
  /** Nothing moves any more without a person: one line for each reason. */
  | { kind: 'Stuck'; reasons: string[] }

/** Reasons that no waiting changes within a run: a person, an edit or the device itself must. */
const patientReasons = new Set(['Retrying', 'Upgrading', 'WaitingForSlot', 'WaitingForStart', 'BuildNotReady'])

/** Whether a run that is to end may end. Looks at the whole fleet, but only when nothing is in flight. */
export async function standing(ports: Ports): Promise<Standing> {
  const { fleet, clock, governor } = ports
  for (const operation of fleet.unfinished()) if (moves(operation, clock.now())) return { kind: 'Moving' }
  const policies = [...fleet.all('UpgradePolicy')]
  const own = [...fleet.all('UpgradeOperation')].filter(isHandWritten)
  if (policies.length === 0 && own.length === 0) {
    return { kind: 'Stuck', reasons: ['there is no UpgradePolicy and no UpgradeOperation'] }
  }
  const reasons: string[] = []
  const stop = await governor.stop()
  if (stop) reasons.push(`${stop.reason}: ${stop.message}`)
  for (const policy of policies) {
    if ((fleet.counts(keyString(keyOf(policy))).get('matched') ?? 0) > 0) continue
    reasons.push(`policy ${policy.metadata.name}: matches no device`)
  }
  for (const operation of own) {
    if (phaseOf(operation) === 'Succeeded') continue
    reasons.push(`operation ${operation.metadata.name}: ${phaseOf(operation)}: ${operation.status.message ?? ''}`)
  }
  for (const device of fleet.all('Device')) {
    const seen = deviceStanding(device, ports, stop !== undefined)
    if (seen === 'Moving') return { kind: 'Moving' }
    if (seen !== 'Done') reasons.push(seen)
  }
  return reasons.length === 0 ? { kind: 'Converged' } : { kind: 'Stuck', reasons }
}

function moves(operation: UpgradeOperation, now: number): boolean {
  if (isFinished(operation)) return false
  if (holdsSlot(operation)) return !isParkedForPerson(operation)
  const { retryTime, reason } = operation.status
  if (retryTime) return toMs(retryTime) - now <= patienceMs
  return reason === undefined || patientReasons.has(reason)
}

const isParkedForPerson = ({ status }: UpgradeOperation): boolean =>
  status.phase === 'Testing' && status.reason !== undefined && !patientReasons.has(status.reason)

function deviceStanding(device: Device, { fleet, clock, settings }: Ports, stopped: boolean): 'Moving' | 'Done' | string {
  const id = keyString(keyOf(device))
  const assessment = fleet.assessment(id)
  const { name } = device.metadata
  const { lastProbeTime, failedProbes, observedGeneration } = device.status
  const since = settings.probesSince ?? 0
  const probedNow = lastProbeTime !== undefined && toMs(lastProbeTime) >= since
  const stalled = device.status.conditions?.some(({ type, status }) => type === 'Stalled' && status === 'True')
  if (observedGeneration !== device.metadata.generation) return 'Moving'
  if (!probedNow && !failedProbes && !stalled) return 'Moving'
  if (!assessment || assessment.counts.size === 0 || assessment.onTarget) return 'Done'
  const { blocked } = assessment
  if (!blocked) return stopped ? `device ${name}: waits for starts to be allowed again` : 'Moving'
  if (['Held', 'Pinned'].includes(blocked.reason)) return 'Done'
  if (patientReasons.has(blocked.reason)) {
    const soon = blocked.until === undefined || toMs(blocked.until) - clock.now() <= patienceMs
    if (soon && blocked.reason !== 'BuildNotReady') return 'Moving'
  }
  return `device ${name}: ${blocked.reason}: ${blocked.message}`
}
