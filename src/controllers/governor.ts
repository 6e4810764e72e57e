import { toTime } from '../core/time.ts'
import type { SharedLimits } from '../core/admit.ts'
import type { Brake } from '../ports/brake.ts'
import type { Clock } from '../ports/clock.ts'
import type { RecordStore } from '../ports/record-store.ts'

/** Ceilings that no manifest can lift: they come from the command line. */
export interface GovernorSettings {
  maxInFlight: number
  maxStartsPerMinute: number
  maxLostPerDay: number
}

interface LostDay {
  operations: string[]
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

const recordName = (date: string): string => `lost/${date}`

/**
 * Opens the governor over what earlier processes recorded. `acknowledgedDate` (YYYY-MM-DD) clears the latch of that day
 * for good; a date with nothing to acknowledge is left alone.
 */
export async function openGovernor(options: {
  settings: GovernorSettings
  records: RecordStore
  brake: Brake
  clock: Clock
  acknowledgedDate?: string
}): Promise<Governor> {
  const { settings, records, brake, clock, acknowledgedDate } = options
  const days = new Map<string, LostDay>()
  const reload = async (): Promise<void> => {
    for (const { name, value } of await records.list('lost/'))
      days.set(name.slice('lost/'.length), value as LostDay)
    const acknowledged = acknowledgedDate === undefined ? undefined : days.get(acknowledgedDate)
    if (acknowledged && !acknowledged.acknowledged) {
      acknowledged.acknowledged = true
      await records.put(recordName(acknowledgedDate!), acknowledged)
    }
  }
  await reload()

  return {
    settings,
    reload,
    async stop() {
      const halted = await brake.halted()
      if (halted !== undefined) return { reason: 'Halted', message: halted }
      for (const [date, day] of days) {
        if (day.acknowledged || day.operations.length < settings.maxLostPerDay) continue
        return {
          reason: 'LostLimit',
          message: `${day.operations.length} devices were lost on ${date} (--max-lost-per-day ${settings.maxLostPerDay}); look at them, then start with --acknowledge-lost ${date}`,
        }
      }
      return undefined
    },
    async noteLost(operation) {
      const date = toTime(clock.now()).slice(0, 10)
      const day = days.get(date) ?? { operations: [], acknowledged: false }
      for (const known of days.values()) if (known.operations.includes(operation)) return
      // Losses after an acknowledgement of the same day latch anew, counted from there.
      const next = day.acknowledged
        ? { operations: [operation], acknowledged: false }
        : { operations: [...day.operations, operation], acknowledged: false }
      days.set(date, next)
      try {
        await records.put(recordName(date), next)
      } catch (error) {
        // Not counted, so that the next try to save the verdict counts it.
        next.operations.splice(next.operations.indexOf(operation), 1)
        throw error
      }
    },
  }
}
