import { defaultPolicySettings } from '../api/defaults.ts'
import type { Key, UpgradeOperation } from '../api/resources.ts'
import { parseDuration } from '../core/duration.ts'
import { hasCode } from '../core/errors.ts'
import { keyOf, keyString, parseKey } from '../core/keys.ts'
import { isFinished, phaseOf } from '../core/operation.ts'
import { toMs } from '../core/time.ts'
import { policyOf } from './observe-operation.ts'
import type { Ports } from './ports.ts'

interface History {
  operationsPerDevice: number
  keepFor: string
}

/** Drops what the policy of a device, past or present, does not keep. */
export async function pruneDevice(key: Key, ports: Ports): Promise<void> {
  const id = keyString(key)
  const [operation] = ports.fleet.operationsOf(id)
  const policy = operation && policyOf(operation, ports.fleet.get('Device', key), ports)
  await pruneHistory(id, ports, policy?.spec.history ?? defaultPolicySettings.history)
}

/** Drops finished operations of a device beyond what is to be kept. Hand-written ones stay as long as declared. */
export async function pruneHistory(device: string, ports: Ports, history: History): Promise<void> {
  const isThere = ports.fleet.get('Device', parseKey(device)) !== undefined
  const finished = [...ports.fleet.operationsOf(device)]
    .filter((operation) => isFinished(operation) && operation.spec.policyRef !== undefined)
    .toSorted((a, b) => endOf(b) - endOf(a))
  const oldest = ports.clock.now() - parseDuration(history.keepFor)
  for (const [index, operation] of finished.entries()) {
    if (index < history.operationsPerDevice && endOf(operation) >= oldest) continue
    // The latest one is what says that this upgrade was done already, as long as there is a device.
    if (index === 0 && (isThere || endOf(operation) >= oldest)) continue
    await removeOperation(operation, ports)
  }
}

const endOf = (operation: UpgradeOperation): number =>
  toMs(operation.status.times?.[phaseOf(operation)] ?? operation.metadata.creationTimestamp)

async function removeOperation(operation: UpgradeOperation, ports: Ports): Promise<void> {
  try {
    const bare = await ports.store.setFinalizers(operation, [])
    await ports.store.delete('UpgradeOperation', keyOf(operation), {
      resourceVersion: bare.metadata.resourceVersion,
    })
  } catch (error) {
    if (!hasCode(error, 'Conflict', 'NotFound')) throw error
  }
}
