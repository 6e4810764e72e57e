import type {
  FailureClass,
  Phase,
  UpgradeOperation,
  UpgradeOperationStatus,
  UpgradePolicySpec,
} from '../api/resources.ts'
import type { Admission } from './admit.ts'
import { backoff } from './backoff.ts'
import { removeCondition, setCondition } from './conditions.ts'
import { cut } from './cut.ts'
import { formatDuration, parseDuration } from './duration.ts'
import { appendLog, newLines } from './log-lines.ts'
import type { Probe, StartResult } from './probe.ts'
import { sameValue } from './same-value.ts'
import { toMs, toTime } from './time.ts'
import { canMove } from './transitions.ts'
import { judge } from './verdict.ts'

const finalPhases = new Set<Phase>(['Succeeded', 'Failed', 'Cancelled'])
export const phaseOf = (operation: UpgradeOperation): Phase => operation.status.phase ?? 'Queued'
export const isFinished = (operation: UpgradeOperation): boolean => finalPhases.has(phaseOf(operation))
/** Written by a person, not made by a policy. */
export const isHandWritten = (operation: UpgradeOperation): boolean => operation.spec.policyRef === undefined
/** In these the device may be writing its flash: nothing but looking is allowed. */
export const isFlashing = (phase: Phase): boolean =>
  phase === 'Flashing' || phase === 'Rebooting' || phase === 'Verifying'
/** Counts against the limits. */
export const holdsSlot = (operation: UpgradeOperation): boolean =>
  !isFinished(operation) && phaseOf(operation) !== 'Queued'
/** What a queued operation may wait for while nothing speaks against its device. */
const turnReasons = new Set<string | undefined>([
  undefined,
  'Waiting',
  'WaitingForSlot',
  'WaitingForStart',
  'Halted',
  'LostLimit',
])
/** Queued, and ready to go as soon as there is room: what is blocked must not keep that room from others. */
export const waitsForTurn = (operation: UpgradeOperation): boolean =>
  phaseOf(operation) === 'Queued' && turnReasons.has(operation.status.reason)
/** Flashed and never back; it is looked at for a while yet, and may still be corrected. */
export const isLost = (operation: UpgradeOperation): boolean =>
  operation.status.phase === 'Failed' && operation.status.failureClass === 'Lost'

/** Why an operation should end before its flash. */
export interface CancelWish {
  reason:
    | 'CancelRequested'
    | 'OperationRemoved'
    | 'DeviceRemoved'
    | 'PolicyRemoved'
    | 'PolicyAborted'
    | 'Held'
    | 'Superseded'
  message: string
}

/** What the last act in this run brought. */
export type Outcome =
  | { kind: 'Claimed' }
  | { kind: 'ClaimLost'; message: string }
  | { kind: 'Connected' }
  | { kind: 'Checked' }
  | { kind: 'AlreadyOnTarget'; probe: Probe }
  | { kind: 'Uploaded' }
  /** The cache of this controller turned out not to have it any more. */
  | { kind: 'ImageMissing'; message: string }
  /** Services run again; false where the device could not be reached for that. */
  | { kind: 'Parked'; undone: boolean }
  | { kind: 'Tested'; command: string; bootId: string; uptimeSeconds: number }
  | {
      kind: 'AttemptFailed'
      failureClass: FailureClass
      recoverable: boolean
      message: string
      /** What the device said of it. */
      log?: readonly string[]
    }
  | { kind: 'Start'; result: StartResult }
  | { kind: 'Knocked'; answered: boolean; tookMs: number }
  | { kind: 'Looked'; probe: Probe; log: readonly string[] }
  | { kind: 'LookFailed'; message: string; tookMs: number }

