import type { AnyResource, Condition, Device, Kind, KindMap } from '../api/resources.ts'
import type { EventReason } from '../core/event-reasons.ts'
import { getCondition } from '../core/conditions.ts'
import { keyOf } from '../core/keys.ts'
import type { BlockedReason } from '../core/reasons.ts'
import type { EventSink } from '../ports/event-sink.ts'
import type { Change } from './fleet.ts'

/**
 * Tells of an object what its conditions have come to say: once for each change, because a run that changes nothing
 * writes nothing. Operations tell of themselves in their phases.
 */
export function tellChange({ type, object, before }: Change, events: EventSink): void {
  if (type === 'Deleted' || object.kind === 'UpgradeOperation') return
  const told = [
    ...stalled(object, before),
    // What an earlier run has found is not told again.
    ...(before ? tellings[object.kind](before as never, object as never) : []),
  ]
  for (const { warning, reason, message } of told) {
    const about = { kind: object.kind, object: keyOf(object) }
    events.emit({ type: warning ? 'Warning' : 'Info', ...about, reason, message })
  }
}

interface Told {
  warning: boolean
  reason: string
  message: string
}

const info = (reason: EventReason, message: string): Told => ({ warning: false, reason, message })
const warning = (reason: EventReason, message: string): Told => ({ warning: true, reason, message })

/** Whoever comes to need a person, or needs one for another reason: also told by a process that finds it so. */
function stalled(object: AnyResource, before: AnyResource | undefined): Told[] {
  const now = conditionOf(object, 'Stalled')
  if (now?.status !== 'True') return []
  const earlier = before && conditionOf(before, 'Stalled')
  const same = earlier?.status === 'True' && earlier.reason === now.reason && earlier.message === now.message
  return same ? [] : [{ warning: true, reason: now.reason, message: now.message }]
}

const conditionOf = ({ status }: AnyResource, type: string): Condition | undefined =>
  getCondition(status.conditions, type)

/** The condition, if it has this status now and had not before. */
function turned(
  type: string,
  status: Condition['status'],
  before: AnyResource,
  now: AnyResource,
): Condition | undefined {
  const condition = conditionOf(now, type)
  return condition?.status === status && conditionOf(before, type)?.status !== status ? condition : undefined
}

const tellings: { [K in Kind]: (before: KindMap[K], now: KindMap[K]) => Told[] } = {
  Category: ready,
  FirmwareImage: ready,
  Build(before, now) {
    const condition = turned('Ready', 'False', before, now)
    // A build is declared before its images; only one that had some has lost them.
    const hasLost = condition?.reason === 'NoImages' && conditionOf(before, 'Ready') !== undefined
    return hasLost ? [warning('NoImages', condition.message)] : ready(before, now)
  },
  Device: (before, now) => [...reachable(before, now), ...upToDate(before, now), ...blocked(before, now)],
  UpgradePolicy(before, now) {
    const progressing = turned('Reconciling', 'True', before, now)
    const converged = turned('Converged', 'True', before, now)
    const degraded = turned('Degraded', 'True', before, now)
    return [
      ...paused(before, now),
      ...(progressing ? [info('Progressing', progressing.message)] : []),
      ...(degraded ? [warning('Degraded', degraded.message)] : []),
      ...(converged ? [info('Converged', converged.message)] : []),
    ]
  },
  UpgradeOperation: () => [],
}

function ready(before: AnyResource, now: AnyResource): Told[] {
  const condition = turned('Ready', 'True', before, now)
  return condition ? [info('Ready', condition.message)] : []
}

function reachable(before: Device, now: Device): Told[] {
  const silent = turned('Reachable', 'Unknown', before, now)
  // One that answers and is not what it should be is told by its condition Stalled.
  if (silent) return conditionOf(now, 'Stalled') ? [] : [warning('Unreachable', silent.message)]
  if (!turned('Reachable', 'True', before, now)) return []
  const { osIdentifier, board, hostKeys = [] } = now.status
  const runs = `runs ${osIdentifier} on ${board}`
  if (before.status.lastProbeTime !== undefined) return [info('Reachable', runs)]
  const pinned = hostKeys.map((key) => key.split(' ', 1)[0]).join(', ')
  return [info('FirstSeen', `${runs}${pinned === '' ? '' : `; pinned its host keys: ${pinned}`}`)]
}

/** Only for one that was off its target: that the others run it was never news. */
function upToDate(before: Device, now: Device): Told[] {
  const condition = turned('UpToDate', 'True', before, now)
  return condition && conditionOf(before, 'UpToDate')?.status === 'False'
    ? [info('UpToDate', condition.message)]
    : []
}

/**
 * What is about one device alone, and told by no other event: not by reachability, the condition Stalled, or the end of
 * an operation. What holds for a whole fleet is told by its policy.
 */
const ownReasons: Partial<Record<BlockedReason, 'Info' | 'Warning'>> = {
  Held: 'Info',
  Pinned: 'Info',
  OwnedByPolicy: 'Info',
  PolicyConflict: 'Warning',
  NoImage: 'Warning',
  AmbiguousImage: 'Warning',
  UnknownVersion: 'Warning',
  Downgrade: 'Warning',
  HopNotAllowed: 'Warning',
  AlreadyFlashed: 'Warning',
  Quarantined: 'Warning',
}

function blocked({ status: before }: Device, { status: now }: Device): Told[] {
  const { reason, message } = now.blocked ?? {}
  if (reason === undefined || reason === before.blocked?.reason) return []
  const own = ownReasons[reason as BlockedReason]
  return own ? [{ warning: own === 'Warning', reason: 'Blocked', message: `${reason}: ${message}` }] : []
}

const pauses: Readonly<Record<string, EventReason>> = {
  Requested: 'Paused',
  Aborted: 'Aborted',
  Halted: 'Halted',
  LostLimit: 'LostLimit',
}

function paused(before: KindMap['UpgradePolicy'], now: KindMap['UpgradePolicy']): Told[] {
  const was = conditionOf(before, 'Paused')
  const is = conditionOf(now, 'Paused')
  if (was?.reason === is?.reason) return []
  if (!is) return [info('Resumed', 'starts upgrades again')]
  const reason = pauses[is.reason] ?? 'Paused'
  return [
    reason === 'Halted' || reason === 'LostLimit' ? warning(reason, is.message) : info(reason, is.message),
  ]
}
