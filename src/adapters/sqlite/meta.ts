import type { Database } from './database.ts'
import { requireSum, rowSum } from './row-sum.ts'

/** What the file says of itself. */
export interface Meta {
  /** Version of the tables. */
  schema: string
  /** The directory of manifests that the state belongs to, as it was given, absolute. */
  directory: string
  /** The same with symlinks resolved. */
  realDirectory: string
  /** The version of the latest change. */
  version: string
  /** All rows in one number: the sums of `resources` and `records`, each bit set where an odd number of them has it set. */
  total: string
  /** RFC 3339: when a process last took the file. */
  opened: string
}

/** Whose the file is. */
export type Owner = Pick<Meta, 'directory' | 'realDirectory' | 'opened'>

/** Everything in the table. @throws ReflashError `StateCorrupt`, `StateUnusable`. */
export function readMeta({ connection, run }: Database): Partial<Meta> {
  return run(() => {
    const meta: Record<string, string> = {}
    for (const { name, value, sum } of connection.prepare('SELECT name, value, sum FROM meta').iterate()) {
      requireSum(`meta ${String(name)}`, sum, 'meta', name, value)
      meta[String(name)] = String(value)
    }
    return meta
  })
}

/** Stores one entry; to be called inside of a transaction. */
export type MetaWriter = (name: keyof Meta, value: string) => void

export function prepareMetaWriter({ connection }: Database): MetaWriter {
  const put = connection.prepare('INSERT OR REPLACE INTO meta (name, value, sum) VALUES (?, ?, ?)')
  return (name, value) => void put.run(name, value, rowSum('meta', name, value))
}
