import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import type { Clock } from '../../src/ports/clock.ts'

/** Real time that says how many timers of its own have neither fired nor been cancelled. */
export const createCountedClock = (): Clock & { pending: () => number } => {
  const pending = new Set<symbol>()
  const after: Clock['after'] = (ms, fn) => {
    const timer = Symbol('timer')
    pending.add(timer)
    const cancel = systemClock.after(ms, () => {
      pending.delete(timer)
      fn()
    })
    return () => {
      pending.delete(timer)
      cancel()
    }
  }
  return {
    ...systemClock,
    after,
    sleep: async (ms, signal) => {
      const timer = Symbol('sleep')
      pending.add(timer)
      try {
        await systemClock.sleep(ms, signal)
      } finally {
        pending.delete(timer)
      }
    },
    pending: () => pending.size,
  }
}
