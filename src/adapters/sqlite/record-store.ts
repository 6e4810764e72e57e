import type { RecordStore } from '../../ports/record-store.ts'
import type { Database } from './database.ts'
import { requireSum, rowSum } from './row-sum.ts'
import type { RowTotal } from './row-total.ts'

/** The value of a row. @throws ReflashError `StateCorrupt` naming the record. */
export function valueOfRow(row: Record<string, unknown>): unknown {
  const { name, json, sum } = row
  requireSum(`record ${String(name)}`, sum, 'record', name, json)
  return JSON.parse(json as string)
}

/** Every record in the file, as rows for `valueOfRow`. */
export const allRecordRows = ({ connection }: Database): Iterable<Record<string, unknown>> =>
  connection.prepare('SELECT name, json, sum FROM records ORDER BY name').iterate()

/** Records in the state file, with a checksum each. */
export function createRecordStore({ connection, run }: Database, total: RowTotal): RecordStore {
  const one = connection.prepare('SELECT name, json, sum FROM records WHERE name = ?')
  const some = connection.prepare(
    'SELECT name, json, sum FROM records WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name',
  )
  const put = connection.prepare('INSERT OR REPLACE INTO records (name, json, sum) VALUES (?, ?, ?)')
  const remove = connection.prepare('DELETE FROM records WHERE name = ?')

  return {
    async get(name) {
      return run(() => {
        const row = one.get(name)
        return row && valueOfRow(row)
      })
    },
    async put(name, value) {
      const json = JSON.stringify(value)
      const sum = rowSum('record', name, json)
      total.write(() => {
        const old = one.get(name)?.['sum']
        put.run(name, json, sum)
        total.exchange(old, sum)
      })
    },
    async delete(name) {
      total.write(() => {
        const old = one.get(name)?.['sum']
        remove.run(name)
        total.exchange(old, undefined)
      })
    },
    async list(prefix) {
      return run(() =>
        Array.from(some.iterate(prefix), (row) => ({ name: String(row['name']), value: valueOfRow(row) })),
      )
    },
  }
}
