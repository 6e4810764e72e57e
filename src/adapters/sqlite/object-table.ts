import type { Kind } from '../../api/resources.ts'
import type { ObjectTable } from '../table-store.ts'
import type { Database } from './database.ts'
import { createGroupCommit } from './group-commit.ts'
import { prepareMetaWriter } from './meta.ts'
import { requireSum, rowSum } from './row-sum.ts'
import type { RowTotal } from './row-total.ts'

/** Columns in the order of the checksum. */
const columns = 'kind, namespace, name, version, json, sum'

/** The JSON of a row. @throws ReflashError `StateCorrupt` naming the object. */
export function textOfRow(row: Record<string, unknown>): string {
  const { kind, namespace, name, version, json, sum } = row
  requireSum(
    `${String(kind)} ${String(namespace)}/${String(name)}`,
    sum,
    kind,
    namespace,
    name,
    version,
    json,
  )
  return json as string
}

/** Every object in the file, as rows for `textOfRow`. */
export const allObjectRows = ({ connection }: Database): Iterable<Record<string, unknown>> =>
  connection.prepare(`SELECT ${columns} FROM resources ORDER BY kind, namespace, name`).iterate()

/** Objects as rows of JSON text; `latest` is the version of the latest change. Keeps no copy of any object. */
export function createObjectTable(
  database: Database,
  latest: number,
  total: RowTotal,
): ObjectTable & { flush(): void } {
  const { connection } = database
  const one = connection.prepare(
    `SELECT ${columns} FROM resources WHERE kind = ? AND namespace = ? AND name = ?`,
  )
  const all = connection.prepare(`SELECT ${columns} FROM resources WHERE kind = ? ORDER BY namespace, name`)
  const some = connection.prepare(
    `SELECT ${columns} FROM resources WHERE kind = ? AND namespace = ? ORDER BY namespace, name`,
  )
  const put = connection.prepare(`INSERT OR REPLACE INTO resources (${columns}) VALUES (?, ?, ?, ?, ?, ?)`)
  const remove = connection.prepare('DELETE FROM resources WHERE kind = ? AND namespace = ? AND name = ?')
  const putMeta = prepareMetaWriter(database)

  const rowsOf = (kind: Kind, namespace: string | undefined): Iterable<Record<string, unknown>> =>
    namespace === undefined ? all.iterate(kind) : some.iterate(kind, namespace)

  const group = createGroupCommit(connection, (work) => {
    const before = latest
    try {
      total.write(() => {
        work()
        if (latest !== before) putMeta('version', String(latest))
      })
    } catch (error) {
      latest = before
      throw error
    }
  })

  return {
    latest: () => latest,
    get: (kind, { namespace, name }) =>
      database.run(() => {
        const row = one.get(kind, namespace, name)
        return row && textOfRow(row)
      }),
    list: (kind, namespace) => database.run(() => Array.from(rowsOf(kind, namespace), textOfRow)),
    write({ namespace, name }, { type, kind, version, text }) {
      database.run(() => {
        const old = one.get(kind, namespace, name)?.['sum']
        if (type === 'Deleted') {
          remove.run(kind, namespace, name)
          return total.exchange(old, undefined)
        }
        const sum = rowSum(kind, namespace, name, version, text)
        put.run(kind, namespace, name, version, text, sum)
        total.exchange(old, sum)
      })
      latest = version
    },
    commit: (work, onCommitted) => group.submit(work, onCommitted),
    flush: () => group.flush(),
  }
}
