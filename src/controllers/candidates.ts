import { orderHash } from '../core/names.ts'

/** Devices of one policy that only wait for a slot, in a stable order that differs from revision to revision. */
export interface Candidates {
  readonly size: number
  add(device: string, revision: string): void
  remove(device: string): void
  /** The first in order. O(log n) amortised. */
  first(): string | undefined
}

export function createCandidates(): Candidates {
  const places = new Map<string, number>()
  // A binary heap whose stale entries are skipped when they come up.
  const heap: { device: string; place: number }[] = []

  const before = (a: number, b: number): boolean =>
    heap[a]!.place < heap[b]!.place ||
    (heap[a]!.place === heap[b]!.place && heap[a]!.device < heap[b]!.device)
  const swap = (a: number, b: number): void => {
    const kept = heap[a]!
    heap[a] = heap[b]!
    heap[b] = kept
  }
  const sinkRoot = (): void => {
    let at = 0
    for (;;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && before(child, least)) least = child
      }
      if (least === at) return
      swap(at, least)
      at = least
    }
  }
  const dropFirst = (): void => {
    const last = heap.pop()!
    if (heap.length === 0) return
    heap[0] = last
    sinkRoot()
  }

  const push = (device: string, place: number): void => {
    heap.push({ device, place })
    for (let at = heap.length - 1; at > 0;) {
      const parent = (at - 1) >> 1
      if (!before(at, parent)) break
      swap(at, parent)
      at = parent
    }
  }

  return {
    get size() {
      return places.size
    },
    add(device, revision) {
      const place = orderHash(revision, device)
      if (places.get(device) === place) return
      places.set(device, place)
      if (heap.length > 2 * places.size + 64) {
        heap.length = 0
        for (const [other, otherPlace] of places) push(other, otherPlace)
        return
      }
      push(device, place)
    },
    remove(device) {
      places.delete(device)
      if (places.size === 0) heap.length = 0
    },
    first() {
      while (heap.length > 0) {
        const { device, place } = heap[0]!
        if (places.get(device) === place) return device
        dropFirst()
      }
      return undefined
    },
  }
}