/** Everything that decides the next step of one operation, read fresh. */
export interface OperationWorld {
  /** Whose claim is on the device. */
  claim: 'None' | 'Mine' | 'Other'
  /** Asked whenever the next step is to leave Queued or to start the flash. */
  admission: Admission
  cancel?: CancelWish | undefined
  /** A session on the device is open in this run. */
  hasSession: boolean
  outcome?: Outcome
  /** What the flash is to bring, and what the device was before. */
  target:
    | { image: NonNullable<UpgradeOperationStatus['image']>; to: NonNullable<UpgradeOperationStatus['to']> }
    | undefined
  /** This controller has the file: an image may be Ready because another one has. */
  hasImage: boolean
  from: NonNullable<UpgradeOperationStatus['from']>
  identity: string | undefined
  settings: Pick<UpgradePolicySpec, 'retry' | 'offline' | 'timeouts'>
  /** How long this process has watched the flash, by a clock that nobody sets; 0 where there is none. */
  watchedMs: number
  /** The device was probed after this operation was given up as Lost. */
  answeredSinceLost: boolean
  /** A random number in [0, 1), for jitter. */
  random01: number
}

/** What to do after the status has been saved. */
export type Act =
  | { kind: 'Claim' }
  | { kind: 'Connect' }
  | { kind: 'Check' }
  | { kind: 'Upload' }
  | { kind: 'Test' }
  | { kind: 'Start'; token: { bootId: string; maxUptimeSeconds: number } }
  | { kind: 'Knock' }
  | { kind: 'Look' }
  /** Give the device back: undo what was done on it, free the claim. `startedToNothing` also clears lock and marker. */
  | {
      kind: 'Release'
      undo: boolean
      startedToNothing: boolean
      again?: number
      probe?: Probe
      unreachable?: boolean
    }
  /** Put stopped services back: a start is not allowed for now. */
  | { kind: 'Park' }
  /** Keep what is claimed and wait, without a session. */
  | { kind: 'Wait'; ms?: number }

export interface Step {
  status: UpgradeOperationStatus
  act: Act
  /** A durable write is awaited before the act; the others may be coalesced. */
  durable: boolean
}

/** How long a device that never came back is looked at. */
export const lostWatchMs = 30 * 24 * 3600_000
/** Knocking starts fast and slows down after two minutes. */
const fastKnockMs = 120_000
const slowKnockMs = 10_000
/** A device on its way down still answers for a while; none has written its flash and booted so soon. */
const goingDownMs = 1000
/** At least this lies between the end of a knock and the next one. */
const knockGapMs = 50
const haltPollMs = 1000
/** What else a parked operation waits for is told, but for a slot that comes free and the end of its own time. */
const parkedPollMs = 5000
/** What the message of a start begins with. */
const startWord = 'starting: '
const minRecheckMs = 1000
const beingFetched = 'its image is being fetched'
/** As the schema allows. */
const maxMessageLength = 1024

interface Change {
  phase?: Phase
  reason?: string
  message?: string
  failureClass?: FailureClass
  log?: readonly string[]
}

/** Who was flashed, as far as that is known: by now a person may have accepted another device in its place. */
export const flashedIdentity = ({ status }: UpgradeOperation, now: string | undefined): string | undefined =>
  status.identityBefore ?? now

/**
 * The state machine: what one operation does next, and the status that says so. Pure; the caller saves the status
 * before it acts, so that the intent is durable before the deed.
 */
export function nextStep(operation: UpgradeOperation, world: OperationWorld, now: number): Step {
  const phase = phaseOf(operation)
  if (isFlashing(phase) || isLost(operation)) return watchFlash(operation, world, now)
  if (phase === 'Queued') return leaveQueue(operation, world, now)
  return prepare(operation, world, now)
}

function leaveQueue(operation: UpgradeOperation, world: OperationWorld, now: number): Step {
  const { status } = operation
  if (world.cancel) return cancelled(operation, world, now)
  if (world.claim === 'Other' || world.outcome?.kind === 'ClaimLost') {
    return waiting(operation, now, { message: 'another operation has claimed the device' })
  }
  const ms = retryAfterMs(operation, world, now)
  if (ms > 0) return stayQueued(operation, world, now, { ms })
  const due = withoutRetryTime(operation)
  // A claim of this very turn was admitted; one found after a restart is not, and has no slot yet.
  const admitted = world.admission.admitted || world.outcome?.kind === 'Claimed'
  if (world.claim === 'Mine' && admitted && world.target && world.hasImage)
    return begin(due, world.target, world, now)
  const expired = offlineTooLong(due, world, now)
  if (expired) return failed(due, now, expired)
  if (!world.admission.admitted) return stayQueued(due, world, now, waitFor(world.admission, now))
  if (!world.target)
    return stayQueued(due, world, now, { reason: 'BuildNotReady', message: 'its image is not Ready' })
  if (!world.hasImage) return stayQueued(due, world, now, { reason: 'Waiting', message: beingFetched })
  return { status: { ...status }, act: { kind: 'Claim' }, durable: false }
}

