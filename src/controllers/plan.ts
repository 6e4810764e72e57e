import type { Device } from '../api/resources.ts'
import { byName, keyOf, keyString } from '../core/keys.ts'
import type { Fleet } from './fleet.ts'
import type { Governor } from './governor.ts'

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
 * Lists what would happen to each device, from the very judgement that a run acts on. `startable` is how many may start
 * at once; the others wait for their turn, which is an upgrade all the same.
 */
export async function planFleet(fleet: Fleet, governor: Governor): Promise<Plan> {
  const stop = await governor.stop()
  const devices = [...fleet.all('Device')].toSorted(byName).map((device) => planDevice(device, fleet, stop))
  const count = (action: PlannedDevice['action']): number => devices.filter((device) => device.action === action).length
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

function planDevice(device: Device, fleet: Fleet, stop: { reason: string; message: string } | undefined): PlannedDevice {
  const { namespace, name } = device.metadata
  const assessment = fleet.assessment(keyString(keyOf(device)))
  const runs = device.status.osIdentifier
  const common = {
    namespace,
    name,
    ...(runs === undefined ? {} : { runs }),
    ...(assessment?.desired === undefined ? {} : { target: assessment.desired }),
  }
  if (!assessment || assessment.desired === undefined) {
    return { ...common, action: 'None', reason: 'NoTarget', message: 'no policy selects this device' }
  }
  if (assessment.onTarget) return { ...common, action: 'None', reason: 'OnTarget', message: 'runs its target' }
  const { blocked } = assessment
  if (blocked) {
    const action = waits.has(blocked.reason) ? 'Wait' : 'Blocked'
    return { ...common, action, reason: blocked.reason, message: blocked.message }
  }
  if (stop) return { ...common, action: 'Blocked', reason: stop.reason, message: stop.message }
  const policy = assessment.owner!
  const place = fleet.candidates(`${namespace}/${policy}`)?.size ?? 0
  const max = fleet.get('UpgradePolicy', { namespace, name: policy })?.spec.limits.maxConcurrent ?? 1
  const message = place > max ? `policy ${policy} upgrades ${max} of ${place} at once` : `policy ${policy} starts it now`
  return { ...common, action: 'Upgrade', reason: 'Ready', message }
}
