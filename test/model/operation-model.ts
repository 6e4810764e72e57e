/**
 * One device, one operation and two controllers as a machine of finitely many states: the production state machine
 * decides, and everything round it (mirrors that lag, writes that race, a network that delays a start, a device that
 * dies, reboots, or falls back) goes every way that it can. Time is a choice as well: whatever waits may go on waiting.
 */
import type { UpgradeOperation, UpgradeOperationStatus } from '../../src/api/resources.ts'
import { defaultPolicySettings } from '../../src/api/defaults.ts'
import type { Admission } from '../../src/core/admit.ts'
import { markerFellBack } from '../../src/core/admit.ts'
import {
  isFinished,
  isFlashing,
  isLost,
  nextStep,
  phaseOf,
  type Act,
  type OperationWorld,
  type Outcome,
} from '../../src/core/operation.ts'
import type { Probe } from '../../src/core/probe.ts'
import { canMove } from '../../src/core/transitions.ts'
import { isRelease } from '../../src/core/verdict.ts'
import { operation as operationObject } from '../support/core-objects.ts'

/** What a model leaves out, to see that its absence is found. */
export type Omission = 'fence' | 'guard boot' | 'guard uptime' | 'intent'

const name = 'ap-1-aaaaaaaa-1'
const now = Date.parse('2026-01-01T00:00:00Z')
const muchLaterMs = 24 * 3600_000
/** Whether a lost device has answered since, and whether the image is in the cache. */
type Luck = [answeredSinceLost: boolean, hasImage: boolean]
const calm: Luck[] = [[false, true]]
const afterLoss: Luck[] = [...calm, [true, true]]
const beforeFlash: Luck[] = [...calm, [false, false]]
const maxBoots = 2
/** An uptime is one of so many, each past the limit of the one before. */
const maxAge = 1
const ageSeconds = 1000
const oldRelease = { revision: 'r1-old', osIdentifier: 'old' }
const newRelease = { revision: 'r2-new', osIdentifier: 'new' }
const target: NonNullable<OperationWorld['target']> = {
  image: { name: 'image', sha256: 'ab'.repeat(32), size: 1000 },
  to: { build: 'new', ...newRelease },
}
const settings: OperationWorld['settings'] = {
  ...defaultPolicySettings,
  retry: { ...defaultPolicySettings.retry, preFlash: 2 },
}
const admitted: Admission = { admitted: true, checks: [] }
const halted: Admission = {
  admitted: false,
  checks: [],
  blocked: { reason: 'Halted', message: 'a stop' },
}

interface Token {
  bootId: string
  maxUptimeSeconds: number
}

/** The device as it is, whatever anybody believes. */
interface Truth {
  boot: number
  age: number
  runsNew: boolean
  /** An upgrade that was accepted runs. */
  isUpgrading: boolean
  /** The boot in which the guard last accepted a start. */
  marker?: string
  /** How often its flash was written. */
  flashes: number
}

/** What one controller holds in memory; all of it goes when it dies. */
interface Controller {
  mirror: { status: UpgradeOperationStatus; isCurrent: boolean; isClaimed: boolean }
  run?: {
    status: UpgradeOperationStatus
    outcome?: Outcome
    hasSession: boolean
    /** What the device said in this run. */
    probe?: Probe
    /** Saved, and to be done now. */
    act?: Act
    /** A start that was sent and not answered. */
    isWaiting?: Token
  }
}

export interface State {
  status: UpgradeOperationStatus
  isClaimed: boolean
  isCancelWanted: boolean
  truth: Truth
  /** Starts on their way to the device. */
  network: Token[]
  controllers: readonly [Controller, Controller]
}

/** A rule that a step has broken, and the state before it. */
export class Violation extends Error {
  readonly rule: string

  constructor(rule: string, state: State) {
    super(`${rule}: ${JSON.stringify(state)}`)
    this.rule = rule
  }
}