/** How long until the next attempt. A device that has answered since is not made to wait for it. */
function retryAfterMs(
  { status }: UpgradeOperation,
  { admission, settings }: OperationWorld,
  now: number,
): number {
  const isFreeToGo = admission.admitted || turnReasons.has(admission.blocked?.reason)
  if (status.retryTime === undefined || (status.reason === 'Unreachable' && isFreeToGo)) return 0
  const longestMs =
    2 * Math.max(parseDuration(settings.offline.maxRecheck), parseDuration(settings.retry.maxBackoff))
  const ms = toMs(status.retryTime) - now
  // No wait is that long: the time was agreed on before the wall clock was set back.
  return ms > longestMs ? 0 : ms
}

/** A time that has passed would look like one that is waited for. */
function withoutRetryTime(operation: UpgradeOperation): UpgradeOperation {
  const status = { ...operation.status }
  delete status.retryTime
  return { ...operation, status }
}

function begin(
  operation: UpgradeOperation,
  target: NonNullable<OperationWorld['target']>,
  world: OperationWorld,
  now: number,
): Step {
  const attempts = (operation.status.attempts ?? 0) + 1
  const next = change(operation, now, { phase: 'Connecting', message: `attempt ${attempts}` })
  delete next.progress
  next.attempts = attempts
  next.from = world.from
  next.to = target.to
  next.image = target.image
  return { status: next, act: { kind: 'Connect' }, durable: true }
}

/** Waits in the queue, without the claim: a claim that nobody works under would keep even probes away. */
function stayQueued(operation: UpgradeOperation, world: OperationWorld, now: number, why: Waiting): Step {
  const step = waiting(operation, now, why)
  const again = why.ms === undefined ? {} : { again: why.ms }
  return world.claim === 'Mine' ? { ...step, act: release({ undo: true, ...again }) } : step
}

/** What a blocked operation waits for. HALT leaves no mark in the store, so it is looked at again soon. */
function waitFor({ blocked }: Admission, now: number): Waiting {
  if (!blocked) return {}
  const { reason, message, until } = blocked
  if (reason === 'Halted') return { reason, message, ms: haltPollMs }
  return { reason, message, ...(until ? { ms: Math.max(haltPollMs, toMs(until) - now) } : {}) }
}

/** From Connecting to the intent: every step of it may be given up, and undone. */
function prepare(operation: UpgradeOperation, world: OperationWorld, now: number): Step {
  const { outcome } = world
  if (outcome?.kind === 'AttemptFailed') {
    return attemptFailed(withLog(operation, outcome.log ?? [], now), world, outcome, now)
  }
  if (world.cancel) return cancelled(operation, world, now)
  // Somebody took the claim away, and another operation may have the device by now: this one claims it anew.
  if (world.claim !== 'Mine')
    return queueAgain(operation, now, { message: 'its claim on the device is gone', undo: false })
  if (outcome?.kind === 'ImageMissing') return queueAgain(operation, now, { message: outcome.message })
  if (!world.target) {
    const message = 'its image is not Ready any more'
    return queueAgain(operation, now, { reason: 'BuildNotReady', message })
  }
  if (!world.hasSession || !outcome) return resume(operation, world, now)
  return advancePast(outcome, operation, world, now)
}

/** Back to the queue for something in which the device has no part: no attempt has been made. */
function queueAgain(
  operation: UpgradeOperation,
  now: number,
  { message, reason = 'Waiting', undo = true }: { message: string; reason?: string; undo?: boolean },
): Step {
  const next = change(operation, now, { phase: 'Queued', reason, message: `${message}; queued again` })
  next.attempts = Math.max(0, (next.attempts ?? 1) - 1)
  return { status: next, act: release({ undo, again: 0 }), durable: true }
}

