/** What was used last, by key. */
export interface RecentMap<V> {
  /** The value of a key, made if there is none. */
  use(key: string, make: () => V): V
}

/** Holds at most `max` values: the one that was not used for longest makes room for a new one. */
export function createRecentMap<V>(max: number): RecentMap<V> {
  const values = new Map<string, V>()
  return {
    use(key, make) {
      const value = values.has(key) ? values.get(key)! : make()
      values.delete(key)
      values.set(key, value)
      if (values.size > max) values.delete(values.keys().next().value!)
      return value
    },
  }
}
