import type { ManualClock } from '../../src/adapters/clock/manual-clock.ts'
import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import type { Clock } from '../../src/ports/clock.ts'

/** What a process sees of time: its wall clock is wrong, and it may be stopped, as by SIGSTOP or a busy host. */
export interface PausableProcess {
  clock: Clock
  pause(): void
  /** All that came due meanwhile happens now, in any order. */
  resume(): void
  /** Paused, or with something left to do that came due while it was. */
  isPaused(): boolean
  /** Does something inside the process, when that runs again. */
  run(act: () => void): void
}

const hour = 3_600_000

export function createPausableProcess(world: ManualClock, random: SeededRandom): PausableProcess {
  const skewMs = random.integer(-hour, hour)
  const bootedAt = random.integer(0, hour)
  let isStopped = false
  let due: (() => void)[] = []
  let waking = 0

  const run = (act: () => void): void => {
    if (isStopped) due.push(act)
    else act()
  }
  const after = (ms: number, fn: () => void): (() => void) => {
    let isCancelled = false
    const cancel = world.after(ms, () =>
      run(() => {
        if (!isCancelled) fn()
      }),
    )
    return () => {
      isCancelled = true
      cancel()
    }
  }
  return {
    clock: {
      now: () => world.now() + skewMs,
      monotonic: () => world.monotonic() + bootedAt,
      after,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          const abort = (): void => {
            cancel()
            reject(signal?.reason as Error)
          }
          const cancel = after(ms, () => {
            signal?.removeEventListener('abort', abort)
            resolve()
          })
          if (signal?.aborted) abort()
          else signal?.addEventListener('abort', abort, { once: true })
        }),
    },
    pause: () => {
      isStopped = true
    },
    resume: () => {
      isStopped = false
      const late = due
      due = []
      while (late.length > 0) {
        const [act] = late.splice(random.integer(0, late.length - 1), 1)
        waking += 1
        // One at a time, as an event loop does; it may be stopped again in between.
        world.after(0, () =>
          run(() => {
            waking -= 1
            act!()
          }),
        )
      }
    },
    isPaused: () => isStopped || waking > 0,
    run,
  }
}
