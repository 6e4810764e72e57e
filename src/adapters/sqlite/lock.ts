import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { pid } from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { ReflashError } from '../../core/errors.ts'
import { resultCodeOf, stateError } from './foreign-error.ts'

const busy = 5

/**
 * Keeps every other process off a state file until it is released or this process is gone, however it ended. It is the
 * lock that SQLite takes on `<state>.lock`, an empty database: the kernel drops it with the process. `<state>.pid` is for
 * people. @throws ReflashError `StateLocked` naming the other process.
 */
export function lockState(path: string): { release: () => void } {
  const lock = `${path}.lock`
  const pidFile = `${path}.pid`
  let connection: DatabaseSync | undefined
  try {
    createPrivate(lock)
    connection = new DatabaseSync(lock, { timeout: 0 })
    connection.exec('PRAGMA journal_mode=MEMORY; PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE')
    rmSync(pidFile, { force: true })
    writeFileSync(pidFile, `${pid}\n`, { mode: 0o600 })
  } catch (error) {
    connection?.close()
    if (resultCodeOf(error) === busy) throw locked(path, pidFile, error)
    throw stateError(lock, error)
  }
  const held = connection
  return {
    release: () => {
      if (!held.isOpen) return
      rmSync(pidFile, { force: true })
      held.close()
    },
  }
}

/** Never opens a file that is there: closing it again would drop the lock that this process may hold on it. */
function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function locked(path: string, pidFile: string, cause: unknown): ReflashError {
  let holder = 'another process'
  try {
    const text = readFileSync(pidFile, 'utf8').trim()
    if (/^\d{1,10}$/.test(text)) holder = `process ${text}`
  } catch {
    // It holds the lock and has not yet said who it is.
  }
  return new ReflashError('StateLocked', `state file ${path} is in use by ${holder}: one process at a time`, {
    cause,
  })
}
