import { createHeap } from '../core/heap.ts'
import type { Clock } from '../ports/clock.ts'

interface Scheduled {
  /** When it is due, in monotonic ms. */
  readonly readyAt: number
}

/** Items with a time each, and one timer for the soonest of them. */
export interface Schedule<T extends Scheduled> {
  add(item: T): void
  remove(item: T): void
  /** The soonest time, in monotonic ms, if there is any. */
  nextReadyAt(): number | undefined
  clear(): void
}

/** Calls `fire` for each item when its time has come, the soonest first. O(log n) an item. */
export function createSchedule<T extends Scheduled>(clock: Clock, fire: (item: T) => void): Schedule<T> {
  const heap = createHeap<T>((a, b) => a.readyAt < b.readyAt)
  let timer: { readyAt: number; cancel: () => void } | undefined

  /** A timer that has become too early is left alone: it finds nothing due and sets the next. */
  const arm = (): void => {
    const first = heap.first()
    if (!first || (timer && timer.readyAt <= first.readyAt)) return
    timer?.cancel()
    // Whole milliseconds, so that rounding can never ask for a wait that moves no clock.
    const waitMs = Math.ceil(Math.max(0, first.readyAt - clock.monotonic()))
    timer = { readyAt: first.readyAt, cancel: clock.after(waitMs, wake) }
  }
  const wake = (): void => {
    timer = undefined
    for (let first = heap.first(); first && first.readyAt <= clock.monotonic(); first = heap.first()) {
      heap.remove(first)
      fire(first)
    }
    arm()
  }
  const disarm = (): void => {
    timer?.cancel()
    timer = undefined
  }

  return {
    add(item) {
      heap.add(item)
      arm()
    },
    remove(item) {
      heap.remove(item)
      if (heap.size() === 0) disarm()
    },
    nextReadyAt: () => heap.first()?.readyAt,
    clear() {
      heap.clear()
      disarm()
    },
  }
}
