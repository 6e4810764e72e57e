/** I15, I16 and I25: what the objects say when nothing has gone wrong for a while. */
import type { CountName, Device, Phase, UpgradeOperation } from '../../src/api/resources.ts'
import { operationStem, revisionOf } from '../../src/core/names.ts'
import { blockedReasons } from '../../src/core/reasons.ts'
import { bootAt } from '../../src/simulator/history.ts'
import { isAtWork, isFinal, liesAt, type Past } from './past.ts'

const phaseOf = ({ status }: UpgradeOperation): Phase => status.phase ?? 'Queued'
const isUnfinished = (operation: UpgradeOperation): boolean => !isFinal(phaseOf(operation))

interface Counted {
  device: Device
  /** By its own probe, the build that its policy wants. */
  isOnTarget: boolean
  reason: string | undefined
  /** The latest attempt at what its policy wants. */
  latest: UpgradeOperation | undefined
  /** Whether it is off its target, and an operation or a turn is all that it waits for. */
  isInLine: boolean
}

/** Others have to finish first, and nothing else is wrong. */
const turns: readonly (string | undefined)[] = ['WaitingForSlot', 'WaitingForStart']

const failedAs = ({ latest, reason, isOnTarget }: Counted, failureClass: string): boolean =>
  latest?.status.phase === 'Failed' && !isOnTarget
    ? latest.status.failureClass === failureClass
    : reason === failureClass

/** Counts that a person would make by going through the devices, one by one. */
const recounts: Record<CountName, (of: Counted) => boolean> = {
  matched: () => true,
  eligible: ({ isOnTarget, isInLine }) => isOnTarget || isInLine,
  onTarget: ({ isOnTarget }) => isOnTarget,
  queued: ({ device, isInLine }) => isInLine && device.status.operationRef === undefined,
  inFlight: ({ device }) => device.status.operationRef !== undefined,
  succeeded: ({ latest }) =>
    latest?.status.phase === 'Succeeded' && latest.status.reason !== 'AlreadyOnTarget',
  offline: ({ reason }) => reason === 'Unreachable',
  quarantined: ({ reason }) => reason === 'Quarantined',
  held: ({ reason }) => reason === 'Held' || reason === 'Pinned',
  unsupported: ({ reason }) => reason === 'NoImage' || reason === 'AmbiguousImage',
  unknown: ({ reason }) => reason === 'NeverProbed',
  lost: (counted) => failedAs(counted, 'Lost'),
  rolledBack: (counted) => failedAs(counted, 'RolledBack'),
  failed: ({ latest, reason, isOnTarget }) =>
    (latest?.status.phase === 'Failed' && !isOnTarget) || reason === 'RolledBack',
}

export function* judgeCounters(past: Past): Generator<string> {
  const { policy, devices } = past.rest
  const counted = devices
    .filter(({ status }) => status.policyRef?.name === policy.metadata.name)
    .map((device) => countedOf(device, past))
  for (const [name, isCounted] of Object.entries(recounts)) {
    const told = policy.status.counts?.[name as CountName]
    const found = counted.filter(isCounted).length
    if (told !== found) yield `${told} ${name}, counted ${found}`
  }
}

function countedOf(device: Device, { rest, images }: Past): Counted {
  const { target, retryToken } = rest.policy.spec
  const build = target.buildRef.name
  const { name } = device.metadata
  const [sha256] =
    [...images].find(
      ([, image]) => image.build === build && image.boards.includes(device.status.board ?? ''),
    ) ?? []
  const stem = sha256 && `${operationStem(name, revisionOf(build, [sha256]), retryToken)}-`
  const latest = rest.operations
    .filter(({ metadata }) => stem !== undefined && metadata.name.startsWith(stem))
    .toSorted((a, b) => attemptOf(a) - attemptOf(b))
    .at(-1)
  const isOnTarget = device.status.buildRef?.name === build
  const reason = device.status.blocked?.reason
  const isUnderWay = rest.operations.some(
    (operation) => operation.spec.deviceRef.name === name && isUnfinished(operation),
  )
  const isInLine = !isOnTarget && (isUnderWay || turns.includes(reason))
  return { device, isOnTarget, reason, latest, isInLine }
}

/** By losses, and says so. */
const isStopped = ({ saidLatched, rest }: Past): boolean => saidLatched.some(({ atMs }) => atMs === rest.atMs)

const attemptOf = ({ metadata }: UpgradeOperation): number => Number(metadata.name.split('-').at(-1))

export function* judgeExplain({ rest, routers }: Past): Generator<string> {
  for (const { metadata, status } of rest.devices) {
    const router = routers.find(({ name }) => name === metadata.name)
    const boot = router && bootAt(router.history, rest.atMs)
    const wanted = status.desiredBuildRef?.name
    const isKnown = status.buildRef?.name === wanted && wanted !== undefined
    const { blocked } = status
    if (wanted !== undefined && !isKnown && !blocked)
      yield `${metadata.name} is off its target and nobody says why`
    if (isKnown && blocked) yield `${metadata.name} is on its target, and blocked by ${blocked.reason}`
    if (blocked && (!(blocked.reason in blockedReasons) || blocked.message === ''))
      yield `${metadata.name} is blocked by ${blocked.reason}: ${blocked.message}`
    const isReached = status.bootId === boot?.bootId
    if (
      router &&
      isReached &&
      !liesAt(router, rest.atMs) &&
      status.release?.revision !== boot?.release.revision
    )
      yield `${metadata.name} runs ${boot?.release.revision}, and is said to run ${status.release?.revision}`
  }
}

export function* judgeProgress(past: Past): Generator<string> {
  const { rest } = past
  const isTurnFree =
    rest.policy.spec.state === 'Run' &&
    !isStopped(past) &&
    !rest.operations.some((operation) => isAtWork(phaseOf(operation)))
  for (const operation of rest.operations) {
    if (!isUnfinished(operation)) continue
    const { name } = operation.metadata
    const { reason, message } = operation.status
    if (phaseOf(operation) !== 'Queued') yield `${name} is still ${phaseOf(operation)}: ${message}`
    else if (reason === undefined || !(reason in blockedReasons || reason === 'Waiting'))
      yield `${name} waits in the queue for ${reason}`
    else if (isTurnFree && turns.includes(reason)) yield `${name} waits for its turn, and nobody is at work`
  }
  for (const { metadata, status } of rest.devices) {
    if (isTurnFree && turns.includes(status.blocked?.reason))
      yield `${metadata.name} waits for its turn, and nobody is at work`
    if (status.operationRef) yield `${metadata.name} is still claimed by ${status.operationRef.name}`
    const waitsMs = Date.parse(status.nextProbeTime ?? '') - rest.wallMs
    if (!(waitsMs > -rest.slowestProbeMs && waitsMs <= rest.longestWaitMs))
      yield `${metadata.name} is looked at next at ${status.nextProbeTime}`
  }
  for (const { name, stoppedServices } of rest.reachable)
    if (stoppedServices.length > 0) yield `${name} is left without ${stoppedServices.join(', ')}`
}