/** The next phase after a step that went well. */
function advancePast(
  outcome: Outcome,
  operation: UpgradeOperation,
  world: OperationWorld,
  now: number,
): Step {
  switch (outcome.kind) {
    case 'Connected': {
      const step = advance(operation, now, 'Checking', { kind: 'Check' })
      delete step.status.waitingSince
      return step
    }
    case 'AlreadyOnTarget': {
      const next = change(operation, now, {
        phase: 'Succeeded',
        reason: 'AlreadyOnTarget',
        message: `already runs ${outcome.probe.osIdentifier}; nothing was flashed`,
      })
      return { status: next, act: release({ undo: true, probe: outcome.probe }), durable: true }
    }
    case 'Checked':
      return advance(operation, now, 'Uploading', { kind: 'Upload' })
    case 'Uploaded':
      return advance(operation, now, 'Testing', { kind: 'Test' })
    case 'Tested':
      return world.admission.admitted ? intent(operation, world, outcome, now) : park(operation, world, now)
    case 'Parked':
      return park(operation, world, now)
    case 'Claimed':
    case 'ClaimLost':
    case 'ImageMissing':
    case 'Start':
    case 'Knocked':
    case 'Looked':
    case 'LookFailed':
    case 'AttemptFailed':
      return resume(operation, world, now)
  }
}

/** Found without a session: after a restart, or parked. While a start is not allowed the device is left in peace. */
function resume(operation: UpgradeOperation, world: OperationWorld, now: number): Step {
  if (operation.status.phase === 'Testing' && !world.admission.admitted) return park(operation, world, now)
  if (!world.hasImage) return waitForImage(operation, world, now)
  return advance(operation, now, 'Connecting', { kind: 'Connect' })
}

/** Where it is, as its file is at hand soon after a start of the process; the file may have become another one, though. */
function waitForImage(operation: UpgradeOperation, { target }: OperationWorld, now: number): Step {
  if (!sameValue(target!.image, operation.status.image))
    return queueAgain(operation, now, { message: 'its image has become another one' })
  // What it was parked for is over. A reason marks it as parked, so that whoever has none gets none.
  const reason = operation.status.reason === undefined ? {} : { reason: 'Waiting' }
  const status = change(operation, now, { ...reason, message: beingFetched })
  return { status, act: { kind: 'Wait' }, durable: false }
}

/** What began in the future did so before the wall clock was set back: it would hold its slot until then. */
function hasTakenTooLong({ status }: UpgradeOperation, { settings }: OperationWorld, now: number): boolean {
  const begun = status.times?.Connecting
  if (begun === undefined) return false
  return now - toMs(begun) > parseDuration(settings.timeouts.total) || toMs(begun) > now
}

/** Ready to start, but a start is not allowed now: wait with the services running again. */
function park(operation: UpgradeOperation, world: OperationWorld, now: number): Step {
  if (hasTakenTooLong(operation, world, now)) {
    const message = `waited longer than ${world.settings.timeouts.total} to start`
    return queueAgain(operation, now, { message })
  }
  const { blocked } = world.admission
  const { outcome } = world
  // The reason is written when services run again, and not before: a restart in between parks once more.
  const parked =
    outcome?.kind === 'Parked' ? outcome.undone : !world.hasSession && operation.status.reason !== undefined
  if (!parked) {
    const status = change(operation, now, blocked ? { message: blocked.message } : {})
    return {
      status,
      act: outcome?.kind === 'Parked' ? { kind: 'Wait', ms: slowKnockMs } : { kind: 'Park' },
      durable: false,
    }
  }
  const next = change(operation, now, blocked ? { reason: blocked.reason, message: blocked.message } : {})
  return { status: next, act: { kind: 'Wait', ms: blocked ? parkedMs(blocked, now) : 0 }, durable: false }
}

