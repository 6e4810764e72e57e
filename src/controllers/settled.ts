import type { CountName, Device, UpgradeOperation } from '../api/resources.ts'
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

/** Reasons that pass by themselves while a run goes on. */
const patientReasons = new Set(['Waiting', 'Retrying', 'WaitingForSlot', 'WaitingForStart'])

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
    const why = whyNotConverged(fleet.counts(keyString(keyOf(policy))))
    if (why) reasons.push(`policy ${policy.metadata.name}: ${why}`)
  }
  for (const operation of own) {
    if (phaseOf(operation) === 'Succeeded') continue
    reasons.push(
      `operation ${operation.metadata.name}: ${phaseOf(operation)}: ${operation.status.message ?? ''}`,
    )
  }
  for (const device of fleet.all('Device')) {
    const seen = deviceStanding(device, ports, stop !== undefined)
    if (seen.kind === 'Moving') return seen
    if (seen.kind === 'Stuck') reasons.push(seen.reason)
  }
  return reasons.length === 0 ? { kind: 'Converged' } : { kind: 'Stuck', reasons }
}

/** What no device says by itself. Nothing on target is not converged, however little work is left. */
function whyNotConverged(counts: ReadonlyMap<CountName, number>): string | undefined {
  const [matched = 0, onTarget = 0, held = 0] = [
    counts.get('matched'),
    counts.get('onTarget'),
    counts.get('held'),
  ]
  if (matched === 0) return 'matches no device'
  return onTarget === 0 && held > 0 ? `0 of ${matched} devices on target, ${held} held` : undefined
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

type DeviceStanding = { kind: 'Moving' } | { kind: 'Done' } | { kind: 'Stuck'; reason: string }
const moving: DeviceStanding = { kind: 'Moving' }
const arrived: DeviceStanding = { kind: 'Done' }

function deviceStanding(device: Device, ports: Ports, stopped: boolean): DeviceStanding {
  const { name } = device.metadata
  const assessment = ports.fleet.assessment(keyString(keyOf(device)))
  if (!hasBeenLookedAt(device, ports)) return moving
  if (!assessment || assessment.counts.size === 0 || assessment.onTarget) return arrived
  const { blocked } = assessment
  if (!blocked) return stopped ? stuck(name, 'waits for starts to be allowed again') : moving
  if (heldReasons.has(blocked.reason)) return arrived
  // Operations that move have been looked for already: this one waits for a person.
  if (blocked.reason === 'Upgrading') return stuck(name, whyNotMoving(device, ports) ?? blocked.message)
  const soon = blocked.until === undefined || toMs(blocked.until) - ports.clock.now() <= patienceMs
  if (soon && patientReasons.has(blocked.reason)) return moving
  return stuck(name, `${blocked.reason}: ${blocked.message}`)
}

function whyNotMoving(device: Device, { fleet }: Ports): string | undefined {
  const unfinished = [...fleet.operationsOf(keyString(keyOf(device)))].find(
    (operation) => !isFinished(operation),
  )
  const { reason, message } = unfinished?.status ?? {}
  return reason === undefined ? undefined : `${reason}: ${message ?? ''}`
}

const stuck = (name: string, why: string): DeviceStanding => ({
  kind: 'Stuck',
  reason: `device ${name}: ${why}`,
})
const heldReasons = new Set(['Held', 'Pinned'])

/** Whether this run has had its round with a device: it was asked, or an operation has it, and is not just giving it back. */
function hasBeenLookedAt(device: Device, { fleet, settings }: Ports): boolean {
  const { status, metadata } = device
  if (status.operationRef !== undefined) {
    const holder = fleet.get('UpgradeOperation', {
      namespace: metadata.namespace,
      name: status.operationRef.name,
    })
    return holder !== undefined && !isFinished(holder)
  }
  if (status.observedGeneration !== metadata.generation) return false
  const answered =
    status.lastProbeTime !== undefined && toMs(status.lastProbeTime) >= (settings.probesSince ?? 0)
  return answered || fleet.wasAsked(keyString(keyOf(device)))
}
