import type { FailureClass, Phase, UpgradeOperation } from '../api/resources.ts'
import { isFinished, phaseOf } from '../core/operation.ts'
import { toMs } from '../core/time.ts'
import { transitions } from '../core/transitions.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Fleet } from './fleet.ts'

const results = ['Succeeded', 'Failed', 'Cancelled'] as const
type Result = (typeof results)[number]

const classes = Object.keys({
  Unreachable: true,
  AuthFailed: true,
  HostKeyChanged: true,
  IdentityChanged: true,
  Rejected: true,
  Unsupported: true,
  UploadFailed: true,
  NotStarted: true,
  Lost: true,
  WrongVersion: true,
  RolledBack: true,
  Unhealthy: true,
} satisfies Record<FailureClass, true>)
/** An operation that found its device on the target has upgraded nothing. */
const nothingToDo = 'AlreadyOnTarget'

const verdicts: { result: Result; class: string }[] = [
  { result: 'Succeeded', class: '' },
  { result: 'Succeeded', class: nothingToDo },
  { result: 'Cancelled', class: '' },
  ...classes.map((name) => ({ result: 'Failed' as const, class: name })),
]

const phases = Object.keys(transitions) as Phase[]
const openPhases = phases.filter((phase) => transitions[phase].length > 0)

/**
 * Counts the verdicts of operations as they enter the fleet, which is when they are in the store: what a crash undoes
 * was not counted. Each change costs the same, however large the fleet.
 */
export function countUpgrades(fleet: Fleet, metrics: Metrics, speaks: () => boolean = () => true): void {
  const completions = new Map<Result, number>()
  for (const step of [...openPhases, 'Total'])
    for (const result of results) metrics.declare('reflash_upgrade_duration_seconds', { step, result })
  metrics.onScrape(() =>
    (speaks() ? [...completions] : []).map(([result, ms]) => ({
      name: 'reflash_upgrade_last_completion_timestamp_seconds',
      labels: { result },
      value: ms / 1000,
    })),
  )

  const declareVerdicts = (namespace: string, policy: string): void => {
    for (const verdict of verdicts)
      metrics.declare('reflash_upgrades_total', { namespace, policy, ...verdict })
  }

  function onOperation(object: UpgradeOperation, before: UpgradeOperation | undefined): void {
    const { namespace } = object.metadata
    const policy = object.spec.policyRef?.name ?? ''
    if (!before && policy === '') declareVerdicts(namespace, policy)
    if (!isFinished(object)) return
    const result = phaseOf(object) as Result
    const endedAt = object.status.times?.[result]
    if (endedAt !== undefined) completions.set(result, Math.max(completions.get(result) ?? 0, toMs(endedAt)))
    // Operations of earlier runs are read with the fleet, and were counted by those.
    if (!before || verdictOf(before) === verdictOf(object) || !speaks()) return
    metrics.add('reflash_upgrades_total', { namespace, policy, result, class: classOf(object) })
    // A second verdict says nothing of how long the upgrade took.
    if (isFinished(before)) return
    for (const { step, seconds } of stepsOf(object))
      metrics.observe('reflash_upgrade_duration_seconds', { step, result }, seconds)
  }

  fleet.onChange(({ type, object, before }) => {
    if (type === 'Deleted') return
    if (object.kind === 'UpgradeOperation') onOperation(object, before as UpgradeOperation | undefined)
    if (object.kind === 'UpgradePolicy' && !before)
      declareVerdicts(object.metadata.namespace, object.metadata.name)
  })
}

const classOf = ({ status }: UpgradeOperation): string =>
  status.reason === nothingToDo ? nothingToDo : (status.failureClass ?? '')
const verdictOf = (operation: UpgradeOperation): string => `${phaseOf(operation)} ${classOf(operation)}`

/** How long each phase of the last attempt took; phases that only an earlier attempt reached are left out. */
function stepsOf({ status }: UpgradeOperation): { step: Phase | 'Total'; seconds: number }[] {
  const times = status.times ?? {}
  const attemptAt = times.Connecting === undefined ? undefined : toMs(times.Connecting)
  const entered = phases
    .flatMap((phase) => {
      const time = times[phase]
      return time === undefined ? [] : [{ phase, at: toMs(time) }]
    })
    .filter(({ phase, at }) => phase === 'Queued' || at >= (attemptAt ?? 0))
    // Phases of the same instant keep the order of the table.
    .toSorted((a, b) => a.at - b.at)
  const end = entered.at(-1)
  const steps = entered
    .slice(0, -1)
    .map(({ phase, at }, index) => ({ step: phase, seconds: (entered[index + 1]!.at - at) / 1000 }))
  // One that ended in the queue has no attempt that lasted until then.
  if (!end || attemptAt === undefined || entered.at(-2)?.phase === 'Queued') return steps
  return [...steps, { step: 'Total', seconds: (end.at - attemptAt) / 1000 }]
}
