import { hash, timingSafeEqual } from 'node:crypto'
import { ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'

/** SHA-256 over what a row says and what it is called: SQLite's own checks do not see a bit that flips in a value. */
export const rowSum = (...parts: readonly unknown[]): Buffer => hash('sha256', parts.join('\0'), 'buffer')

/** @throws ReflashError `StateCorrupt` naming the row when its values are not those that were written. */
export function requireSum(name: string, sum: unknown, ...parts: readonly unknown[]): void {
  if (sum instanceof Uint8Array && sum.length === 32 && timingSafeEqual(sum, rowSum(...parts))) return
  throw new ReflashError(
    'StateCorrupt',
    `the state of ${printable(name, 600)} is damaged: its checksum does not match; restore the state file from a backup, ` +
      'and look at the disk',
  )
}
