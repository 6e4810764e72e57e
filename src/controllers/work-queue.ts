import PQueue from 'p-queue'
import { backoff, jittered } from '../core/backoff.ts'
import { ReflashError } from '../core/errors.ts'
import { createHeap } from '../core/heap.ts'
import type { Clock, Random } from '../ports/clock.ts'
import type { Requeue } from './ports.ts'
import { createSchedule } from './schedule.ts'

const failureBaseMs = 5000
const failureMaxMs = 15 * 60_000
/** A bug does not go away by trying: one look in a while shows whether its cause has. */
const bugBackoffMs = 5 * 60_000
/** Share by which a wait varies, so that keys which failed together do not come back together. */
const bugJitter = 0.1

export interface WorkQueueOptions {
  name: string
  concurrency: number
  clock: Clock
  random: Random
  /** One turn of work on a key. The signal belongs to this turn; it is aborted when a stop takes too long. */
  process: (key: string, signal: AbortSignal) => Promise<Requeue>
  /** Hears of what no recoverable ReflashError explains. Must not throw. */
  onError: (key: string, error: unknown) => void
  observer?: QueueObserver
}

/** How a turn ended; `Stuck` is an error that waiting does not help, `Stopped` one that was cut short. */
export type TurnResult = 'Done' | 'Again' | 'Later' | 'Retry' | 'Stuck' | 'Bug' | 'Stopped'

/** Hears what a queue does. Must not throw. */
export interface QueueObserver {
  /** A key waits for a worker from now on. */
  due(): void
  /** A worker has taken a key, so long after its time; what is returned is called once, when the turn has ended. */
  begin(waitedMs: number): (result: TurnResult) => void
}

/**
 * Hands out keys, never the same one twice at once. A key added while it is being worked on is handed out once more
 * afterwards. Of several wishes for one key the sooner time and the higher priority win. A recoverable error backs off
 * (5 s to 15 min, ±10 %) until a turn succeeds; any other error is a bug and waits 5 min. A new `add` cuts a wait short.
 */
export interface WorkQueue {
  readonly name: string
  /** `after` is in ms (default: now). Of the keys that are due, those of higher priority (default 0) go first. */
  add(key: string, options?: { after?: number; priority?: number }): void
  /** Whether a key is being worked on, is due, or waits for its time. */
  has(key: string): boolean
  isWorkingOn(key: string): boolean
  /** Keys being worked on, or due now. */
  depth(): number
  /** Keys of which anything is known: those of `depth`, and those that wait for their time. */
  size(): number
  /** When the next waiting key is due, in monotonic ms. */
  nextReadyAt(): number | undefined
  /** Resolves as soon as nothing is being worked on or due. */
  idle(): Promise<void>
  /** Hands out nothing more, gives work in flight so many ms to end, then aborts it; resolves when all has ended. */
  stop(options: { drainMs: number }): Promise<void>
}

/** When a key is wanted, in monotonic ms, and how urgently. */
interface Wish {
  readyAt: number
  priority: number
}

/** All that is known of a key; forgotten when nobody wants it any more. */
interface Item extends Wish {
  readonly key: string
  state: 'Waiting' | 'Due' | 'Working'
  /** Place among the due ones of equal priority. */
  order: number
  /** What was wanted while it was being worked on. */
  again?: Wish | undefined
  /** Recoverable failures since the last success. */
  failures: number
  turn?: AbortController | undefined
}

const both = (a: Wish, b: Wish | undefined): Wish =>
  b ? { readyAt: Math.min(a.readyAt, b.readyAt), priority: Math.max(a.priority, b.priority) } : a

function failureOf(error: unknown, signal: AbortSignal): TurnResult {
  if (error instanceof ReflashError) return error.recoverable || signal.aborted ? 'Retry' : 'Stuck'
  const isStop = signal.aborted && error instanceof Error && error.name === 'AbortError'
  return isStop ? 'Stopped' : 'Bug'
}

