import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import type { Clock } from '../../src/ports/clock.ts'

/** Real time, `factor` times faster: for limits of a minute with something real at the other end. */
export const createFastClock = (factor: number): Clock => ({
  now: () => systemClock.now() * factor,
  monotonic: () => systemClock.monotonic() * factor,
  sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
  after: (ms, fn) => systemClock.after(ms / factor, fn),
})
