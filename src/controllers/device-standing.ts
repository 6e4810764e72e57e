import type { Device, DeviceStatus } from '../api/resources.ts'
import { assess, type Assessment } from '../core/assess.ts'
import { removeCondition, setCondition } from '../core/conditions.ts'
import type { Ports } from './ports.ts'
import { whyNotNow } from './why-not-now.ts'

/** The status of a device that is about to be written, with where it will stand then: no second write has to say that. */
export const withStanding = (
  device: Device,
  { fleet, clock }: Pick<Ports, 'fleet' | 'clock'>,
): DeviceStatus => withAssessment(device, assess(fleet.subject(device)), clock.now())

/** The visible outcome of judging a device: what it runs, what it should run, and why it does not. */
export function withAssessment(device: Device, assessment: Assessment, now: number): DeviceStatus {
  const { running, desired, owner, onTarget } = assessment
  const observedGeneration = device.metadata.generation
  const status: DeviceStatus = { ...device.status }
  const assign = (field: 'buildRef' | 'desiredBuildRef' | 'policyRef', name: string | undefined): void => {
    delete status[field]
    if (name !== undefined) status[field] = { name }
  }
  assign('buildRef', onTarget ? desired : running[0])
  assign('desiredBuildRef', desired)
  assign('policyRef', owner)
  delete status.blocked
  // A stop of all starts is told where it is counted: it must not write every device.
  const why = whyNotNow(assessment, undefined)
  if (why) status.blocked = why
  status.conditions = setCondition(
    status.conditions,
    { type: 'UpToDate', observedGeneration, ...upToDate(device, assessment) },
    now,
  )
  const stalled = stalledByReferences(status)
  if (stalled) status.conditions = setCondition(status.conditions, { ...stalled, observedGeneration }, now)
  return status
}

function stalledByReferences(status: DeviceStatus) {
  const ready = status.conditions?.find(({ type }) => type === 'Ready')
  const stalled = status.conditions?.find(({ type }) => type === 'Stalled')
  if (ready?.status === 'False') {
    return { type: 'Stalled', status: 'True' as const, reason: ready.reason, message: ready.message }
  }
  if (stalled && ['NotFound', 'Conflict', 'Invalid'].includes(stalled.reason)) {
    status.conditions = removeCondition(status.conditions, 'Stalled')
  }
  return undefined
}

function upToDate(
  { status }: Device,
  { running, desired, onTarget, blocked }: Assessment,
): { status: 'True' | 'False' | 'Unknown'; reason: string; message: string } {
  if (desired === undefined)
    return { status: 'Unknown', reason: 'NoTarget', message: 'no policy selects this device' }
  if (status.osIdentifier === undefined) {
    return { status: 'Unknown', reason: 'NotProbed', message: 'nothing is known of what it runs' }
  }
  if (!onTarget) {
    const why = blocked ? `: ${blocked.message}` : ''
    return {
      status: 'False',
      reason: 'NotOnTarget',
      message: `runs ${status.osIdentifier}, wanted ${desired}${why}`.slice(0, 1024),
    }
  }
  return running.length > 1
    ? {
        status: 'True',
        reason: 'SameRelease',
        message: `${running.join(' and ')} are the same release to the device; nothing is flashed between them`,
      }
    : { status: 'True', reason: 'OnTarget', message: `runs ${status.osIdentifier}` }
}