export const firstState = (): State => {
  const controller = (): Controller => ({ mirror: { status: {}, isCurrent: true, isClaimed: false } })
  return {
    status: {},
    isClaimed: false,
    isCancelWanted: false,
    truth: { boot: 1, age: 0, runsNew: false, isUpgrading: false, flashes: 0 },
    network: [],
    controllers: [controller(), controller()],
  }
}

/** Which of two like controllers is which makes no other state. */
export const keyOf = ({ controllers, ...rest }: State): string => {
  const [a, b] = controllers.map((controller) => JSON.stringify(controller)).toSorted()
  return `${JSON.stringify(rest)}${a}${b}`
}

/**
 * Whoever has an old status can write nothing any more: all that it may yet do to others is what one does who has seen
 * nothing but a new operation. A start, or a claim to give back, that was saved before is still to come.
 */
function settled(state: State): State {
  const controllers = state.controllers.map((controller) => {
    const { mirror, run } = controller
    if (mirror.isCurrent) return controller
    const old = { ...mirror, status: {} }
    const act = run?.act
    const isToCome = act && ['Start', 'Release', 'Claim'].includes(act.kind)
    return isToCome ? { mirror: old, run: { status: {}, hasSession: false, act } } : { mirror: old }
  })
  return { ...state, controllers: [controllers[0]!, controllers[1]!] }
}

/** Whether nothing is left to do, and nothing that is done later changes what was found. */
export const isAtRest = ({ status, isClaimed, controllers }: State): boolean =>
  isFinished(withStatus(status)) && !isClaimed && controllers.every(({ run }) => run === undefined)

/** Every state that can follow. @throws Violation where a step broke a rule. */
export function* successors(state: State, omitted?: Omission): Generator<State> {
  for (const next of allSuccessors(state, omitted)) yield settled(next)
}

function* allSuccessors(state: State, omitted: Omission | undefined): Generator<State> {
  yield* ofDevice(state)
  yield* ofNetwork(state, omitted)
  if (!state.isCancelWanted) yield { ...state, isCancelWanted: true }
  // The reconciler of devices: a claim of what has ended is stale.
  if (state.isClaimed && isFinished(withStatus(state.status))) yield { ...state, isClaimed: false }
  for (const index of [0, 1] as const) yield* ofController(state, index, omitted)
}

function* ofDevice(state: State): Generator<State> {
  const { truth } = state
  const become = (change: Partial<Truth>): State => ({ ...state, truth: { ...truth, ...change } })
  if (truth.age < maxAge) yield become({ age: truth.age + 1 })
  if (truth.boot < maxBoots) {
    if (truth.isUpgrading) {
      const flashed = { boot: truth.boot + 1, age: 0, isUpgrading: false, flashes: truth.flashes + 1 }
      if (truth.flashes > 0) throw new Violation('a device is flashed once', state)
      yield become({ ...flashed, runsNew: true })
      yield become({ ...flashed, runsNew: false })
    }
    // Somebody pulls the plug.
    yield become({ boot: truth.boot + 1, age: 0, isUpgrading: false })
  }
  // It dies before it writes anything.
  if (truth.isUpgrading) yield become({ isUpgrading: false })
}

/** A start arrives at the guard, or never does; whoever sent it may hear of it, or not. */
function* ofNetwork(state: State, omitted: Omission | undefined): Generator<State> {
  for (const [at, token] of state.network.entries()) {
    const network = state.network.toSpliced(at, 1)
    yield { ...state, network }
    const { truth } = state
    const accepts =
      (token.bootId === bootId(truth) || omitted === 'guard boot') &&
      (uptimeOf(truth) <= token.maxUptimeSeconds || omitted === 'guard uptime') &&
      !truth.isUpgrading
    if (accepts) expectIntent(state, token)
    const after = accepts
      ? { ...state, network, truth: { ...truth, isUpgrading: true, marker: bootId(truth) } }
      : { ...state, network }
    yield after
    const answer: Outcome = accepts
      ? { kind: 'Start', result: { kind: 'Started' } }
      : {
          kind: 'Start',
          result: {
            kind: 'Refused',
            failureClass: 'NotStarted',
            recoverable: true,
            message: 'the guard refuses',
            log: [],
          },
        }
    for (const index of [0, 1] as const) {
      if (state.controllers[index].run?.isWaiting !== token) continue
      yield withOutcome(after, index, answer)
    }
  }
}

