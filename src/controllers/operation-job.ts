import { defaultPolicySettings } from '../api/defaults.ts'
import type { UpgradeOperation, UpgradeOptions } from '../api/resources.ts'
import { parseDuration } from '../core/duration.ts'
import { ReflashError } from '../core/errors.ts'
import { keyOf, keyString } from '../core/keys.ts'
import type { Job } from '../ports/upgrader.ts'
import { policyOf } from './observe-operation.ts'
import type { Ports } from './ports.ts'

/** The timings and limits of one operation, in ms. */
export function settingsOf(operation: UpgradeOperation | undefined, ports: Ports) {
  const device =
    operation &&
    ports.fleet.get('Device', {
      namespace: operation.metadata.namespace,
      name: operation.spec.deviceRef.name,
    })
  const policy = operation && policyOf(operation, device, ports)
  const { timeouts, offline } = policy?.spec ?? defaultPolicySettings
  return {
    connectMs: parseDuration(timeouts.connect),
    commandMs: parseDuration(timeouts.command),
    rebootMs: parseDuration(timeouts.reboot),
    uploadMs: parseDuration(timeouts.upload),
    offline,
    uploadGate: [policy ? keyString(keyOf(policy)) : '', policy?.spec.limits.upload] as const,
  }
}

/** What the upgrader is told. @throws ReflashError `NotFound` when device or image are gone. */
export function jobOf(operation: UpgradeOperation, ports: Ports): Job {
  const { namespace } = operation.metadata
  const device = ports.fleet.get('Device', { namespace, name: operation.spec.deviceRef.name })
  const { image } = operation.status
  const firmware = image && ports.fleet.get('FirmwareImage', { namespace, name: image.name })
  if (!device || !image || !firmware) throw new ReflashError('NotFound', 'its device or image is gone')
  const { commandMs, uploadMs } = settingsOf(operation, ports)
  const metadata = firmware.status.metadata
  return {
    operation: operation.metadata.name,
    image: {
      sha256: image.sha256,
      sizeBytes: image.size,
      boards: firmware.status.boards ?? [],
      ...(metadata
        ? {
            metadata: {
              boards: firmware.status.boards ?? [],
              ...metadata,
              compatVersion: metadata.compatVersion ?? '1.0',
            },
          }
        : {}),
    },
    options: optionsOf(operation, ports),
    timeouts: { commandMs, uploadMs },
  }
}

/** Options of category, policy and operation, the nearest last. */
function optionsOf(operation: UpgradeOperation, ports: Ports): UpgradeOptions {
  const { namespace } = operation.metadata
  const device = ports.fleet.get('Device', { namespace, name: operation.spec.deviceRef.name })
  const category = device && ports.fleet.get('Category', { namespace, name: device.spec.categoryRef.name })
  return {
    ...category?.spec.upgradeOptions,
    ...policyOf(operation, device, ports)?.spec.options,
    ...operation.spec.options,
  }
}