function parkedMs({ reason, until }: NonNullable<Admission['blocked']>, now: number): number {
  if (until) return Math.max(50, toMs(until) - now)
  return reason === 'Halted' ? haltPollMs : parkedPollMs
}

/** The intent: from here on only a probe says what happened. Past the latest uptime the device itself refuses to start. */
function intent(
  operation: UpgradeOperation,
  world: OperationWorld,
  tested: Outcome & { kind: 'Tested' },
  now: number,
): Step {
  const windowMs = parseDuration(world.settings.timeouts.flash)
  const maxUptimeSeconds = Math.ceil(tested.uptimeSeconds + windowMs / 1000)
  const next = change(operation, now, { phase: 'Flashing', message: `${startWord}${tested.command}` })
  next.bootIdBefore = tested.bootId
  if (world.identity !== undefined) next.identityBefore = world.identity
  next.maxUptime = maxUptimeSeconds
  next.command = tested.command
  return {
    status: next,
    act: { kind: 'Start', token: { bootId: tested.bootId, maxUptimeSeconds } },
    durable: true,
  }
}

function attemptFailed(
  operation: UpgradeOperation,
  world: OperationWorld,
  failure: { failureClass: FailureClass; recoverable: boolean; message: string },
  now: number,
): Step {
  const { retry, offline } = world.settings
  const attempts = operation.status.attempts ?? 1
  if (failure.failureClass === 'Unreachable' && offline.action === 'Wait') {
    const since = operation.status.waitingSince ?? toTime(now)
    // `0s` would ask a device that is gone without a pause.
    const recheckMs = Math.max(minRecheckMs, parseDuration(offline.recheck))
    // A wall clock that was set back makes the past begin later than now.
    const waitedMs = Math.max(0, now - toMs(since))
    const waits = Math.floor(Math.log2(1 + waitedMs / recheckMs))
    const ms = backoff({
      attempt: waits + 1,
      baseMs: recheckMs,
      maxMs: Math.max(minRecheckMs, parseDuration(offline.maxRecheck)),
      random01: world.random01,
    })
    const next = change(operation, now, {
      phase: 'Queued',
      reason: 'Unreachable',
      message: `${failure.message}; tried again in ${formatDuration(ms)}`,
    })
    next.attempts = Math.max(0, attempts - 1)
    next.waitingSince = since
    next.retryTime = toTime(now + ms)
    return { status: next, act: release({ undo: true, again: ms, unreachable: true }), durable: true }
  }
  const unreachable = failure.failureClass === 'Unreachable'
  if (!failure.recoverable || attempts >= retry.preFlash) {
    const after = failure.recoverable ? ` (attempt ${attempts} of ${retry.preFlash})` : ''
    const next = change(operation, now, {
      phase: 'Failed',
      failureClass: failure.failureClass,
      reason: 'Failed',
      message: `${failure.message}${after}`,
    })
    return { status: next, act: release({ undo: true, unreachable }), durable: true }
  }
  const ms = backoff({
    attempt: attempts,
    baseMs: parseDuration(retry.backoff),
    maxMs: parseDuration(retry.maxBackoff),
    random01: world.random01,
  })
  const next = change(operation, now, {
    phase: 'Queued',
    reason: 'Retrying',
    message: `${failure.message}; attempt ${attempts + 1} of ${retry.preFlash} in ${formatDuration(ms)}`,
  })
  next.retryTime = toTime(now + ms)
  return { status: next, act: release({ undo: true, again: ms, unreachable }), durable: true }
}

function offlineTooLong(
  operation: UpgradeOperation,
  world: OperationWorld,
  now: number,
): { failureClass: FailureClass; message: string } | undefined {
  const limitMs = parseDuration(world.settings.offline.expireAfter)
  const since = operation.status.waitingSince
  if (limitMs === 0 || since === undefined || now - toMs(since) < limitMs) return undefined
  // It may have answered a probe since, and wait for something else by now.
  if (world.admission.blocked?.reason !== 'Unreachable') return undefined
  return {
    failureClass: 'Unreachable',
    message: `has not answered since ${since}; offline.expireAfter has passed`,
  }
}

