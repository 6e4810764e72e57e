/** A state that is put back when it is older than what has happened: what it holds, and what it has forgotten. */
import type { ManualClock } from '../../src/adapters/clock/manual-clock.ts'
import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import { createMemoryRecords } from '../../src/adapters/memory/record-store.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { kinds } from '../../src/api/kinds.ts'
import type { AnyResource, Phase } from '../../src/api/resources.ts'
import type { RecordStore } from '../../src/ports/record-store.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'

/** When it is made; it is put back when the controller that it was made under, or a later one, has died. */
export interface BackupPlan {
  phase: Phase
  /** At this entry into the phase, of all that there are. */
  nth: number
  afterMs: number
}

const phases: readonly Phase[] = ['Connecting', 'Uploading', 'Flashing', 'Rebooting', 'Succeeded', 'Failed']

export const drawBackupPlan = (random: SeededRandom): BackupPlan => ({
  phase: random.pick(phases),
  nth: random.integer(1, 3),
  afterMs: random.integer(1, random.pick([10, 5000, 5 * 60_000])),
})

export interface Backup {
  objects: readonly AnyResource[]
  records: readonly { name: string; value: unknown }[]
}

/** A state like that of one file: its objects and its records are copied, and put back, together. */
export interface State {
  store: DeclaredStore
  records: RecordStore
  /** All of one moment: that of the call. */
  backUp(): Promise<Backup>
  /** What the backup holds, and nothing else. Nobody may be using the state. */
  putBack(backup: Backup): void
}

export function createState(clock: ManualClock): State {
  let store = createMemoryStore({ clock })
  let records = createMemoryRecords()
  return {
    store: following(store, () => store),
    records: following(records, () => records),
    async backUp() {
      // Each list is read when it is called for.
      const [written, ...lists] = [records.list(''), ...kinds.map(({ kind }) => store.list(kind))] as const
      const objects = (await Promise.all(lists)).flatMap(({ items }): readonly AnyResource[] => items)
      return { objects, records: await written }
    },
    putBack(backup) {
      store = createMemoryStore({ clock, initial: backup.objects })
      records = createMemoryRecords(backup.records)
    },
  }
}

/** Has the methods of the first, and hands each call to the one of now. */
const following = <T extends object>(first: T, current: () => T): T =>
  Object.fromEntries(
    Object.keys(first).map((name) => [
      name,
      (...args: unknown[]): unknown =>
        (Reflect.get(current(), name) as (...args: unknown[]) => unknown)(...args),
    ]),
  ) as T
