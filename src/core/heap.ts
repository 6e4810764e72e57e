/** A set of items that knows its first one. Adding and removing cost O(log n), also in the middle. */
export interface Heap<T> {
  size(): number
  first(): T | undefined
  /** An item that is in it already stays where it is. */
  add(item: T): void
  /** Whether it was there. The order of an item must not change while it is in the heap: remove it first. */
  remove(item: T): boolean
  clear(): void
}

/** A binary heap that remembers the place of each item, so that nothing stale is ever left in it. */
export function createHeap<T>(isBefore: (a: T, b: T) => boolean): Heap<T> {
  const items: T[] = []
  const places = new Map<T, number>()

  const put = (item: T, place: number): void => {
    items[place] = item
    places.set(item, place)
  }
  const rise = (item: T, start: number): void => {
    let place = start
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (!isBefore(item, items[parent]!)) break
      put(items[parent]!, place)
      place = parent
    }
    put(item, place)
  }
  const sink = (item: T, start: number): void => {
    let place = start
    for (;;) {
      let child = 2 * place + 1
      if (child >= items.length) break
      if (child + 1 < items.length && isBefore(items[child + 1]!, items[child]!)) child += 1
      if (!isBefore(items[child]!, item)) break
      put(items[child]!, place)
      place = child
    }
    put(item, place)
  }

  return {
    size: () => items.length,
    first: () => items[0],
    add(item) {
      if (!places.has(item)) rise(item, items.length)
    },
    remove(item) {
      const place = places.get(item)
      if (place === undefined) return false
      places.delete(item)
      const last = items.pop()!
      if (place === items.length) return true
      const parent = (place - 1) >> 1
      if (place > 0 && isBefore(last, items[parent]!)) rise(last, place)
      else sink(last, place)
      return true
    },
    clear() {
      items.length = 0
      places.clear()
    },
  }
}
