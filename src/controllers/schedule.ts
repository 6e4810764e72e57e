import type { Clock } from '../ports/clock.ts'

/** Keys with a time each, and one timer for the soonest of them. */
export interface Schedule {
  /** A key that is there already keeps the sooner time. `at` is monotonic ms. */
  add(key: string, at: number): void
  cancel(key: string): void
  /** The soonest time, if there is any. */
  next(): number | undefined
  clear(): void
}

/** Calls `fire` for each key when its time has come, in order of time. O(log n) per key. */
export function createSchedule(clock: Clock, fire: (key: string) => void): Schedule {
  const times = new Map<string, number>()
  // A binary heap; an entry whose time is no longer the key's is skipped when it comes up.
  const heap: { at: number; key: string }[] = []
  let cancelTimer: (() => void) | undefined
  let timerAt = Infinity

  const swap = (a: number, b: number): void => {
    const kept = heap[a]!
    heap[a] = heap[b]!
    heap[b] = kept
  }
  const push = (key: string, at: number): void => {
    heap.push({ at, key })
    for (let place = heap.length - 1; place > 0; ) {
      const parent = (place - 1) >> 1
      if (heap[parent]!.at <= heap[place]!.at) break
      swap(place, parent)
      place = parent
    }
  }
  const pop = (): void => {
    const last = heap.pop()!
    if (heap.length === 0) return
    heap[0] = last
    for (let place = 0; ; ) {
      let least = place
      for (const child of [2 * place + 1, 2 * place + 2]) {
        if (child < heap.length && heap[child]!.at < heap[least]!.at) least = child
      }
      if (least === place) return
      swap(place, least)
      place = least
    }
  }
  const first = (): { at: number; key: string } | undefined => {
    while (heap.length > 0 && times.get(heap[0]!.key) !== heap[0]!.at) pop()
    return heap[0]
  }
  const arm = (): void => {
    const head = first()
    if (!head) {
      cancelTimer?.()
      cancelTimer = undefined
      timerAt = Infinity
      return
    }
    if (cancelTimer && head.at === timerAt) return
    cancelTimer?.()
    timerAt = head.at
    cancelTimer = clock.after(Math.max(0, head.at - clock.monotonic()), () => {
      cancelTimer = undefined
      for (let ready = first(); ready && ready.at <= clock.monotonic(); ready = first()) {
        times.delete(ready.key)
        pop()
        fire(ready.key)
      }
      arm()
    })
  }

  return {
    add(key, at) {
      if ((times.get(key) ?? Infinity) <= at) return
      times.set(key, at)
      push(key, at)
      arm()
    },
    cancel(key) {
      times.delete(key)
      if (times.size === 0) heap.length = 0
    },
    next: () => first()?.at,
    clear() {
      times.clear()
      heap.length = 0
      cancelTimer?.()
      cancelTimer = undefined
    },
  }
}