/** After the intent there is only looking: at the same boot, at a new boot, or at nothing until it is Lost. */
function watchFlash(operation: UpgradeOperation, world: OperationWorld, now: number): Step {
  const { outcome } = world
  if (outcome?.kind === 'Start') return afterStart(operation, world, outcome.result, now)
  if (outcome?.kind === 'Looked') return afterLook(operation, world, outcome, now)
  if (isLost(operation)) {
    if (outcome || !world.answeredSinceLost) {
      return { status: { ...operation.status }, act: { kind: 'Wait' }, durable: false }
    }
    return { status: { ...operation.status }, act: { kind: 'Look' }, durable: false }
  }
  if (outcome?.kind === 'Knocked' && outcome.answered) {
    return { status: { ...operation.status }, act: { kind: 'Look' }, durable: false }
  }
  if (!outcome) return lookFirst(operation, now)
  if (isOverdue(world)) {
    const last = outcome.kind === 'LookFailed' ? `; last: ${outcome.message}` : ''
    const step = giveUp(
      operation,
      now,
      `has not come back for ${world.settings.timeouts.reboot} after the flash was started${last}`,
    )
    return { ...step, act: release({ unreachable: true }) }
  }
  const seen = change(operation, now, seenFrom(operation, outcome))
  // From one knock to the next: one that nobody answers takes as long as its limit.
  const tookMs = outcome.kind === 'Knocked' ? outcome.tookMs : 0
  const ms = Math.max(knockGapMs, knockAfterMs(world) - tookMs)
  return { status: seen, act: { kind: 'Wait', ms }, durable: false }
}

const silent = 'the device is silent on purpose while it writes and reboots'

/** What the last look or knock says; whoever falls silent after a last answer is doing what it should. */
function seenFrom({ status }: UpgradeOperation, outcome: Outcome): { message?: string } {
  if (outcome.kind === 'LookFailed') return { message: outcome.message }
  return outcome.kind === 'Knocked' && status.phase === 'Rebooting' ? { message: silent } : {}
}

/** Before anything is concluded somebody looks: the controller itself may have been away. */
function lookFirst(operation: UpgradeOperation, now: number): Step {
  const leftMs = goingDownForMs(operation, now)
  const act: Act = leftMs > 0 ? { kind: 'Wait', ms: leftMs } : { kind: 'Knock' }
  return { status: { ...operation.status }, act, durable: false }
}

/** How much longer a device whose start was confirmed is not worth a knock, in ms. */
function goingDownForMs({ status }: UpgradeOperation, now: number): number {
  const since = status.phase === 'Rebooting' ? status.times?.Rebooting : undefined
  const leftMs = since === undefined ? 0 : toMs(since) + goingDownMs - now
  // No wait is that long: the wall clock was set back, and would have to catch up before anybody knocks.
  return leftMs > goingDownMs ? 0 : leftMs
}

/**
 * Whether the device was due when it was last asked. A process that was away, or stood still while it asked, has not
 * seen it fail to come back, and a wall clock that was set on proves nothing at all.
 */
function isOverdue({ watchedMs, outcome, settings }: OperationWorld): boolean {
  const sinceAskedMs = outcome && 'tookMs' in outcome ? outcome.tookMs : 0
  return watchedMs - sinceAskedMs >= parseDuration(settings.timeouts.reboot)
}

/** Lost: it frees its slot and its device, and is corrected when the device is seen again as it should be. */
const giveUp = (operation: UpgradeOperation, now: number, why: string): Step => ({
  status: change(operation, now, {
    phase: 'Failed',
    failureClass: 'Lost',
    reason: 'Failed',
    message: `${why}; it is looked at for 30 days`,
  }),
  act: release({}),
  durable: true,
})

function knockAfterMs({ watchedMs, settings }: OperationWorld): number {
  const fast = parseDuration(settings.timeouts.reconnectRetry)
  return watchedMs < fastKnockMs ? fast : Math.max(fast, slowKnockMs)
}