/** A start without its intent in the store, or after somebody has concluded from it, is the one thing that must not be. */
function expectIntent(state: State, token: Token): void {
  const { status, truth } = state
  const operation = withStatus(status)
  const isOpen = isFlashing(phaseOf(operation)) || isLost(operation)
  if (!isOpen || status.bootIdBefore !== token.bootId)
    throw new Violation('an intent comes before its start', state)
  if (truth.isUpgrading) throw new Violation('one upgrade runs at a time', state)
}

function* ofController(state: State, index: 0 | 1, omitted: Omission | undefined): Generator<State> {
  const controller = state.controllers[index]
  const { mirror, run } = controller
  const become = (change: Controller): State => ({ ...state, controllers: placed(state, index, change) })
  const isBehind = !mirror.isCurrent || mirror.isClaimed !== state.isClaimed
  if (isBehind) {
    const news = { status: state.status, isCurrent: true, isClaimed: state.isClaimed }
    // A status that is not its own ends a run.
    const isLostRun = !mirror.isCurrent
    yield become(run && !isLostRun ? { mirror: news, run } : { mirror: news })
  }
  if (run) {
    // It dies, or is stopped.
    yield become({ mirror })
    if (run.isWaiting) yield withOutcome(state, index, unknownStart)
    else if (run.act) yield* perform(state, index, run.act)
    else yield* advance(state, index, omitted)
  } else if (!isFinished(withStatus(mirror.status)) || isLost(withStatus(mirror.status))) {
    yield* advance(become({ mirror, run: { status: mirror.status, hasSession: false } }), index, omitted)
  }
}

const unknownStart: Outcome = { kind: 'Start', result: { kind: 'Unknown', message: 'the link broke' } }

/** What it does unseen, by itself and to nobody, is no place at which anything else could tell the difference. */
const unseen = new Set<Act['kind']>(['Connect', 'Upload', 'Test', 'Park', 'Knock', 'Wait'])

/** Turn upon turn, until somebody else could see it. */
function* advance(state: State, index: 0 | 1, omitted: Omission | undefined): Generator<State> {
  for (const decided of decide(state, index, omitted)) {
    const act = decided.controllers[index].run?.act
    if (!act || !unseen.has(act.kind)) yield decided
    else
      for (const done of perform(decided, index, act)) {
        if (done.controllers[index].run) yield* advance(done, index, omitted)
        else yield done
      }
  }
}

/** One turn of the production state machine, and the save that follows. */
function* decide(state: State, index: 0 | 1, omitted: Omission | undefined): Generator<State> {
  const { mirror, run } = state.controllers[index]
  const { status, outcome, hasSession } = run!
  const operation = withStatus(status)
  const lost = isLost(operation)
  for (const watchedMs of isFlashing(phaseOf(operation)) ? [0, muchLaterMs] : [0]) {
    for (const admission of asksAdmission(operation) ? [admitted, halted] : [admitted]) {
      for (const [answeredSinceLost, hasImage] of lost
        ? afterLoss
        : asksForImage(operation)
          ? beforeFlash
          : calm) {
        const world: OperationWorld = {
          claim: mirror.isClaimed ? 'Mine' : 'None',
          admission,
          ...(state.isCancelWanted ? { cancel: { reason: 'CancelRequested', message: 'cancelled' } } : {}),
          hasSession,
          hasImage,
          ...(outcome ? { outcome } : {}),
          target,
          from: oldRelease,
          identity: 'id',
          settings,
          watchedMs,
          answeredSinceLost,
          random01: 0,
        }
        const step = nextStep(operation, world, now)
        const saved = finite(step.status)
        const writes = step.durable || step.act.kind === 'Wait'
        if (!writes || (omitted === 'intent' && step.act.kind === 'Start')) {
          yield withRun(state, index, { ...run!, status: saved, act: step.act })
          continue
        }
        if (!mirror.isCurrent && omitted !== 'fence') {
          // Refused: somebody else has written.
          yield { ...state, controllers: placed(state, index, { mirror }) }
          continue
        }
        expectAllowed(state, saved)
        yield written(state, index, saved, step.act)
      }
    }
  }
}

