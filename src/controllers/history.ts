import type { UpgradeOperation } from '../api/resources.ts'
import { parseDuration } from '../core/duration.ts'
import { hasCode } from '../core/errors.ts'
import { keyOf } from '../core/keys.ts'
import { isFinished, phaseOf } from '../core/operation.ts'
import { toMs } from '../core/time.ts'
import type { Ports } from './ports.ts'

/** Drops finished operations of a device beyond what its policy keeps. Hand-written ones stay as long as declared. */
export async function pruneHistory(device: string, ports: Ports, history: { operationsPerDevice: number; keepFor: string }): Promise<void> {
  const finished = [...ports.fleet.operationsOf(device)]
    .filter((operation) => isFinished(operation) && operation.spec.policyRef !== undefined)
    .toSorted((a, b) => endOf(b) - endOf(a))
  const oldest = ports.clock.now() - parseDuration(history.keepFor)
  for (const [index, operation] of finished.entries()) {
    if (index < history.operationsPerDevice && endOf(operation) >= oldest) continue
    // The latest one is what says that this upgrade was done already.
    if (index === 0) continue
    await removeOperation(operation, ports)
  }
}

const endOf = (operation: UpgradeOperation): number =>
  toMs(operation.status.times?.[phaseOf(operation)] ?? operation.metadata.creationTimestamp)

async function removeOperation(operation: UpgradeOperation, ports: Ports): Promise<void> {
  const metadata = { ...operation.metadata, finalizers: [] }
  try {
    const bare = await ports.store.update({ ...operation, metadata })
    await ports.store.delete('UpgradeOperation', keyOf(operation), { resourceVersion: bare.metadata.resourceVersion })
  } catch (error) {
    if (!hasCode(error, 'Conflict', 'NotFound')) throw error
  }
}