function afterStart(
  operation: UpgradeOperation,
  world: OperationWorld,
  result: StartResult,
  now: number,
): Step {
  const retryMs = parseDuration(world.settings.timeouts.reconnectRetry)
  switch (result.kind) {
    case 'Started':
      return {
        status: change(operation, now, {
          phase: 'Rebooting',
          message: silent,
        }),
        act: { kind: 'Wait', ms: Math.max(goingDownMs, retryMs) },
        durable: true,
      }
    case 'Unknown':
      return {
        status: change(operation, now, {
          message: `no answer to the start (${result.message}); looking at what the device does`,
        }),
        act: { kind: 'Wait', ms: retryMs },
        durable: false,
      }
    case 'Refused':
      return attemptFailed(withLog(operation, result.log, now), world, result, now)
  }
}

function afterLook(
  operation: UpgradeOperation,
  world: OperationWorld,
  { probe, log }: Outcome & { kind: 'Looked' },
  now: number,
): Step {
  const { status } = operation
  const verdict = judge(
    {
      bootIdBefore: status.bootIdBefore ?? '',
      identity: flashedIdentity(operation, world.identity),
      from: status.from ?? {},
      to: status.to ?? {},
    },
    probe,
  )
  switch (verdict.kind) {
    case 'Succeeded':
    case 'RolledBack':
    case 'WrongVersion': {
      const next = change(operation, now, {
        phase: verdict.kind === 'Succeeded' ? 'Succeeded' : 'Failed',
        reason: verdict.kind === 'Succeeded' ? 'Succeeded' : 'Failed',
        message: verdict.message,
        log,
        ...(verdict.kind === 'Succeeded' ? {} : { failureClass: verdict.kind }),
      })
      if (verdict.kind === 'Succeeded') delete next.failureClass
      next.bootIdAfter = probe.bootId
      next.times = { ...next.times, Verifying: toTime(now) }
      return { status: next, act: release({ undo: false, probe }), durable: true }
    }
    case 'SameBoot':
      return sameBoot(operation, world, { probe, log }, now)
    case 'OtherDevice':
      return lookOn(operation, world, now, verdict.message)
  }
}

/** What was seen proves nothing yet: look again, but not for ever where something stands `against` the flash. */
function lookOn(operation: UpgradeOperation, world: OperationWorld, now: number, against?: string): Step {
  const status =
    against === undefined ? { ...operation.status } : change(operation, now, { message: against })
  // Once it is Lost, every answer to a probe makes it look again.
  if (isLost(operation)) return { status, act: { kind: 'Wait' }, durable: false }
  if (against !== undefined && isOverdue(world)) {
    return giveUp(operation, now, `${against}, ${world.settings.timeouts.reboot} after the flash was started`)
  }
  return { status, act: { kind: 'Wait', ms: knockAfterMs(world) }, durable: false }
}

/** The old system answers: it is on its way down, or the start came to nothing, which only its own uptime can prove. */
function sameBoot(
  operation: UpgradeOperation,
  world: OperationWorld,
  { probe, log }: { probe: Probe; log: readonly string[] },
  now: number,
): Step {
  const logged = withLog(operation, newLogLines(operation, log), now)
  const never = !probe.upgrading && probe.uptimeSeconds > (operation.status.maxUptime ?? Infinity)
  if (!never)
    return lookOn(
      logged,
      world,
      now,
      probe.upgrading ? 'still runs in its old boot, and an upgrade runs on it' : undefined,
    )
  const said = log.at(-1)
  const failure = {
    failureClass: 'NotStarted' as const,
    recoverable: true,
    message: `the flash never started: same boot, nothing running${said ? `; the device says: ${said}` : ''}`,
  }
  const step = isLost(operation) ? failed(logged, now, failure) : attemptFailed(logged, world, failure, now)
  return step.act.kind === 'Release' ? { ...step, act: { ...step.act, startedToNothing: true, probe } } : step
}

function cancelled(operation: UpgradeOperation, world: OperationWorld, now: number): Step {
  const { reason, message } = world.cancel!
  const next = change(operation, now, { phase: 'Cancelled', reason, message })
  return { status: next, act: release({ undo: phaseOf(operation) !== 'Queued' }), durable: true }
}

