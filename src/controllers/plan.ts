import type { Blocked, Device, UpgradeOperation } from '../api/resources.ts'
import { admitOperation, type SharedLimits } from '../core/admit.ts'
import { byName, keyOf, keyString } from '../core/keys.ts'
import { runsBuild } from '../core/match.ts'
import { isFinished, isHandWritten } from '../core/operation.ts'
import type { Fleet } from './fleet.ts'
import type { Governor } from './governor.ts'
import { subjectOf } from './observe-operation.ts'

/** What would happen to one device now, and why. */
export interface PlannedDevice {
  namespace: string
  name: string
  /** What it runs, as it says itself. */
  runs?: string
  /** Build that it should run. */
  target?: string
  /** `Upgrade`: starts as soon as there is a slot. `Wait`: it moves on by itself. `Blocked`: not without a change. */
  action: 'None' | 'Upgrade' | 'Wait' | 'Blocked'
  reason: string
  message: string
}

export interface Plan {
  devices: PlannedDevice[]
  summary: { devices: number; upgrade: number; wait: number; blocked: number; none: number }
}

const waits = new Set(['Upgrading', 'Retrying', 'Quarantined', 'Unreachable', 'NeverProbed', 'BuildNotReady'])

/**
 * Lists what would happen to each device, from the very judgement that a run acts on. A device that waits for its turn
 * only is an upgrade all the same.
 */
export async function planFleet(fleet: Fleet, governor: Governor): Promise<Plan> {
  const stop = await governor.stop()
  const devices = [...fleet.all('Device')].toSorted(byName).map((device) => planDevice(device, fleet, stop))
  const count = (action: PlannedDevice['action']): number =>
    devices.filter((device) => device.action === action).length
  return {
    devices,
    summary: {
      devices: devices.length,
      upgrade: count('Upgrade'),
      wait: count('Wait'),
      blocked: count('Blocked'),
      none: count('None'),
    },
  }
}

function planDevice(device: Device, fleet: Fleet, stop: SharedLimits['stop']): PlannedDevice {
  const { namespace, name } = device.metadata
  const assessment = fleet.assessment(keyString(keyOf(device)))
  const runs = device.status.osIdentifier
  const common = {
    namespace,
    name,
    ...(runs === undefined ? {} : { runs }),
    ...(assessment?.desired === undefined ? {} : { target: assessment.desired }),
  }
  const own = [...fleet.operationsOf(keyString(keyOf(device)))].find(
    (operation) => isHandWritten(operation) && !isFinished(operation),
  )
  if (own) return { ...common, ...planOperation(own, device, { fleet, stop }) }
  if (!assessment || assessment.desired === undefined) {
    return { ...common, action: 'None', reason: 'NoTarget', message: 'no policy selects this device' }
  }
  if (assessment.onTarget)
    return { ...common, action: 'None', reason: 'OnTarget', message: 'runs its target' }
  if (assessment.blocked) return { ...common, ...heldUp(assessment.blocked) }
  if (stop) return { ...common, action: 'Blocked', reason: stop.reason, message: stop.message }
  const policy = assessment.owner!
  const place = fleet.candidates(`${namespace}/${policy}`)?.size ?? 0
  const max = fleet.get('UpgradePolicy', { namespace, name: policy })?.spec.limits.maxConcurrent ?? 1
  const message =
    place > max ? `policy ${policy} upgrades ${max} of ${place} at once` : `policy ${policy} starts it now`
  return { ...common, action: 'Upgrade', reason: 'Ready', message }
}

type Prospect = Pick<PlannedDevice, 'target' | 'action' | 'reason' | 'message'>

const heldUp = ({ reason, message }: Blocked): Prospect => ({
  action: waits.has(reason) ? 'Wait' : 'Blocked',
  reason,
  message,
})

/** What an operation that was written by hand would do to its device. */
function planOperation(
  operation: UpgradeOperation,
  device: Device,
  { fleet, stop }: { fleet: Fleet; stop: SharedLimits['stop'] },
): Prospect {
  const { name } = operation.metadata
  const subject = subjectOf(operation, device, { fleet })
  const target = subject.target && { target: subject.target.build.metadata.name }
  if (subject.target && runsBuild(device.status, subject.target)) {
    return {
      ...target,
      action: 'None',
      reason: 'OnTarget',
      message: `operation ${name} finds it on its target`,
    }
  }
  const free = { policy: 0, all: 0, maxAll: 1 }
  const { blocked } = admitOperation(operation, subject, { ...(stop ? { stop } : {}), inFlight: free })
  if (blocked) return { ...target, ...heldUp(blocked) }
  return { ...target, action: 'Upgrade', reason: 'Ready', message: `operation ${name} starts it now` }
}
