import PQueue from 'p-queue'
import { backoff } from '../core/backoff.ts'
import { ReflashError } from '../core/errors.ts'
import type { Clock, Random } from '../ports/clock.ts'
import { createSchedule } from './schedule.ts'
import type { Requeue } from './ports.ts'

const failureBaseMs = 5000
const failureMaxMs = 15 * 60_000
/** A bug does not go away by trying: one look in a while shows whether the input has changed. */
const bugBackoffMs = 5 * 60_000

export interface WorkQueueOptions {
  name: string
  concurrency: number
  clock: Clock
  random: Random
  process: (key: string, signal: AbortSignal) => Promise<Requeue>
  /** Hears of what no ReflashError explains. */
  onError: (key: string, error: unknown) => void
}

/**
 * Hands out keys, one at a time each. A key added while it is being worked on is handed out once more afterwards. Of two
 * times for one key the sooner wins. Failures back off; waiting is no failure.
 */
export interface WorkQueue {
  add(key: string, options?: { after?: number }): void
  /** Keys being worked on, or due now. */
  depth(): number
  /** When the next delayed key is due, in monotonic ms. */
  nextReadyAt(): number | undefined
  /** Hands out nothing more, gives work in flight so many ms to end, then aborts it. */
  stop(options: { drainMs: number }): Promise<void>
}

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { clock, random, process, onError } = options
  const workers = new PQueue({ concurrency: options.concurrency })
  const schedule = createSchedule(clock, hand)
  const due = new Set<string>()
  const working = new Set<string>()
  const again = new Map<string, number>()
  const failures = new Map<string, number>()
  const abort = new AbortController()
  let stopped = false

  function hand(key: string): void {
    if (stopped || due.has(key)) return
    if (working.has(key)) {
      again.set(key, 0)
      return
    }
    due.add(key)
    void workers.add(() => work(key))
  }

  async function work(key: string): Promise<void> {
    due.delete(key)
    if (stopped) return
    working.add(key)
    const after = await turn(key)
    working.delete(key)
    const asked = again.get(key)
    again.delete(key)
    const times = [after, asked].filter((time) => time !== undefined)
    if (times.length > 0 && !stopped) add(key, { after: Math.min(...times) })
  }

  /** One turn of work; returns in how many ms the key wants another. */
  async function turn(key: string): Promise<number | undefined> {
    try {
      const { after } = await process(key, abort.signal)
      failures.delete(key)
      return after
    } catch (error) {
      if (abort.signal.aborted) return undefined
      const expected = error instanceof ReflashError && error.recoverable
      if (!expected) {
        onError(key, error)
        return bugBackoffMs
      }
      const attempt = (failures.get(key) ?? 0) + 1
      failures.set(key, attempt)
      return backoff({ attempt, baseMs: failureBaseMs, maxMs: failureMaxMs, random01: random() })
    }
  }

  function add(key: string, { after = 0 }: { after?: number } = {}): void {
    if (stopped) return
    if (after <= 0) {
      schedule.cancel(key)
      hand(key)
    } else if (working.has(key)) again.set(key, Math.min(after, again.get(key) ?? Infinity))
    else if (!due.has(key)) schedule.add(key, clock.monotonic() + after)
  }

  return {
    add,
    depth: () => due.size + working.size,
    nextReadyAt: () => schedule.next(),
    async stop({ drainMs }) {
      stopped = true
      schedule.clear()
      workers.clear()
      due.clear()
      const drained = workers.onIdle()
      const cancel = clock.after(drainMs, () => abort.abort(new DOMException('stopped', 'AbortError')))
      await drained
      cancel()
    },
  }
}
