/** A process that can die at any await: afterwards none of its calls has an effect, and none of its promises settles. */
export interface Life {
  alive(): boolean
  die(): void
  /** Does this when it dies, as the kernel closes what a process held. */
  atDeath(action: () => void): void
}

export function createLife(): Life {
  let alive = true
  const actions: (() => void)[] = []
  return {
    alive: () => alive,
    die() {
      alive = false
      for (const action of actions) action()
    },
    atDeath: (action) => void actions.push(action),
  }
}

const never = new Promise<never>(() => {})

/** The same object in the hands of a mortal: methods are checked before and after. */
export function mortal<T extends object>(target: T, life: Life): T {
  return new Proxy(target, {
    get(object, name) {
      const value = Reflect.get(object, name) as unknown
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        // Reading a clock has no effect, and whoever reads it when dead never gets to use it.
        if (name === 'now' || name === 'monotonic') return Reflect.apply(value, object, args) as unknown
        if (!life.alive()) return name === 'after' ? () => {} : never
        const checked =
          name === 'after' && typeof args[1] === 'function'
            ? [args[0], () => (life.alive() ? (args[1] as () => void)() : undefined)]
            : args
        return settle(Reflect.apply(value, object, checked), life)
      }
    },
  })
}

function settle(result: unknown, life: Life): unknown {
  if (result instanceof Promise) {
    return result.then(
      (value: unknown) => (life.alive() ? value : never),
      (error: unknown) => (life.alive() ? Promise.reject(error as Error) : never),
    )
  }
  if (result !== null && typeof result === 'object' && Symbol.asyncIterator in result) {
    return mortalIterable(result as AsyncIterable<unknown>, life)
  }
  return result
}

async function* mortalIterable(items: AsyncIterable<unknown>, life: Life): AsyncGenerator<unknown> {
  for await (const item of items) {
    if (!life.alive()) await never
    yield item
  }
}
