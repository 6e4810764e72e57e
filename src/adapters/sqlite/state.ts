import { randomUUID } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import type { AnyResource } from '../../api/resources.ts'
import { messageOf, ReflashError } from '../../core/errors.ts'
import { toTime } from '../../core/time.ts'
import type { Clock } from '../../ports/clock.ts'
import type { EventTable } from '../../ports/event-table.ts'
import type { RecordStore } from '../../ports/record-store.ts'
import type { DeclaredStore } from '../../ports/resource-store.ts'
import { createTableStore } from '../table-store.ts'
import { createWatchLog, type WatchLogLimits } from '../watch-log.ts'
import { openDatabase, requireDurable, type Database } from './database.ts'
import { createEventTable } from './event-table.ts'
import { lockState } from './lock.ts'
import { prepareMetaWriter, type Meta, type Owner } from './meta.ts'
import { allObjectRows, createObjectTable, textOfRow } from './object-table.ts'
import { allRecordRows, createRecordStore, valueOfRow } from './record-store.ts'
import { createRowTotal, totalOfRows } from './row-total.ts'
import { createSchema, identify, isTotalled, migrate, requireDirectory, verify } from './schema.ts'
import { createDurably, lookAtStateFile, prepareStatePath, requireLocalDisk } from './state-file.ts'

export interface State {
  resources: DeclaredStore
  records: RecordStore
  events: EventTable
  /** Rejects when the file breaks under the process: nothing is read from it or written to it any more. */
  broken: Promise<never>
  /** Has `listener` hear that the disk is full: once, until a write has found room. Nothing of the failed write is kept. */
  onFull(listener: (error: ReflashError) => void): void
  /** Ends all watches and lets go of the file. May be called twice. */
  close(): Promise<void>
}

/**
 * Opens the one file that holds what a process knows, or makes it; `directory` is where the manifests are.
 * @throws ReflashError `StateLocked` when another process has it, `StateUnusable` when it cannot be a state file of this
 * directory or cannot be written durably, `StateCorrupt` when it is damaged; the file is then as it was.
 */
export async function openState(
  path: string,
  options: { directory: string; clock: Clock; history?: WatchLogLimits },
): Promise<State> {
  const { clock, history } = options
  const given = placesOf(options.directory)
  const file = prepareStatePath(path)
  // Before the lock as well: what cannot be a state file gets no companions.
  lookAtStateFile(file)
  requireLocalDisk(file)
  const lock = lockState(file)
  try {
    const opened = toTime(clock.now())
    if (lookAtStateFile(file) === 'file') inspect(file, given)
    else createDurably(file, (draft) => createSchema(draft, { ...given, opened }))
    const broken = Promise.withResolvers<never>()
    // Who has closed it does not ask any more.
    broken.promise.catch(() => {})
    const database = openDatabase(file, { readOnly: false, onBroken: broken.reject })
    try {
      return assemble({
        database,
        rows: take(file, database, { ...given, opened }),
        broken: broken.promise,
        clock,
        history,
        release: lock.release,
      })
    } catch (error) {
      database.close()
      throw error
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

export interface StateSnapshot {
  /** The directory of manifests that the state belongs to; undefined when there is no state yet. */
  directory: string | undefined
  resources: AnyResource[]
  records: { name: string; value: unknown }[]
}

/**
 * Everything in a state file at one moment, also while another process has it. Writes nothing; a missing file is empty.
 * @throws ReflashError `StateUnusable`, `StateCorrupt`.
 */
export async function readState(path: string): Promise<StateSnapshot> {
  if (lookAtStateFile(path) === 'nothing') return { directory: undefined, resources: [], records: [] }
  const database = openDatabase(path, { readOnly: true })
  try {
    const { directory } = identify(path, database)
    return database.run(() => ({ directory, ...snapshot(database) }))
  } finally {
    database.close()
  }
}

function placesOf(directory: string): Pick<Meta, 'directory' | 'realDirectory'> {
  try {
    return { directory: resolve(directory), realDirectory: realpathSync(directory) }
  } catch (error) {
    throw new ReflashError('NotFound', `directory ${directory} cannot be read (${messageOf(error)})`, {
      cause: error,
    })
  }
}

/** Through a connection that cannot write, so that a file that is refused stays as it is. */
function inspect(file: string, given: Pick<Meta, 'directory' | 'realDirectory'>): void {
  const database = openDatabase(file, { readOnly: true })
  try {
    const meta = identify(file, database)
    requireDirectory(file, meta, given)
    verify(file, database, meta)
  } finally {
    database.close()
  }
}

/** Makes the file this process's own, by a first write that must be durable. Returns what it says of its rows. */
function take(file: string, database: Database, meta: Owner): Pick<Meta, 'version' | 'total'> {
  const found = identify(file, database)
  const total = isTotalled(found) ? found.total : totalOfRows(database)
  database.write(() => {
    const put = prepareMetaWriter(database)
    migrate(database, found, put)
    put('total', total)
    put('directory', meta.directory)
    put('realDirectory', meta.realDirectory)
    put('opened', meta.opened)
  })
  requireDurable(file, database)
  return { version: found.version, total }
}

function assemble(parts: {
  database: Database
  rows: Pick<Meta, 'version' | 'total'>
  broken: Promise<never>
  clock: Clock
  history: WatchLogLimits | undefined
  release: () => void
}): State {
  const { database, rows, broken, clock, history, release } = parts
  const latest = Number(rows.version)
  const total = createRowTotal(database, rows.total)
  const log = createWatchLog(latest, history)
  const table = createObjectTable(database, latest, total)
  return {
    resources: createTableStore({ table, log, clock, newUid: () => randomUUID() }),
    records: createRecordStore(database, total),
    events: createEventTable(database),
    broken,
    onFull: database.onFull,
    async close() {
      table.flush()
      log.close()
      database.close()
      release()
    },
  }
}

function snapshot(database: Database): Pick<StateSnapshot, 'resources' | 'records'> {
  // One transaction: the writer goes on meanwhile, and this sees none of it.
  database.connection.exec('BEGIN')
  const resources = Array.from(allObjectRows(database), (row) => JSON.parse(textOfRow(row)) as AnyResource)
  const records = Array.from(allRecordRows(database), (row) => ({
    name: String(row['name']),
    value: valueOfRow(row),
  }))
  database.connection.exec('COMMIT')
  return { resources, records }
}
