import { versions } from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { ReflashError } from '../../core/errors.ts'
import { resultCodeOf, stateError } from './foreign-error.ts'

/** One connection. Whatever goes wrong in it comes out as `StateUnusable` or `StateCorrupt` naming the file. */
export interface Database {
  readonly connection: DatabaseSync
  /** Reads, or writes within a transaction. */
  readonly run: <T>(work: () => T) => T
  /** Runs `work` in one transaction, which would survive a power cut when this returns. */
  readonly write: (work: () => void) => void
  /** Has `listener` hear of a write that found no room: of the first, until one has found some. */
  readonly onFull: (listener: (error: ReflashError) => void) => void
  /** May be called twice. */
  close(): void
}

const minimumVersion = [3, 51, 3] as const
const busyTimeoutMs = 5_000
const full = 13
/** After these nothing that SQLite says of the file can be trusted: above all, a failed fsync is never tried again. */
const fatalResultCodes: readonly (number | undefined)[] = [10, 11, 26]

/**
 * Opens an existing file; `readOnly` also finishes no transaction of a process that was killed. `onBroken` hears why the
 * file is not trusted any more from then on. @throws as above.
 */
export function openDatabase(
  path: string,
  options: { readOnly: boolean; onBroken?: (error: ReflashError) => void },
): Database {
  requireSqlite(versions['sqlite'] ?? '0')
  const connection = translated(
    path,
    () => new DatabaseSync(path, { readOnly: options.readOnly, timeout: busyTimeoutMs }),
  )
  const database = guarded(path, connection, options.onBroken)
  try {
    database.run(() =>
      connection.exec('PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA foreign_keys=ON'),
    )
    // fullfsync: on macOS a plain fsync leaves the bytes in the drive's cache.
    if (!options.readOnly) {
      database.run(() =>
        connection.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA fullfsync=ON'),
      )
    }
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

/** @throws ReflashError `StateUnusable` when a commit would not survive a power cut. Ask after the first write: some builds change their mind there. */
export function requireDurable(path: string, { connection }: Database): void {
  const pragma = (name: string): unknown => connection.prepare(`PRAGMA ${name}`).get()?.[name]
  const synchronous = pragma('synchronous')
  const journalMode = pragma('journal_mode')
  if (synchronous === 2 && journalMode === 'wal') return
  throw new ReflashError(
    'StateUnusable',
    `state file ${path} would not survive a power cut: SQLite runs with synchronous=${String(synchronous)} and ` +
      `journal_mode=${String(journalMode)}, and has to run with 2 (FULL) and wal`,
  )
}

/** 3.7.0 to 3.51.2 can damage a file in WAL mode (https://www.sqlite.org/releaselog/3_51_3.html). */
export function requireSqlite(version: string): void {
  const parts = version.split('.').map(Number)
  for (const [place, minimum] of minimumVersion.entries()) {
    const part = parts[place] ?? 0
    if (part > minimum) return
    if (part < minimum) {
      throw new ReflashError(
        'StateUnusable',
        `this Node.js has SQLite ${version}, which can damage its files; run Reflash on one with ${minimumVersion.join('.')} or newer`,
      )
    }
  }
}

function guarded(
  path: string,
  connection: DatabaseSync,
  onBroken: (error: ReflashError) => void = () => {},
): Database {
  let failure: ReflashError | undefined
  let isFull = false
  let onFull: (error: ReflashError) => void = () => {}
  const note = (known: ReflashError, resultCode: number | undefined): void => {
    if (fatalResultCodes.includes(resultCode)) {
      failure = known
      onBroken(known)
    } else if (resultCode === full && !isFull) {
      isFull = true
      onFull(known)
    }
  }
  const run = <T>(work: () => T): T => {
    if (failure) throw failure
    try {
      return work()
    } catch (error) {
      const known = stateError(path, error)
      note(known, resultCodeOf(error))
      throw known
    }
  }
  return {
    connection,
    run,
    write: (work) =>
      run(() => {
        connection.exec('BEGIN IMMEDIATE')
        try {
          work()
          if (failure) throw failure
          connection.exec('COMMIT')
          isFull = false
        } catch (error) {
          // SQLite has rolled back by itself after some errors.
          if (connection.isTransaction) connection.exec('ROLLBACK')
          throw error
        }
      }),
    onFull: (listener) => (onFull = listener),
    close() {
      if (!connection.isOpen) return
      failure ??= new ReflashError('StateUnusable', `state file ${path} is closed`)
      connection.close()
    },
  }
}

function translated<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw stateError(path, error)
  }
}
