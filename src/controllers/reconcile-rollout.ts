import type { Key, UpgradePolicy } from '../api/resources.ts'
import type { Assessment } from '../core/assess.ts'
import { hasCode } from '../core/errors.ts'
import { keyOf, keyString, parseKey } from '../core/keys.ts'
import { operationName } from '../core/names.ts'
import type { Candidates } from './candidates.ts'
import { operationFinalizer } from './finalizers.ts'
import { pollAfter } from './governor.ts'
import { done, type Ports, type Requeue } from './ports.ts'

/** How soon starts go on after HALT. */
const haltPollMs = 1000

/** Starts what one policy may start. Costs work for each start, not for each device. */
export async function reconcileRollout(key: Key, ports: Ports): Promise<Requeue> {
  const policy = ports.fleet.get('UpgradePolicy', key)
  if (!policy || policy.metadata.deletionTimestamp) return done
  const stop = await ports.governor.stop()
  if (stop) return { after: pollAfter(stop, haltPollMs) }
  await startCandidates(policy, ports)
  return done
}

/** Makes an operation for each free slot, in the policy's order. Names are deterministic: a repeated create is a conflict. */
async function startCandidates(policy: UpgradePolicy, ports: Ports): Promise<void> {
  const { fleet, governor } = ports
  const policyKey = keyString(keyOf(policy))
  const candidates = fleet.candidates(policyKey)
  const room = (): number =>
    Math.min(
      policy.spec.limits.maxConcurrent - fleet.slotsUsed(policyKey),
      governor.settings.maxInFlight - fleet.allSlotsUsed(),
    ) - fleet.queuedNow(policyKey)
  for (let free = room(); candidates && free > 0; free = room()) {
    const chosen = take(candidates, free)
    if (chosen.length === 0) return
    // Together, so that they share one write of the store.
    const outcomes = await Promise.allSettled(
      chosen.map(async (id) => {
        const candidate = fleet.assessment(id)?.candidate
        if (candidate) await createOperation(policy, parseKey(id).name, candidate, ports)
      }),
    )
    // Who could not be helped is a candidate again for the next turn.
    for (const [place, { status }] of outcomes.entries())
      if (status === 'rejected') fleet.reassess(chosen[place]!)
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }
}

/** The next candidates in order, at most so many. They are candidates no more. */
function take(candidates: Candidates, limit: number): string[] {
  const taken: string[] = []
  while (taken.length < limit) {
    const id = candidates.first()
    if (id === undefined) break
    candidates.remove(id)
    taken.push(id)
  }
  return taken
}

async function createOperation(
  policy: UpgradePolicy,
  device: string,
  candidate: NonNullable<Assessment['candidate']>,
  ports: Ports,
): Promise<void> {
  const { namespace, name } = policy.metadata
  const operation = operationName(candidate.stem, candidate.attempt)
  try {
    await ports.store.create({
      apiVersion: 'reflash.dev/v1alpha1',
      kind: 'UpgradeOperation',
      metadata: {
        namespace,
        name: operation,
        labels: {
          'reflash.dev/policy': name.slice(0, 63),
          'reflash.dev/revision': candidate.revision,
        },
        finalizers: [operationFinalizer],
      },
      spec: {
        deviceRef: { name: device },
        buildRef: { name: candidate.build },
        policyRef: { name },
        revision: candidate.revision,
        cancel: false,
      },
    })
    ports.events.emit({
      type: 'Info',
      kind: 'UpgradeOperation',
      object: { namespace, name: operation },
      reason: 'Created',
      message: `policy ${name} brings device ${device} to build ${candidate.build}`,
    })
  } catch (error) {
    if (!hasCode(error, 'AlreadyExists')) throw error
    // Made by a run before this one; the watch is about to tell the fleet.
    const existing = await ports.store.get('UpgradeOperation', { namespace, name: operation })
    if (existing) ports.fleet.apply('Modified', existing)
  }
}
