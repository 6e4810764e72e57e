import type { Device, Key, Phase, UpgradeOperation, UpgradeOperationStatus } from '../api/resources.ts'
import { ReflashError } from '../core/errors.ts'
import { keyOf, keyString } from '../core/keys.ts'
import { isFinished, isFlashing, phaseOf } from '../core/operation.ts'
import { sameValue } from '../core/same-value.ts'
import type { Session } from '../ports/connector.ts'
import type { Probe } from '../ports/upgrader.ts'
import { cancelWish } from './cancel-wish.ts'
import { deviceKeyOf, type StartId } from './fleet.ts'
import type { Ports } from './ports.ts'

/** What a run has reached without writing it, for the runs after it: as long as the stored object is this one. */
const unwritten = new WeakMap<UpgradeOperation, UpgradeOperationStatus>()

/** One turn of work on one operation: its session, its latest status, and the signal that ends the turn. */
export interface OperationRun {
  readonly key: Key
  /** Aborted on shutdown, and when the operation should be cancelled while it may still be. */
  readonly signal: AbortSignal
  readonly cancelled: boolean
  /** Another controller works on the operation. */
  readonly isLost: boolean
  /** @throws ReflashError `Conflict` always. */
  lose(why: string): never
  session: Session | undefined
  /** The probe of this run, with the monotonic time at which it was read. */
  probe: { facts: Probe; at: number } | undefined
  /** What the upgrader has told of the step under way. */
  told: string[]
  /** The operation as this run knows it: unwritten phases included, somebody else's changes as well. */
  current(): UpgradeOperation | undefined
  keep(operation: UpgradeOperation): void
  /** The store has accepted this. */
  written(operation: UpgradeOperation): void
  device(): Device | undefined
  /** The start that this run counts as taken, until the store says that it was. */
  readonly heldStart: StartId | undefined
  holdStart(at: number): void
  /** The phase that this run has reached, written or not. */
  phase(): Phase
  close(): Promise<void>
}

export function openRun(
  key: Key,
  ports: Ports,
  shutdown: AbortSignal,
  onWritten: (version: string) => void,
): OperationRun {
  const { fleet } = ports
  const controller = new AbortController()
  const onShutdown = (): void => controller.abort(shutdown.reason)
  let { signal } = controller
  if (shutdown.aborted) onShutdown()
  shutdown.addEventListener('abort', onShutdown, { once: true })
  // What the store held when this run last read or wrote it, and the status that has been reached since.
  let base = fleet.get('UpgradeOperation', key)
  let status = base && unwritten.get(base)
  let heldStart: StartId | undefined
  const giveStartBack = (): void => {
    if (heldStart !== undefined) fleet.giveStartBack(heldStart)
    heldStart = undefined
  }
  let cancelled = false
  let isLost = false
  // A wish to cancel must not wait for the end of an upload; nothing interrupts a flash.
  const stopListening = fleet.onChange(({ object }) => {
    if (object.kind !== 'UpgradeOperation' && object.kind !== 'Device' && object.kind !== 'UpgradePolicy')
      return
    const stored = fleet.get('UpgradeOperation', key)
    // There is nothing to cancel in what has ended, as by its own verdict just now.
    if (!stored || isFinished(stored)) return
    const operation = status ? { ...stored, status } : stored
    if (isFlashing(phaseOf(operation)) || phaseOf(operation) === 'Queued') return
    if (object.kind !== 'UpgradePolicy' && !concerns(operation, object)) return
    if (!cancelWish(operation, ports)) return
    cancelled = true
    controller.abort(new DOMException('cancelled', 'AbortError'))
  })

  const run: OperationRun = {
    key,
    get signal() {
      return signal
    },
    get cancelled() {
      return cancelled
    },
    get isLost() {
      return isLost
    },
    lose(why) {
      isLost = true
      throw new ReflashError('Conflict', `operation ${key.name} ${why}`)
    },
    session: undefined,
    probe: undefined,
    told: [],
    current() {
      const stored = fleet.get('UpgradeOperation', key)
      if (!stored) return undefined
      base ??= stored
      if (stored.metadata.resourceVersion !== base.metadata.resourceVersion) {
        // Somebody may edit the spec meanwhile; a status that is not ours means another controller.
        if (!sameValue(stored.status, base.status)) {
          const why = 'was changed by somebody else'
          // A word on what it waits for is no work on it.
          if (isQueued(stored) && isQueued(base))
            throw new ReflashError('Conflict', `operation ${key.name} ${why}`)
          run.lose(why)
        }
        base = stored
      }
      return status ? { ...stored, status } : stored
    },
    keep(operation) {
      status = operation.status
    },
    written(operation) {
      if (phaseOf(operation) === 'Flashing' && heldStart !== undefined) {
        fleet.makeStart(heldStart)
        heldStart = undefined
      }
      // A wish to cancel that came on the way is fulfilled, and must not cut short what is still to be undone.
      if (isFinished(operation)) signal = shutdown
      // Undoing may take long.
      if (isQueued(operation) || isFinished(operation)) giveStartBack()
      base = operation
      status = undefined
      onWritten(operation.metadata.resourceVersion)
    },
    get heldStart() {
      return heldStart
    },
    holdStart(at) {
      giveStartBack()
      const operation = fleet.get('UpgradeOperation', key)
      if (operation) heldStart = fleet.holdStart(operation, at)
    },
    phase: () => status?.phase ?? fleet.get('UpgradeOperation', key)?.status.phase ?? 'Queued',
    device: () => {
      const operation = fleet.get('UpgradeOperation', key)
      return operation && fleet.get('Device', { ...key, name: operation.spec.deviceRef.name })
    },
    async close() {
      const stored = fleet.get('UpgradeOperation', key)
      if (stored && status && sameValue(stored.status, base?.status)) unwritten.set(stored, status)
      stopListening()
      giveStartBack()
      shutdown.removeEventListener('abort', onShutdown)
      try {
        await run.session?.close()
      } finally {
        fleet.endTurn(key)
      }
    },
  }
  fleet.beginTurn(key)
  return run
}

const isQueued = (operation: UpgradeOperation): boolean => phaseOf(operation) === 'Queued'

function concerns(operation: UpgradeOperation, object: Device | UpgradeOperation): boolean {
  return object.kind === 'Device'
    ? keyString(keyOf(object)) === deviceKeyOf(operation)
    : object.metadata.uid === operation.metadata.uid
}
