import type { Database } from './database.ts'
import { prepareMetaWriter } from './meta.ts'
import { allObjectRows } from './object-table.ts'
import { allRecordRows } from './record-store.ts'

/**
 * The sums of all rows in one. A row that is gone with its page, or that is there as it once was, is seen by this alone:
 * every other row is as it was written.
 */
export interface RowTotal {
  /** A row with the sum `old` goes, and one with the sum `now` comes; undefined where there is none. */
  exchange(old: unknown, now: unknown): void
  /** Runs `work` in one transaction, and the total with it. */
  write(work: () => void): void
}

const numberOf = (sum: unknown): bigint =>
  sum instanceof Uint8Array ? BigInt(`0x${Buffer.from(sum).toString('hex')}`) : 0n

/** The total over the rows as they are. */
export function totalOfRows(database: Database): string {
  let total = 0n
  for (const { sum } of allRecordRows(database)) total ^= numberOf(sum)
  for (const { sum } of allObjectRows(database)) total ^= numberOf(sum)
  return String(total)
}

/** Keeps the total that the file has now. */
export function createRowTotal(database: Database, stored: string): RowTotal {
  const put = prepareMetaWriter(database)
  let total = BigInt(stored)
  return {
    exchange: (old, now) => void (total ^= numberOf(old) ^ numberOf(now)),
    write(work) {
      const before = total
      try {
        database.write(() => {
          work()
          if (total !== before) put('total', String(total))
        })
      } catch (error) {
        total = before
        throw error
      }
    },
  }
}