const asksAdmission = (operation: UpgradeOperation): boolean =>
  ['Queued', 'Testing'].includes(phaseOf(operation))

const asksForImage = (operation: UpgradeOperation): boolean =>
  !isFinished(operation) && !isFlashing(phaseOf(operation))

/** The store has the status; whoever else looks has an older one, unless nothing has changed. */
function written(state: State, index: 0 | 1, status: UpgradeOperationStatus, act: Act): State {
  const isSame = JSON.stringify(status) === JSON.stringify(state.status)
  const mirror = { ...state.controllers[index].mirror, status, isCurrent: true }
  const { hasSession, probe } = state.controllers[index].run!
  const needsNothing = act.kind === 'Release' || act.kind === 'Start'
  const kept = needsNothing ? { hasSession: false } : { hasSession, ...(probe ? { probe } : {}) }
  const own: Controller = { mirror, run: { status, ...kept, act } }
  const other = state.controllers[1 - index]!
  const behind = isSame ? other : { ...other, mirror: { ...other.mirror, isCurrent: false } }
  return { ...state, status, controllers: index === 0 ? [own, behind] : [behind, own] }
}

/** What has ended stays as it is, unless it was lost; and a success is one. */
function expectAllowed(state: State, saved: UpgradeOperationStatus): void {
  const before = phaseOf(withStatus(state.status))
  const after = phaseOf(withStatus(saved))
  if (
    before !== after &&
    isFinished(withStatus(state.status)) &&
    !canMove(before, after, state.status.failureClass)
  )
    throw new Violation('an end is an end', state)
  if (after === 'Succeeded' && before !== 'Succeeded' && !state.truth.runsNew)
    throw new Violation('a success is one', state)
}

/** Does what was saved, in every way in which that can go. */
function* perform(state: State, index: 0 | 1, act: Act): Generator<State> {
  const { mirror, run } = state.controllers[index]
  const idle = (): State => ({ ...state, controllers: placed(state, index, { mirror }) })
  const outcome = (result: Outcome, change: Partial<Controller['run']> = {}): State =>
    withRun(state, index, { ...withoutAct(run!), ...change, outcome: result })
  const attemptFails = (): State =>
    outcome({
      kind: 'AttemptFailed',
      failureClass: 'Unreachable',
      recoverable: true,
      message: 'the link broke',
    })
  const probe = probeOf(state.truth)
  switch (act.kind) {
    case 'Claim':
      if (mirror.isClaimed) return yield idle()
      if (state.isClaimed) return yield outcome({ kind: 'ClaimLost', message: 'claimed' })
      return yield withRun(
        {
          ...state,
          isClaimed: true,
          controllers: placed(state, index, { mirror: { ...mirror, isClaimed: true } }),
        },
        index,
        { ...withoutAct(run!), outcome: { kind: 'Claimed' } },
      )
    case 'Connect':
      yield outcome({ kind: 'Connected' }, { hasSession: true })
      return yield attemptFails()
    case 'Check':
      yield attemptFails()
      if (isRelease(probe, target.to)) return yield outcome({ kind: 'AlreadyOnTarget', probe }, { probe })
      if (markerFellBack(probe.lastFlash, probe.bootId, name.slice(0, name.lastIndexOf('-')))) {
        return yield outcome({
          kind: 'AttemptFailed',
          failureClass: 'RolledBack',
          recoverable: false,
          message: 'fell back',
        })
      }
      return yield outcome({ kind: 'Checked' }, { probe })
    case 'Upload':
      yield attemptFails()
      yield outcome({ kind: 'ImageMissing', message: 'the cache was damaged' }, { hasSession: false })
      return yield outcome({ kind: 'Uploaded' })
    case 'Test': {
      yield attemptFails()
      const { bootId: boot, uptimeSeconds } = run!.probe!
      return yield outcome({ kind: 'Tested', command: 'sysupgrade', bootId: boot, uptimeSeconds })
    }
    case 'Start':
      return yield withRun({ ...state, network: [...state.network, act.token] }, index, {
        ...withoutAct(run!),
        hasSession: false,
        isWaiting: act.token,
      })
    case 'Knock':
      yield outcome({ kind: 'Knocked', answered: true, tookMs: 0 })
      return yield outcome({ kind: 'Knocked', answered: false, tookMs: 0 })
    case 'Look':
      yield outcome({ kind: 'LookFailed', message: 'the link broke', tookMs: 0 }, { hasSession: false })
      return yield outcome({ kind: 'Looked', probe, log: [] }, { hasSession: true })
    case 'Release':
      return yield {
        ...state,
        isClaimed: false,
        controllers: placed(state, index, { mirror: { ...mirror, isClaimed: false } }),
      }
    case 'Park':
      yield outcome({ kind: 'Parked', undone: true })
      return yield outcome({ kind: 'Parked', undone: false })
    case 'Wait':
      return yield idle()
  }
}

