import { ReflashError } from '../../core/errors.ts'
import { openDatabase, type Database } from './database.ts'
import { prepareMetaWriter, readMeta, type Meta, type MetaWriter, type Owner } from './meta.ts'
import { allObjectRows, textOfRow } from './object-table.ts'
import { allRecordRows, valueOfRow } from './record-store.ts'
import { totalOfRows } from './row-total.ts'

/** Marks the file as ours, in the header of the database: "RFLS". */
const applicationId = 0x52464c53
const schemaVersion = 3

// No checksum: an event decides nothing.
const eventTable = `
  CREATE TABLE events (
    namespace TEXT, name TEXT, json TEXT NOT NULL, PRIMARY KEY (namespace, name)
  ) STRICT, WITHOUT ROWID;
`

// WITHOUT ROWID: one tree for each table, so that no damaged index can hide a row.
const tables = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, sum BLOB NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE resources (
    kind TEXT, namespace TEXT, name TEXT, version INTEGER NOT NULL, json TEXT NOT NULL, sum BLOB NOT NULL,
    PRIMARY KEY (kind, namespace, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE records (name TEXT PRIMARY KEY, json TEXT NOT NULL, sum BLOB NOT NULL) STRICT, WITHOUT ROWID;
  ${eventTable}
`

/** What each version of the tables lacks of the one after it. */
const migrations: Readonly<Record<number, string>> = { 1: eventTable, 2: '' }

/** Files of the first two versions have no total of their rows. */
export const isTotalled = ({ schema }: Pick<Meta, 'schema'>): boolean => Number(schema) > 2

/** Makes the tables in an empty file. */
export function createSchema(path: string, meta: Owner): void {
  const database = openDatabase(path, { readOnly: false })
  try {
    database.write(() => {
      database.connection.exec(`PRAGMA application_id=${applicationId}; ${tables}`)
      const put = prepareMetaWriter(database)
      put('schema', String(schemaVersion))
      // Not 0, to which Kubernetes gives a meaning of its own.
      put('version', '1')
      put('total', '0')
      put('directory', meta.directory)
      put('realDirectory', meta.realDirectory)
      put('opened', meta.opened)
    })
  } finally {
    database.close()
  }
}

/** Brings the tables of an older Reflash up to date; to be called inside of a transaction. */
export function migrate({ connection }: Database, meta: Meta, put: MetaWriter): void {
  for (let from = Number(meta.schema); from < schemaVersion; from += 1) connection.exec(migrations[from]!)
  if (Number(meta.schema) < schemaVersion) put('schema', String(schemaVersion))
}

/** What the file says of itself. @throws ReflashError when it is no state file, or one of a newer Reflash. */
export function identify(path: string, database: Database): Meta {
  const found = database.run(
    () => database.connection.prepare('PRAGMA application_id').get()?.['application_id'],
  )
  if (found !== applicationId) {
    throw new ReflashError(
      'StateUnusable',
      `state file ${path} is not one of Reflash, or is damaged; name another with --state, or restore it from a backup`,
    )
  }
  const meta = readMeta(database)
  if (Number(meta.schema) > schemaVersion) {
    throw new ReflashError(
      'StateUnusable',
      `state file ${path} was written by a newer Reflash (schema ${meta.schema}, this one knows ${schemaVersion}); run that one`,
    )
  }
  const { schema, directory, realDirectory, version, opened, total = '0' } = meta
  if (
    schema === undefined ||
    (isTotalled({ schema }) && meta.total === undefined) ||
    directory === undefined ||
    realDirectory === undefined ||
    version === undefined ||
    opened === undefined
  ) {
    throw new ReflashError(
      'StateCorrupt',
      `state file ${path} is damaged: entries are missing; restore it from a backup`,
    )
  }
  return { schema, directory, realDirectory, version, opened, total }
}

/** Reads every row of the file. @throws ReflashError `StateCorrupt` naming the first that is not as it was written. */
export function verify(path: string, database: Database, meta: Meta): void {
  database.run(() => {
    const [verdict] = database.connection.prepare('PRAGMA integrity_check(1)').all()
    if (verdict?.['integrity_check'] !== 'ok') {
      throw new ReflashError(
        'StateCorrupt',
        `state file ${path} is damaged (${String(verdict?.['integrity_check'])}); restore it from a backup, and look at the disk`,
      )
    }
    // What an event says decides nothing, but a table without its columns could not be written to.
    if (Number(meta.schema) > 1) database.connection.prepare(`SELECT namespace, name, json FROM events`)
    for (const row of allRecordRows(database)) valueOfRow(row)
    for (const row of allObjectRows(database)) {
      textOfRow(row)
      if (Number(row['version']) <= Number(meta.version)) continue
      throw new ReflashError(
        'StateCorrupt',
        `state file ${path} is damaged: it has changes after its latest version ${meta.version}; restore it from a backup`,
      )
    }
    if (isTotalled(meta) && totalOfRows(database) !== meta.total) {
      throw new ReflashError(
        'StateCorrupt',
        `state file ${path} is damaged: rows are missing, or are there as they were earlier; restore it from a backup, and look at the disk`,
      )
    }
  })
}

/** @throws ReflashError `StateUnusable` naming both directories. */
export function requireDirectory(
  path: string,
  meta: Meta,
  given: Pick<Meta, 'directory' | 'realDirectory'>,
): void {
  // Either is enough: a checkout that git-sync swaps keeps its path, one that is reached by another path its real one.
  if (meta.directory === given.directory || meta.realDirectory === given.realDirectory) return
  throw new ReflashError(
    'StateUnusable',
    `state file ${path} belongs to the directory ${meta.directory}, not to ${given.directory}; name another with --state`,
  )
}
