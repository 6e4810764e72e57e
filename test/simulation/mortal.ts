/** A process that can die at any await: afterwards none of its calls has an effect, and none of its promises settles. */
export interface Life {
  alive(): boolean
  die(): void
  /** Does this when it dies, as the kernel closes what a process held; what is returned takes that back. */
  atDeath(action: () => void): () => void
  /** Does this right before, or right after, the n-th call from here on of what is in its hands. */
  atCall(nth: number, side: Side, action: () => void): void
  /** It calls something. */
  calls(side: Side): void
}

/** One that can also be told to end, as by SIGTERM. */
export interface Process extends Life {
  /** Resolves when it has ended. */
  end(): Promise<unknown>
}

export type Side = 'before' | 'after'

/** @param outer Hears of its calls as well, as a machine does of those of its processes. */
export function createLife(outer?: Life): Life {
  let alive = true
  const actions = new Set<() => void>()
  let trap: { left: number; side: Side; action: () => void } | undefined
  return {
    alive: () => alive,
    die() {
      alive = false
      for (const action of actions) action()
    },
    atDeath(action) {
      actions.add(action)
      return () => actions.delete(action)
    },
    atCall(nth, side, action) {
      trap = { left: nth, side, action }
    },
    calls(side) {
      outer?.calls(side)
      if (trap?.side !== side) return
      trap.left -= 1
      if (trap.left > 0) return
      const { action } = trap
      trap = undefined
      action()
    },
  }
}

/** One for each that waits: what waits for a promise is kept as long as that promise is. */
const never = <T>(): Promise<T> => new Promise(() => {})

/** Reading a clock has no effect, and whoever reads it when dead never gets to use it. */
const harmless = new Set(['now', 'monotonic'])

/** The same object in the hands of a mortal: its methods are checked before and after. */
export function mortal<T extends object>(target: T, life: Life): T {
  const checked = Object.entries(target).map(([name, value]) => [
    name,
    typeof value === 'function' && !harmless.has(name) ? method(target, name, life) : value,
  ])
  return Object.fromEntries(checked) as T
}

function method(target: object, name: string, life: Life): (...args: unknown[]) => unknown {
  const call = Reflect.get(target, name) as (...args: unknown[]) => unknown
  if (name === 'after') {
    return (ms, action) =>
      life.alive() ? call(ms, () => life.alive() && (action as () => void)()) : () => {}
  }
  return (...args) => {
    if (life.alive()) life.calls('before')
    if (!life.alive()) return never()
    const result = call.apply(target, args)
    life.calls('after')
    return settle(result, life)
  }
}

function settle(result: unknown, life: Life): unknown {
  if (result instanceof Promise) {
    return result.then(
      (value: unknown) => (life.alive() ? value : never()),
      (error: unknown) => (life.alive() ? Promise.reject(error as Error) : never()),
    )
  }
  if (result !== null && typeof result === 'object' && Symbol.asyncIterator in result) {
    return mortalIterable(result as AsyncIterable<unknown>, life)
  }
  return result
}

async function* mortalIterable(items: AsyncIterable<unknown>, life: Life): AsyncGenerator<unknown> {
  for await (const item of items) {
    if (!life.alive()) await never()
    yield item
  }
}