const bootId = ({ boot }: Truth): string => `boot-${boot}`
const uptimeOf = ({ age }: Truth): number => 10 + age * ageSeconds

function probeOf(truth: Truth): Probe {
  const { osIdentifier, revision } = truth.runsNew ? newRelease : oldRelease
  return {
    osIdentifier,
    release: { revision },
    board: 'toy',
    bootId: bootId(truth),
    uptimeSeconds: uptimeOf(truth),
    identity: 'id',
    upgrading: truth.isUpgrading,
    ...(truth.marker === undefined
      ? {}
      : { lastFlash: { operation: name, sha256: target.image.sha256, bootId: truth.marker } }),
  }
}

/** What of a status decides anything: texts, logs and the times of this model say nothing new. */
function finite(status: UpgradeOperationStatus): UpgradeOperationStatus {
  const { phase, reason, failureClass, attempts, bootIdBefore, maxUptime, times } = status
  const kept = Object.keys(times ?? {}).filter((each) => each === 'Flashing')
  const at = new Date(now).toISOString()
  return defined({
    phase,
    reason: phase === 'Testing' ? reason : undefined,
    failureClass,
    attempts,
    bootIdBefore,
    maxUptime,
    times: kept.length === 0 ? undefined : Object.fromEntries(kept.map((each) => [each, at])),
  })
}

const defined = (status: object): UpgradeOperationStatus =>
  Object.fromEntries(Object.entries(status).filter(([, value]) => value !== undefined))

const plain = operationObject(name)
/** What the first attempt writes down is the same in every state. */
const withStatus = (status: UpgradeOperationStatus): UpgradeOperation => ({
  ...plain,
  status: status.attempts === undefined ? status : { ...status, ...target, from: oldRelease },
})

const withoutAct = ({
  act: _act,
  outcome: _outcome,
  isWaiting: _isWaiting,
  ...run
}: NonNullable<Controller['run']>) => run

const placed = ({ controllers }: State, index: 0 | 1, own: Controller): State['controllers'] =>
  index === 0 ? [own, controllers[1]] : [controllers[0], own]

const withRun = (state: State, index: 0 | 1, run: NonNullable<Controller['run']>): State => ({
  ...state,
  controllers: placed(state, index, { mirror: state.controllers[index].mirror, run }),
})

const withOutcome = (state: State, index: 0 | 1, outcome: Outcome): State =>
  withRun(state, index, { ...withoutAct(state.controllers[index].run!), outcome })
