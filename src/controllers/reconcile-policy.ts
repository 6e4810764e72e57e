import type { Build, CountName, Key, UpgradePolicy, UpgradePolicyStatus } from '../api/resources.ts'
import { removeCondition, setCondition } from '../core/conditions.ts'
import { keyOf, keyString } from '../core/keys.ts'
import { isReadyImage } from '../core/match.ts'
import { revisionOf } from '../core/names.ts'
import { sameValue } from '../core/same-value.ts'
import { done, type Ports, type Requeue } from './ports.ts'

const maxTopFailures = 20
const zeroCounts: Record<CountName, number> = {
  matched: 0,
  eligible: 0,
  onTarget: 0,
  queued: 0,
  inFlight: 0,
  succeeded: 0,
  failed: 0,
  lost: 0,
  rolledBack: 0,
  offline: 0,
  quarantined: 0,
  held: 0,
  unsupported: 0,
  unknown: 0,
}

/** Writes how far one policy is, from counts that are kept as things change. */
export async function reconcilePolicyStatus(key: Key, ports: Ports): Promise<Requeue> {
  const policy = ports.fleet.get('UpgradePolicy', key)
  if (!policy) return done
  const stop = await ports.governor.stop()
  const status = statusOf(policy, stop, ports)
  if (!sameValue(status, policy.status)) await ports.store.saveStatus({ ...policy, status })
  return stop ? { after: 5000 } : done
}

function statusOf(
  policy: UpgradePolicy,
  stop: { reason: 'Halted' | 'LostLimit'; message: string } | undefined,
  ports: Ports,
): UpgradePolicyStatus {
  const { fleet, clock } = ports
  const now = clock.now()
  const { namespace } = policy.metadata
  const build = fleet.get('Build', { namespace, name: policy.spec.target.buildRef.name })
  const counts = { ...zeroCounts, ...Object.fromEntries(fleet.counts(keyString(keyOf(policy)))) }
  const problem = problemOf(policy, build, ports)
  const converged = counts.matched > 0 && counts.matched === counts.onTarget + counts.held && counts.onTarget > 0
  const facts: PolicyFacts = { policy, counts, problem, converged, stop }
  return {
    observedGeneration: policy.metadata.generation,
    ...(build ? { revision: revision(build, ports) } : {}),
    phase: phaseOfPolicy(facts),
    counts,
    topFailures: topFailures(policy, ports),
    conditions: conditionsOf(facts, now),
  }
}

interface PolicyFacts {
  policy: UpgradePolicy
  counts: Record<CountName, number>
  problem: { reason: string; message: string } | undefined
  converged: boolean
  stop: { reason: 'Halted' | 'LostLimit'; message: string } | undefined
}

function problemOf(policy: UpgradePolicy, build: Build | undefined, { fleet }: Ports): PolicyFacts['problem'] {
  const { namespace, annotations } = policy.metadata
  const { categoryRef, target } = policy.spec
  if (annotations?.['reflash.dev/source-error']) {
    return { reason: 'Invalid', message: annotations['reflash.dev/source-error'] }
  }
  if (!fleet.get('Category', { namespace, name: categoryRef.name })) {
    return { reason: 'NotFound', message: `category ${categoryRef.name} does not exist` }
  }
  if (!build) return { reason: 'NotFound', message: `build ${target.buildRef.name} does not exist` }
  if (build.spec.categoryRef.name !== categoryRef.name) {
    return {
      reason: 'Conflict',
      message: `build ${build.metadata.name} belongs to category ${build.spec.categoryRef.name}`,
    }
  }
  return undefined
}

function revision(build: Build, { fleet }: Ports): string {
  const digests = [...fleet.imagesOf(keyString(keyOf(build)))]
    .filter(isReadyImage)
    .map((image) => image.status.sha256 ?? '')
  return revisionOf(build.metadata.name, digests)
}

function phaseOfPolicy({ policy, counts, converged, problem, stop }: PolicyFacts): NonNullable<UpgradePolicyStatus['phase']> {
  if (policy.spec.state === 'Abort') return 'Aborted'
  if (policy.spec.state === 'Pause') return 'Paused'
  if (policy.spec.state === 'Plan') return 'Planned'
  if (converged) return 'Converged'
  if (stop || problem) return 'Waiting'
  return counts.inFlight + counts.queued > 0 ? 'Progressing' : 'Waiting'
}

function conditionsOf({ policy, counts, problem, converged, stop }: PolicyFacts, now: number) {
  const observedGeneration = policy.metadata.generation
  let conditions = policy.status.conditions ?? []
  const set = (type: string, status: 'True' | 'False' | 'Unknown', reason: string, message: string): void => {
    conditions = setCondition(conditions, { type, status, reason, message, observedGeneration }, now)
  }
  const setWhile = (on: boolean, type: string, reason: string, message: string): void => {
    if (on) set(type, 'True', reason, message)
    else conditions = removeCondition(conditions, type)
  }
  const left = counts.matched - counts.onTarget - counts.held
  const moving = counts.inFlight + counts.queued + counts.offline + counts.quarantined + counts.unknown
  const summary = `${counts.onTarget} of ${counts.matched} devices on target`
  if (problem) set('Ready', 'False', problem.reason, problem.message)
  else set('Ready', 'True', 'Accepted', summary)
  if (counts.matched === 0) set('Converged', 'False', 'NoDevices', 'the selector matches no device')
  else if (converged) set('Converged', 'True', 'AllOnTarget', summary)
  else set('Converged', 'False', 'WorkLeft', `${summary}; ${counts.held} held, ${counts.failed} failed, ${counts.offline} offline`)
  const paused = policy.spec.state === 'Pause' || policy.spec.state === 'Abort'
  if (paused) set('Paused', 'True', policy.spec.state === 'Abort' ? 'Aborted' : 'Requested', `state: ${policy.spec.state}`)
  else setWhile(stop !== undefined, 'Paused', stop?.reason ?? '', stop?.message ?? '')
  setWhile(counts.failed > 0, 'Degraded', 'Failures', `${counts.failed} devices failed, ${counts.lost} of them lost, ${counts.rolledBack} rolled back`)
  const onlyFailures = !problem && policy.spec.state === 'Run' && left > 0 && moving === 0
  setWhile(problem !== undefined || onlyFailures, 'Stalled', problem?.reason ?? 'OnlyFailuresLeft', problem?.message ?? `${left} devices need a person`)
  setWhile(!problem && !onlyFailures && left > 0 && policy.spec.state === 'Run', 'Reconciling', 'Progressing', `${left} devices to go`)
  return conditions
}

function topFailures(policy: UpgradePolicy, { fleet }: Ports): NonNullable<UpgradePolicyStatus['topFailures']> {
  return fleet
    .failuresOf(keyString(keyOf(policy)))
    .map((operation) => ({
      device: operation.spec.deviceRef.name,
      operation: operation.metadata.name,
      class: operation.status.failureClass ?? 'Unsupported',
      message: operation.status.message ?? '',
      time: operation.status.times?.Failed ?? operation.metadata.creationTimestamp,
    }))
    .toSorted((a, b) => (a.time < b.time ? 1 : -1))
    .slice(0, maxTopFailures)
}