/** A time less far ahead may be none: added to the clock it is lost in rounding, and a key that waits for it turns for ever. */
const leastWaitMs = 1

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { name, clock, random, process, onError, observer } = options
  const pool = new PQueue({ concurrency: options.concurrency })
  const items = new Map<string, Item>()
  const due = createHeap<Item>((a, b) =>
    a.priority === b.priority ? a.order < b.order : a.priority > b.priority,
  )
  const waiting = createSchedule<Item>(clock, makeDue)
  /** Of `pool`, under way or about to be. */
  let workers = 0
  let working = 0
  let orders = 0
  let stopped: DOMException | undefined

  function wishAfter(after: number, priority: number): Wish {
    if (!Number.isFinite(after)) throw new RangeError(`${name} queue: a key cannot wait ${after} ms`)
    return { readyAt: clock.monotonic() + (after > 0 ? Math.max(leastWaitMs, after) : 0), priority }
  }

  function makeDue(item: Item): void {
    item.state = 'Due'
    item.order = orders++
    due.add(item)
    observer?.due()
    if (workers === options.concurrency) return
    workers += 1
    void pool.add(work)
  }

  function place(item: Item): void {
    if (item.readyAt <= clock.monotonic()) return makeDue(item)
    item.state = 'Waiting'
    waiting.add(item)
  }

  /** One worker: takes whichever key comes first by now, a microtask after it was added at the earliest, until none is due. */
  async function work(): Promise<void> {
    await Promise.resolve()
    for (let item = due.first(); item; item = due.first()) await workOn(item)
    workers -= 1
  }

  async function workOn(item: Item): Promise<void> {
    due.remove(item)
    item.state = 'Working'
    item.turn = new AbortController()
    working += 1
    const own = await turn(item, item.turn.signal)
    working -= 1
    const { again } = item
    const next = own === undefined ? again : both({ readyAt: own, priority: item.priority }, again)
    items.delete(item.key)
    if (!next || stopped) return
    const { key, failures } = item
    keep({ key, failures, ...next })
  }

  function keep(item: Pick<Item, 'key' | 'failures'> & Wish): void {
    const kept: Item = { ...item, state: 'Waiting', order: 0 }
    items.set(kept.key, kept)
    place(kept)
  }

  /** Returns when the key wants its next turn, in monotonic ms. */
  async function turn(item: Item, signal: AbortSignal): Promise<number | undefined> {
    const end = observer?.begin(clock.monotonic() - item.readyAt)
    try {
      const { after } = await process(item.key, signal)
      const next = after === undefined ? undefined : wishAfter(after, item.priority).readyAt
      item.failures = 0
      end?.(after === undefined ? 'Done' : after > 0 ? 'Later' : 'Again')
      return next
    } catch (error) {
      const failure = failureOf(error, signal)
      end?.(failure)
      return clock.monotonic() + waitAfter(error, failure, item)
    }
  }

  function waitAfter(error: unknown, failure: TurnResult, item: Item): number {
    if (failure === 'Retry') {
      item.failures += 1
      const attempt = item.failures
      return backoff({ attempt, baseMs: failureBaseMs, maxMs: failureMaxMs, random01: random() })
    }
    if (failure !== 'Stopped') onError(item.key, error)
    return jittered(bugBackoffMs, bugJitter, random())
  }

  return {
    name,
    add(key, { after = 0, priority = 0 } = {}) {
      const wish = wishAfter(after, priority)
      if (stopped) return
      const item = items.get(key)
      if (!item) return keep({ key, failures: 0, ...wish })
      if (item.state === 'Working') {
        item.again = both(wish, item.again)
        return
      }
      const wanted = both(wish, item)
      if (item.state === 'Waiting') {
        waiting.remove(item)
        Object.assign(item, wanted)
        place(item)
      } else if (wanted.priority > item.priority) {
        due.remove(item)
        item.priority = wanted.priority
        due.add(item)
      }
    },
    has: (key) => items.has(key),
    isWorkingOn: (key) => items.get(key)?.state === 'Working',
    depth: () => due.size() + working,
    size: () => items.size,
    nextReadyAt: () => waiting.nextReadyAt(),
    idle: () => pool.onIdle(),
    async stop({ drainMs }) {
      stopped ??= new DOMException('the work queue was stopped', 'AbortError')
      waiting.clear()
      due.clear()
      for (const [key, { state }] of items) if (state !== 'Working') items.delete(key)
      const reason = stopped
      const cancel = clock.after(drainMs, () => {
        for (const { turn: running } of items.values()) running?.abort(reason)
      })
      await pool.onIdle()
      cancel()
    },
  }
}
