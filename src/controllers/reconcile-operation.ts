import type { Key, UpgradeOperation } from '../api/resources.ts'
import { hasCode, messageOf } from '../core/errors.ts'
import { keyOf, keyString } from '../core/keys.ts'
import {
  isFinished,
  isFlashing,
  isLost,
  nextStep,
  phaseOf,
  type Outcome,
  type Step,
} from '../core/operation.ts'
import { sameValue } from '../core/same-value.ts'
import { toMs } from '../core/time.ts'
import { dropFinalizer, ensureFinalizer, operationFinalizer } from './finalizers.ts'
import { openRun, type OperationRun } from './operation-run.ts'
import { observe } from './observe-operation.ts'
import { perform, putBackAtExit } from './perform-step.ts'
import { done, type Ports, type Requeue } from './ports.ts'

/** Phases between the durable ones are written at most this often. */
const coalesceMs = 1000
/** Where writes are dear: how often it is written what is seen of a device that reboots. */
const rebootWordsMs = 30_000

export interface Turn {
  /** Hears the version of each save. */
  onWritten: (version: string) => void
  /** Whether the process is to end: a flash goes on being watched until it does, and nothing else gets any further. */
  isStopping: () => boolean
}

/**
 * Takes one operation as far as it goes without waiting: look, decide, write the intent, act. The save is the fence: it
 * carries the version that was read, so of two controllers one gets a conflict before it touches the device.
 * @throws ReflashError `Conflict` when another controller works on it.
 */
export async function reconcileOperation(
  key: Key,
  ports: Ports,
  signal: AbortSignal,
  turn: Turn,
): Promise<Requeue> {
  const run = openRun(key, ports, signal, turn.onWritten)
  try {
    await holdUntilSettled(run, ports)
    let outcome: Outcome | undefined
    for (;;) {
      const stop = await ports.governor.stop()
      // From here to the reservation nothing is awaited: no other operation sees the same free slot or start.
      const operation = run.current()
      if (!operation) return done
      if (isSettled(operation)) return await settle(operation, ports)
      if (turn.isStopping() && isBeforeFlash(operation)) return await putOff(run, ports)
      const { heldStart } = run
      const world = observe(operation, ports, {
        stop,
        outcome,
        hasSession: run.session !== undefined,
        heldStart,
      })
      const step = nextStep(operation, world, ports.clock.now())
      reserve(operation, step, run, ports)
      if (!(await save(operation, step, run, ports))) {
        run.current()
        return { after: 0 }
      }
      const result = await perform(step, run, ports)
      if ('requeue' in result) {
        const ended = ports.fleet.get('UpgradeOperation', key)
        return ended && isSettled(ended) ? await settle(ended, ports) : result.requeue
      }
      outcome = result.outcome
    }
  } catch (error) {
    if (signal.aborted) {
      if (!run.isLost) await putBackAtExit(run, ports)
      throw error
    }
    if (run.cancelled || (hasCode(error, 'Conflict') && !run.isLost)) return { after: 0 }
    throw error
  } finally {
    await run.close()
  }
}

const isBeforeFlash = (operation: UpgradeOperation): boolean =>
  !isFinished(operation) && !isFlashing(phaseOf(operation))

/** Leaves the rest to the next process, and the device as it would be without this one. */
async function putOff(run: OperationRun, ports: Ports): Promise<Requeue> {
  await putBackAtExit(run, ports)
  return { after: 0 }
}

/** One that a person made is not gone either before its flash has ended. */
async function holdUntilSettled(run: OperationRun, ports: Ports): Promise<void> {
  const operation = run.current()
  if (!operation || isFinished(operation) || operation.metadata.deletionTimestamp) return
  await ensureFinalizer(operation, operationFinalizer, ports)
}

/** Nothing is left to do for it. One that is Lost is watched on, unless it is to go. */
const isSettled = (operation: UpgradeOperation): boolean =>
  isFinished(operation) && (!isLost(operation) || operation.metadata.deletionTimestamp !== undefined)

/** A finished operation that is to go may go now. */
async function settle(operation: UpgradeOperation, ports: Ports): Promise<Requeue> {
  if (operation.metadata.deletionTimestamp) await dropFinalizer(operation, operationFinalizer, ports)
  return done
}

/**
 * Writes what is about to be done, or keeps it in memory until the next write. Returns false when somebody else has
 * changed the operation: look again.
 */
async function save(
  operation: UpgradeOperation,
  step: Step,
  run: OperationRun,
  ports: Ports,
): Promise<boolean> {
  announce(operation, step, ports)
  const next = { ...operation, status: step.status }
  const stored = ports.fleet.get('UpgradeOperation', run.key)
  if (stored && (sameValue(step.status, stored.status) || !isDue(step, stored, ports))) {
    run.keep(next)
    return true
  }
  try {
    if (step.status.failureClass === 'Lost' && !isLost(operation)) {
      await ports.governor.noteLost(keyString(keyOf(operation)))
    }
    run.written(await ports.store.saveStatus(next))
    return true
  } catch (error) {
    if (hasCode(error, 'Conflict', 'NotFound')) return false
    throw error
  }
}

/** Whether a status is written now: what safety hangs on always, and the rest as often as writes are cheap. */
function isDue(step: Step, stored: UpgradeOperation, { fleet, settings }: Ports): boolean {
  if (step.durable) return true
  const sinceMs = fleet.sinceWritten(stored)
  const waits = step.act.kind === 'Wait'
  if (!settings.writesDurableOnly) return waits || step.act.kind === 'Upload' || sinceMs >= coalesceMs
  const { phase = 'Queued', message } = step.status
  if (!waits || !isFlashing(phase) || phase !== phaseOf(stored)) return waits
  // A device that reboots is looked at every few seconds; lines of its log come with the verdict at the latest.
  return message !== stored.status.message && sinceMs >= rebootWordsMs
}

const startOf = (step: Step): number => toMs(step.status.times!.Flashing!)

/** Counts a slot or a start as taken before the write that says so has come back. */
function reserve(operation: UpgradeOperation, step: Step, run: OperationRun, { fleet, clock }: Ports): void {
  if (step.act.kind === 'Claim' || step.status.phase === 'Connecting') fleet.reserveSlot(operation)
  // Whoever has waited for a start holds one before it connects again, so that the others go on waiting.
  if (step.act.kind === 'Connect' && phaseOf(operation) === 'Testing') run.holdStart(clock.now())
  if (step.act.kind === 'Start') run.holdStart(startOf(step))
}

function announce(operation: UpgradeOperation, step: Step, { events }: Ports): void {
  const { namespace, name } = operation.metadata
  const before = phaseOf(operation)
  const { phase = 'Queued', reason, failureClass, message } = step.status
  if (phase === before && message === operation.status.message) return
  events.emit({
    type: 'Phase',
    operation: { namespace, name },
    device: { namespace, name: operation.spec.deviceRef.name },
    phase,
    before,
    ...(reason === undefined ? {} : { reason }),
    ...(failureClass === undefined ? {} : { failureClass }),
    message: messageOf(message ?? ''),
  })
}
