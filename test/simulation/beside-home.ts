/** Controllers beside their store, put together as `src/app.ts` does; several of them some way from it. */
import type { ManualClock } from '../../src/adapters/clock/manual-clock.ts'
import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import { createControllers } from '../../src/controllers/controllers.ts'
import { declareThrough, Fleet } from '../../src/controllers/fleet.ts'
import { openGovernor, type GovernorSettings } from '../../src/controllers/governor.ts'
import type { RecordStore } from '../../src/ports/record-store.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import type { Rest } from './cluster-home.ts'
import { distant } from './distant.ts'
import { createLife, mortal, type Life, type Process } from './mortal.ts'

export interface BesideHomeOptions {
  store: DeclaredStore
  records: RecordStore
  clock: ManualClock
  random: SeededRandom
  controllers: number
  secret: Readonly<Record<string, string>>
  halted: () => string | undefined
  restOf: (life: Life, name: string) => Rest
  governor: GovernorSettings
  /** Shared by all of them; it may be changed while they run. */
  settings: { probeIntervalMs: number; writesDurableOnly: boolean; imageRecheckMs: number }
  /** Called when the controller at that place has taken an operation out of its queue. */
  onWrite: (place: number) => void
}

export interface BesideHome {
  start(place: number, acknowledgedDate?: string): Promise<Process>
  /** Lets go of what the dead left waiting, which would be kept in memory. */
  forget(): void
}

const readyLimitMs = 60_000

export function createBesideHome(options: BesideHomeOptions): BesideHome {
  const { store, records, clock, random, controllers, governor, settings, onWrite } = options
  const forgotten = new AbortController()
  let lives = 0

  function wayTo(place: number): DeclaredStore {
    if (controllers === 1) return store
    const own: DeclaredStore = {
      ...store,
      async saveStatus(object) {
        const saved = await store.saveStatus(object)
        if (saved.kind === 'UpgradeOperation' && saved.status.phase === 'Connecting') onWrite(place)
        return saved
      },
    }
    return distant(own, { clock, random: random.fork(`way ${lives}`) })
  }

  return {
    async start(place, acknowledgedDate) {
      const life = createLife()
      const ownClock = mortal(clock, life)
      const mirror = new Fleet(ownClock)
      lives += 1
      const name = `life-${clock.monotonic()}${controllers === 1 ? '' : `-${lives}`}`
      const ports = {
        ...options.restOf(life, name),
        store: declareThrough(mortal(wayTo(place), life), mirror),
        fleet: mirror,
        records: mortal(records, life),
        secrets: { read: async () => options.secret },
        clock: ownClock,
        governor: await openGovernor({
          settings: governor,
          records,
          brake: { halted: async () => options.halted() },
          clock,
          ...(acknowledgedDate === undefined ? {} : { acknowledgedDate }),
        }),
        settings,
      }
      const running = createControllers(ports, { devices: 8, operations: 50, images: 1 })
      const stop = new AbortController()
      const ended = running.run(AbortSignal.any([forgotten.signal, stop.signal]))
      let isReady = false
      void running.ready.then(() => (isReady = true))
      // Only at a distance does it take time to read the fleet.
      if (controllers > 1) await clock.runUntil(() => isReady, readyLimitMs)
      else await running.ready
      const end = (): Promise<void> => {
        stop.abort()
        return ended
      }
      return { ...life, end }
    },
    forget: () => forgotten.abort(),
  }
}