function failed(
  operation: UpgradeOperation,
  now: number,
  failure: { failureClass: FailureClass; message: string },
): Step {
  const { failureClass, message } = failure
  return {
    status: change(operation, now, { phase: 'Failed', reason: 'Failed', failureClass, message }),
    act: release({}),
    durable: true,
  }
}

const release = (options: Partial<Omit<Act & { kind: 'Release' }, 'kind'>>): Act => ({
  kind: 'Release',
  undo: false,
  startedToNothing: false,
  ...options,
})

interface Waiting {
  ms?: number
  reason?: string
  message?: string
}

function waiting(operation: UpgradeOperation, now: number, { ms, reason, message }: Waiting): Step {
  const status = change(operation, now, {
    phase: 'Queued',
    ...(reason ? { reason } : {}),
    ...(message ? { message } : {}),
  })
  return { status, act: { kind: 'Wait', ...(ms === undefined ? {} : { ms }) }, durable: false }
}

const advance = (operation: UpgradeOperation, now: number, phase: Phase, act: Act): Step => ({
  status: change(operation, now, { phase, message: '' }),
  act,
  durable: false,
})

/** Lines of the flash's log that the status does not have yet. Each start begins a log of its own. */
export function newLogLines({ status }: UpgradeOperation, shown: readonly string[]): readonly string[] {
  const { log = [] } = status
  return newLines(
    log.slice(log.findLastIndex((line) => line.startsWith(`Flashing: ${startWord}`)) + 1),
    shown,
  )
}

const withLog = (operation: UpgradeOperation, log: readonly string[], now: number): UpgradeOperation =>
  log.length === 0 ? operation : { ...operation, status: change(operation, now, { log }) }

/** The one place where an operation's phase changes: times, conditions and log follow it. */
function change(
  operation: UpgradeOperation,
  now: number,
  { log = [], ...next }: Change,
): UpgradeOperationStatus {
  const before = phaseOf(operation)
  const phase = next.phase ?? before
  if (phase !== before && !canMove(before, phase, operation.status.failureClass)) {
    throw new Error(`an operation cannot go from ${before} to ${phase}`)
  }
  const status: UpgradeOperationStatus = { ...operation.status, ...next, phase }
  if (status.message !== undefined) status.message = cut(status.message, maxMessageLength)
  if (phase !== 'Failed') delete status.failureClass
  if (next.reason === undefined && phase !== before) delete status.reason
  const entered = phase !== before || status.times?.[phase] === undefined
  if (entered) status.times = { ...status.times, [phase]: toTime(now) }
  const lines = [...log]
  if (status.message && status.message !== operation.status.message)
    lines.unshift(`${phase}: ${status.message}`)
  for (const line of lines) status.log = appendLog(status.log ?? [], line)
  status.observedGeneration = operation.metadata.generation
  status.conditions = conditionsOf(operation, status, now)
  return status
}

function conditionsOf(operation: UpgradeOperation, status: UpgradeOperationStatus, now: number) {
  const phase = status.phase ?? 'Queued'
  const observedGeneration = operation.metadata.generation
  const message = status.message ?? ''
  const set = (
    conditions: UpgradeOperationStatus['conditions'],
    type: string,
    value: 'True' | 'False' | 'Unknown',
    reason: string,
  ) => setCondition(conditions, { type, status: value, reason, message, observedGeneration }, now)
  // Only what does not hold is removed: the others keep the time since when they do.
  const without = (...types: string[]) =>
    types.reduce<UpgradeOperationStatus['conditions']>(removeCondition, status.conditions)
  if (phase === 'Succeeded')
    return set(without('Reconciling', 'Stalled'), 'Ready', 'True', status.reason ?? 'Succeeded')
  if (phase === 'Failed' || phase === 'Cancelled') {
    return set(set(without('Reconciling'), 'Ready', 'False', phase), 'Stalled', 'True', phase)
  }
  return set(set(without('Stalled'), 'Ready', 'Unknown', 'InProgress'), 'Reconciling', 'True', 'InProgress')
}
