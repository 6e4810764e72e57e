import type { Key } from '../api/resources.ts'
import { hasCode } from '../core/errors.ts'
import { keyString } from '../core/keys.ts'
import { isFinished } from '../core/operation.ts'
import type { Ports, Requeue } from './ports.ts'

type Reconcile = (key: Key, ports: Ports, signal: AbortSignal) => Promise<Requeue>
/** Tells the version of each write that was accepted. */
type WritingReconcile = (
  ...args: [...Parameters<Reconcile>, onWritten: (version: string) => void]
) => Promise<Requeue>

/** An operation that has not changed for this long is nobody else's; twice as long after each race that was lost over it. */
const quietMs = 10_000
const longestQuietMs = 60 * 60_000

/** An operation that somebody else was seen to work on, in monotonic ms. */
interface Lost {
  version: string
  /** Since when it has been as it is; -Infinity where this controller made it so. */
  since: number
  races: number
}

/**
 * Of two controllers that work on one operation, the one that has lost a write to the other leaves it alone, until it has
 * been quiet for long enough that the other may be gone. Without that both would begin anew for ever.
 */
export function standAside(reconcile: WritingReconcile): Reconcile {
  const others = new Map<string, Lost>()
  const waitMs = (id: string, version: string, { clock }: Ports): number => {
    const lost = others.get(id)
    if (!lost) return 0
    const now = clock.monotonic()
    if (lost.version !== version) Object.assign(lost, { version, since: now })
    return lost.since + Math.min(longestQuietMs, quietMs * 2 ** (lost.races - 1)) - now
  }
  return async (key, ports, signal) => {
    const id = keyString(key)
    const operation = ports.fleet.get('UpgradeOperation', key)
    if (!operation || isFinished(operation)) others.delete(id)
    else {
      const after = waitMs(id, operation.metadata.resourceVersion, ports)
      if (after > 0) return { after }
    }
    // Whoever has won the next race works on without a pause.
    const onWritten = (version: string): void => {
      const lost = others.get(id)
      if (lost) Object.assign(lost, { version, since: -Infinity })
    }
    try {
      return await reconcile(key, ports, signal, onWritten)
    } catch (error) {
      if (!hasCode(error, 'Conflict') || signal.aborted) throw error
      const races = (others.get(id)?.races ?? 0) + 1
      const version = ports.fleet.get('UpgradeOperation', key)?.metadata.resourceVersion ?? ''
      others.set(id, { version, since: ports.clock.monotonic(), races })
      return { after: waitMs(id, version, ports) }
    }
  }
}
