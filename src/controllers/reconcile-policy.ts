import type { Build, CountName, Key, UpgradePolicy, UpgradePolicyStatus } from '../api/resources.ts'
import { sourceErrorOf } from '../core/annotations.ts'
import { isTrue, removeCondition, setCondition } from '../core/conditions.ts'
import { keyOf, keyString } from '../core/keys.ts'
import { isReadyImage } from '../core/match.ts'
import { revisionOf } from '../core/names.ts'
import { sameValue } from '../core/same-value.ts'
import { pollAfter } from './governor.ts'
import { done, type Ports, type Requeue } from './ports.ts'

const maxTopFailures = 20
/** Where writes are dear: how often a status is written of which nothing but the counts has changed. */
const countsEveryMs = 5000
/** How soon a status says that HALT is over. */
const haltPollMs = 5000
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
  if (!sameValue(status, policy.status)) {
    const waitMs = untilDue(policy, status, ports)
    if (waitMs > 0) return { after: waitMs }
    await ports.store.saveStatus({ ...policy, status })
  }
  return stop ? { after: pollAfter(stop, haltPollMs) } : done
}

/** Where writes are dear, counts wait for one another; what a policy has come to is told at once. */
function untilDue(policy: UpgradePolicy, next: UpgradePolicyStatus, { fleet, settings }: Ports): number {
  if (!settings.writesDurableOnly || !sameValue(withoutCounts(policy.status), withoutCounts(next))) return 0
  return countsEveryMs - fleet.sinceWritten(policy)
}

/** What is left of a status without its numbers, and the words that tell them. */
const withoutCounts = ({ observedGeneration, revision, phase, conditions }: UpgradePolicyStatus) => ({
  observedGeneration,
  revision,
  phase,
  conditions: conditions?.map(({ type, status, reason }) => ({ type, status, reason })),
})

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
  const converged =
    counts.matched > 0 && counts.matched === counts.onTarget + counts.held && counts.onTarget > 0
  const loading = build !== undefined && isLoading(build)
  const facts: PolicyFacts = { policy, counts, problem, converged, loading, stop }
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
  /** Whether images of the target are still being fetched or checked. */
  loading: boolean
  stop: { reason: 'Halted' | 'LostLimit'; message: string } | undefined
}

function problemOf(
  policy: UpgradePolicy,
  build: Build | undefined,
  { fleet }: Ports,
): PolicyFacts['problem'] {
  const { namespace } = policy.metadata
  const { categoryRef, target } = policy.spec
  const sourceError = sourceErrorOf(policy)
  if (sourceError) return { reason: 'Invalid', message: sourceError }
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

const isLoading = ({ metadata, status }: Build): boolean =>
  status.observedGeneration !== metadata.generation || isTrue(status.conditions, 'Reconciling')

function revision(build: Build, { fleet }: Ports): string {
  const digests = [...fleet.imagesOf(keyString(keyOf(build)))]
    .filter(isReadyImage)
    .map((image) => image.status.sha256 ?? '')
  return revisionOf(build.metadata.name, digests)
}

function phaseOfPolicy({
  policy,
  counts,
  converged,
  problem,
  stop,
}: PolicyFacts): NonNullable<UpgradePolicyStatus['phase']> {
  if (policy.spec.state === 'Abort') return 'Aborted'
  if (policy.spec.state === 'Pause') return 'Paused'
  if (policy.spec.state === 'Plan') return 'Planned'
  if (converged) return 'Converged'
  if (stop || problem) return 'Waiting'
  return counts.inFlight + counts.queued > 0 ? 'Progressing' : 'Waiting'
}

function conditionsOf(facts: PolicyFacts, now: number): NonNullable<UpgradePolicyStatus['conditions']> {
  const { policy } = facts
  let conditions = policy.status.conditions ?? []
  for (const type of policyConditions) {
    const next = judgements[type](facts)
    conditions = next
      ? setCondition(conditions, { type, observedGeneration: policy.metadata.generation, ...next }, now)
      : removeCondition(conditions, type)
  }
  return conditions
}

type Judgement = { status: 'True' | 'False'; reason: string; message: string } | undefined

const yes = (reason: string, message: string): Judgement => ({ status: 'True', reason, message })
const no = (reason: string, message: string): Judgement => ({ status: 'False', reason, message })
const summaryOf = ({ counts }: PolicyFacts): string =>
  `${counts.onTarget} of ${counts.matched} devices on target`
/** Where there is work that it keeps back: what kubectl shows beside the counts. */
const stopOf = (facts: PolicyFacts): string[] =>
  facts.stop && facts.policy.spec.state === 'Run' && leftOf(facts) > 0
    ? [`${facts.stop.reason}: ${facts.stop.message}`]
    : []
const leftOf = ({ counts }: PolicyFacts): number => counts.matched - counts.onTarget - counts.held

const devicesOf = (count: number): string => `${count} ${count === 1 ? 'device' : 'devices'}`

/** Work is left, and none of it moves by itself. */
function onlyFailuresLeft(facts: PolicyFacts): boolean {
  const { counts, problem, policy, loading } = facts
  const moving = counts.inFlight + counts.queued + counts.offline + counts.quarantined + counts.unknown
  return !problem && !loading && policy.spec.state === 'Run' && leftOf(facts) > 0 && moving === 0
}

/** Each condition of a policy; undefined where it is only present while it is true. */
const judgements = {
  Ready: (facts: PolicyFacts) =>
    facts.problem
      ? no(facts.problem.reason, facts.problem.message)
      : yes('Accepted', [summaryOf(facts), ...stopOf(facts)].join('; ')),
  Converged: (facts: PolicyFacts) => {
    const { held, failed, offline, matched } = facts.counts
    if (matched === 0) return no('NoDevices', 'the selector matches no device')
    if (facts.converged) return yes('AllOnTarget', summaryOf(facts))
    return no('WorkLeft', `${summaryOf(facts)}; ${held} held, ${failed} failed, ${offline} offline`)
  },
  Paused: ({ policy, stop }: PolicyFacts) => {
    const { state } = policy.spec
    if (state === 'Pause') return yes('Requested', 'state: Pause')
    if (state === 'Abort') return yes('Aborted', 'state: Abort')
    return stop && yes(stop.reason, stop.message)
  },
  Degraded: ({ counts: { failed, lost, rolledBack } }: PolicyFacts) =>
    failed > 0
      ? yes('Failures', `${devicesOf(failed)} failed, ${lost} of them lost, ${rolledBack} rolled back`)
      : undefined,
  Stalled: (facts: PolicyFacts) => {
    if (facts.problem) return yes(facts.problem.reason, facts.problem.message)
    return onlyFailuresLeft(facts)
      ? yes('OnlyFailuresLeft', `${devicesOf(leftOf(facts))} left, and a person is needed`)
      : undefined
  },
  Reconciling: (facts: PolicyFacts) =>
    !facts.problem && !onlyFailuresLeft(facts) && leftOf(facts) > 0 && facts.policy.spec.state === 'Run'
      ? yes('Progressing', `${devicesOf(leftOf(facts))} to go`)
      : undefined,
} satisfies Record<string, (facts: PolicyFacts) => Judgement>
const policyConditions = Object.keys(judgements) as (keyof typeof judgements)[]

function topFailures(
  policy: UpgradePolicy,
  { fleet }: Ports,
): NonNullable<UpgradePolicyStatus['topFailures']> {
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
