import type { Device, UpgradeOperation } from '../api/resources.ts'
import { isHeld, upgradeStem } from '../core/admit.ts'
import { isHandWritten, phaseOf, type CancelWish } from '../core/operation.ts'
import type { Ports } from './ports.ts'

/** Why an operation should end before its flash, as things stand now; undefined when it should go on. */
export function cancelWish(operation: UpgradeOperation, ports: Ports): CancelWish | undefined {
  const { namespace } = operation.metadata
  if (operation.spec.cancel) return { reason: 'CancelRequested', message: 'cancelled by spec.cancel' }
  if (operation.metadata.deletionTimestamp) {
    return { reason: 'OperationRemoved', message: 'the operation was removed by the operator' }
  }
  const device = ports.fleet.get('Device', { namespace, name: operation.spec.deviceRef.name })
  // Its own file may be read before the one that declares its device.
  if (!device && isHandWritten(operation) && phaseOf(operation) === 'Queued') return undefined
  if (!device || device.metadata.deletionTimestamp) {
    return { reason: 'DeviceRemoved', message: `device ${operation.spec.deviceRef.name} was removed` }
  }
  return isHandWritten(operation) ? undefined : policysWish(operation, device, ports)
}

/** What the policy that made an operation, and the device's owner, say by now. */
function policysWish(operation: UpgradeOperation, device: Device, ports: Ports): CancelWish | undefined {
  const { namespace } = operation.metadata
  if (isHeld(device, ports.clock.now())) {
    return { reason: 'Held', message: `the operator holds the device: ${device.spec.hold!.reason}` }
  }
  const name = operation.spec.policyRef!.name
  const policy = ports.fleet.get('UpgradePolicy', { namespace, name })
  if (!policy || policy.metadata.deletionTimestamp) {
    return { reason: 'PolicyRemoved', message: `policy ${name} was removed` }
  }
  if (policy.spec.state === 'Abort') return { reason: 'PolicyAborted', message: `policy ${name} is aborted` }
  const subject = ports.fleet.subject(device)
  if (subject.policies[0]?.metadata.name !== name) {
    return { reason: 'Superseded', message: `policy ${name} does not own the device any more` }
  }
  const stem = upgradeStem(subject)?.stem
  if (stem !== undefined && !operation.metadata.name.startsWith(`${stem}-`)) {
    return { reason: 'Superseded', message: `policy ${name} wants something else by now` }
  }
  return undefined
}
