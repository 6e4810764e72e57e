import type { SharedLimits } from '../core/admit.ts'
import { lostWatchMs } from '../core/operation.ts'
import { toMs, toTime } from '../core/time.ts'
import type { Brake } from '../ports/brake.ts'
import type { Clock } from '../ports/clock.ts'
import type { RecordStore } from '../ports/record-store.ts'

/** Ceilings that no manifest can lift: they come from the command line. */
export interface GovernorSettings {
  maxInFlight: number
  maxStartsPerMinute: number
  maxLostPerDay: number
}

/** One operation that was lost. Each has a record of its own: of two controllers none writes over what the other one knows. */
interface Loss {
  /** YYYY-MM-DD. */
  date: string
  acknowledged: boolean
}

export interface Governor {
  readonly settings: GovernorSettings
  /** Reads again what was recorded: by the one who led before, where another takes over. */
  reload(): Promise<void>
  /** Why nothing may start, if that is so. */
  stop(): Promise<SharedLimits['stop']>
  /** Durably counts an operation as lost; to be called before its verdict is saved. Counting twice does nothing. */
  noteLost(operation: string): Promise<void>
}

/** Only a process that begins anew acknowledges losses: nobody waits for that within this one. */
const latchPollMs = 60_000
/** In how many ms to look again whether starts are allowed: HALT comes and goes without a word. */
export const pollAfter = ({ reason }: NonNullable<SharedLimits['stop']>, haltPollMs: number): number =>
  reason === 'Halted' ? haltPollMs : latchPollMs

const prefix = 'lost/'
/** Nobody looks at a device for longer, and so its loss is not told again. */
const keepMs = lostWatchMs + 24 * 3600_000

/**
 * Opens the governor over what earlier processes recorded. `acknowledgedDate` (YYYY-MM-DD) clears the latch of that day
 * for good, of the losses until now; a date with nothing to acknowledge is left alone.
 */
export async function openGovernor(options: {
  settings: GovernorSettings
  records: RecordStore
  brake: Brake
  clock: Clock
  acknowledgedDate?: string
}): Promise<Governor> {
  const { settings, records, brake, clock, acknowledgedDate } = options
  /** By operation. */
  const losses = new Map<string, Loss>()
  const reload = async (): Promise<void> => {
    for (const { name, value } of await records.list(prefix))
      losses.set(name.slice(prefix.length), value as Loss)
  }
  const acknowledge = async (): Promise<void> => {
    for (const [operation, loss] of losses) {
      if (loss.date !== acknowledgedDate || loss.acknowledged) continue
      const acknowledged = { ...loss, acknowledged: true }
      await records.put(prefix + operation, acknowledged)
      losses.set(operation, acknowledged)
    }
  }
  /** How many count against the limit, by date. */
  const counts = (): Map<string, number> => {
    const counted = new Map<string, number>()
    for (const { date, acknowledged } of losses.values())
      if (!acknowledged) counted.set(date, (counted.get(date) ?? 0) + 1)
    return counted
  }
  const isLatched = (count: number | undefined = 0): boolean => count >= settings.maxLostPerDay
  const forgetOld = async (): Promise<void> => {
    const counted = counts()
    for (const [operation, { date, acknowledged }] of losses) {
      const isOld = clock.now() - toMs(`${date}T00:00:00Z`) > keepMs
      if (!isOld || (!acknowledged && isLatched(counted.get(date)))) continue
      await records.delete(prefix + operation)
      losses.delete(operation)
    }
  }
  await reload()
  await acknowledge()
  await forgetOld()

  return {
    settings,
    reload,
    async stop() {
      const halted = await brake.halted()
      if (halted !== undefined) return { reason: 'Halted', message: halted }
      // Before each step of each operation this is asked.
      if (losses.size < settings.maxLostPerDay) return undefined
      const [oldest] = [...counts()].filter(([, count]) => isLatched(count)).toSorted(byDate)
      if (!oldest) return undefined
      const [date, count] = oldest
      return {
        reason: 'LostLimit',
        message: `${count} devices were lost on ${date} (--max-lost-per-day ${settings.maxLostPerDay}); look at them, then start with --acknowledge-lost ${date}`,
      }
    },
    async noteLost(operation) {
      if (losses.has(operation)) return
      const loss: Loss = { date: toTime(clock.now()).slice(0, 10), acknowledged: false }
      losses.set(operation, loss)
      try {
        await records.put(prefix + operation, loss)
      } catch (error) {
        // Not counted, so that the next try to save the verdict counts it.
        losses.delete(operation)
        throw error
      }
    },
  }
}

const byDate = ([a]: [string, number], [b]: [string, number]): number => (a < b ? -1 : 1)
