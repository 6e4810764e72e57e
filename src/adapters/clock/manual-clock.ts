import { ReflashError } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'

/** Time that stands still until it is moved. One owner moves it: `advance` and `runUntil` may not overlap. */
export interface ManualClock extends Clock {
  /**
   * Lets `ms` pass. Sleepers wake one at a time, in the order of their times (equal times: the order in which they
   * began to sleep), and every promise settles before the next one wakes.
   */
  advance(ms: number): Promise<void>
  /**
   * Lets time pass, sleeper by sleeper, until the condition holds. It stops at the very moment.
   * @throws ReflashError `Timeout` when `limitMs` have passed or nothing is left that could change anything.
   */
  runUntil(condition: () => boolean, limitMs: number): Promise<void>
  /** Moves the wall clock alone, forwards or backwards: no sleeper notices. */
  jump(ms: number): void
  /** When the next sleeper wakes, in monotonic ms; undefined when nobody sleeps. */
  nextWakeMs(): number | undefined
}

interface Sleeper {
  atMs: number
  order: number
  wake: (() => void) | undefined
}

const isEarlier = (a: Sleeper, b: Sleeper): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)

/** Binary heap of sleepers; a cancelled one stays until it surfaces, or until half of the heap is cancelled. */
const createSleepers = () => {
  let heap: Sleeper[] = []
  let cancelled = 0

  const up = (start: number) => {
    let at = start
    const item = heap[at]!
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isEarlier(item, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = item
  }
  const down = (start: number) => {
    let at = start
    const item = heap[at]!
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isEarlier(heap[child + 1]!, heap[child]!)) child += 1
      if (!isEarlier(heap[child]!, item)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = item
  }
  const shift = () => {
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    heap[0] = last
    down(0)
  }
  const compact = () => {
    heap = heap.filter((sleeper) => sleeper.wake !== undefined)
    cancelled = 0
    for (let at = (heap.length >> 1) - 1; at >= 0; at -= 1) down(at)
  }
  const first = (): Sleeper | undefined => {
    while (heap[0] !== undefined && heap[0].wake === undefined) {
      shift()
      cancelled -= 1
    }
    return heap[0]
  }

  return {
    first,
    shift,
    add: (sleeper: Sleeper) => {
      heap.push(sleeper)
      up(heap.length - 1)
    },
    cancel: (sleeper: Sleeper) => {
      if (sleeper.wake === undefined) return
      sleeper.wake = undefined
      cancelled += 1
      if (cancelled > 64 && cancelled * 2 > heap.length) compact()
    },
  }
}

/** What lets every promise settle. */
export type Settle = () => Promise<void>

/** One turn of the event loop: every microtask, however deep, has run when it comes back, and what is ready has been read. */
const turnOfLoop: Settle = () => new Promise((resolve) => setImmediate(resolve))

/** Every microtask, however deep, and nothing else: cheaper, and enough where nobody waits for input, output or a timer. */
export const microtasks: Settle = () => new Promise((resolve) => process.nextTick(resolve))

/** More wakes than this in one instant mean that somebody waits for no time at all, for ever. */
const maxWakesPerInstant = 1_000_000

const defaultStartMs = Date.UTC(2026, 0, 1)

/**
 * Virtual time from `startMs` (wall clock, ms since 1970); the monotonic clock begins at 0. `settle` comes between two
 * wakes; time does not begin to pass before a whole turn of the event loop.
 */
export const createManualClock = (
  startMs: number = defaultStartMs,
  settle: Settle = turnOfLoop,
): ManualClock => {
  const sleepers = createSleepers()
  let elapsedMs = 0
  let offsetMs = startMs
  let order = 0
  let moving = false

  const after = (ms: number, fn: () => void): (() => void) => {
    order += 1
    const sleeper: Sleeper = { atMs: elapsedMs + Math.max(0, ms), order, wake: fn }
    sleepers.add(sleeper)
    return () => sleepers.cancel(sleeper)
  }

  const wakeFirst = (sleeper: Sleeper) => {
    sleepers.shift()
    elapsedMs = sleeper.atMs
    const { wake } = sleeper
    sleeper.wake = undefined
    wake?.()
  }

  /** Wakes whoever is due up to `untilMs`, until the condition holds. */
  const run = async (untilMs: number, condition: () => boolean): Promise<boolean> => {
    let wakes = 0
    await turnOfLoop()
    while (!condition()) {
      const next = sleepers.first()
      if (next === undefined || next.atMs > untilMs) return false
      wakes = next.atMs > elapsedMs ? 0 : wakes + 1
      if (wakes > maxWakesPerInstant)
        throw new ReflashError(
          'Timeout',
          `time stands still at ${elapsedMs} ms: somebody keeps waiting for 0 ms`,
        )
      wakeFirst(next)
      await settle()
    }
    return true
  }

  const exclusively = async <T>(move: () => Promise<T>): Promise<T> => {
    if (moving) throw new ReflashError('Busy', 'the clock is being moved already')
    moving = true
    try {
      return await move()
    } finally {
      moving = false
    }
  }

  return {
    now: () => offsetMs + elapsedMs,
    monotonic: () => elapsedMs,
    after,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const abort = () => {
          cancel()
          // The caller's own reason, whatever it is: that is the contract of the port.
          // oxlint-disable-next-line typescript/prefer-promise-reject-errors
          reject(signal?.reason)
        }
        const cancel = after(ms, () => {
          signal?.removeEventListener('abort', abort)
          resolve()
        })
        if (signal?.aborted) abort()
        else signal?.addEventListener('abort', abort, { once: true })
      }),
    advance: (ms) =>
      exclusively(async () => {
        const untilMs = elapsedMs + ms
        await run(untilMs, () => false)
        elapsedMs = untilMs
      }),
    runUntil: (condition, limitMs) =>
      exclusively(async () => {
        if (await run(elapsedMs + limitMs, condition)) return
        throw new ReflashError('Timeout', `the condition did not hold within ${limitMs} ms of virtual time`)
      }),
    jump: (ms) => {
      offsetMs += ms
    },
    nextWakeMs: () => sleepers.first()?.atMs,
  }
}
