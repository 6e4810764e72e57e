import {
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { ReflashError, messageOf } from '../../core/errors.ts'

/** What stands at the path of a state file: nothing, or something that may be one. */
export type Found = 'nothing' | 'file'

/** The path with the symlinks on its way resolved, so that one file has one name and one lock. Makes its folder (0700). */
export function prepareStatePath(path: string): string {
  const folder = dirname(resolve(path))
  return onDisk(`the folder ${folder} of the state file cannot be used`, () => {
    makeFolder(folder)
    return realStatePath(path)
  })
}

/** Step by step: Node's own `recursive` never ends where the system refuses to make anything, as in /proc. */
function makeFolder(folder: string): void {
  if (isFolder(folder)) return
  if (dirname(folder) !== folder) makeFolder(dirname(folder))
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    // Another process that starts may just have made it.
    if (!isFolder(folder)) throw error
  }
  syncFolder(dirname(folder))
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/** As `prepareStatePath`, for a folder that is there. */
function realStatePath(path: string): string {
  const place = join(realpathSync(dirname(resolve(path))), basename(path))
  return lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() ? realpathSync(place) : place
}

/** @throws ReflashError `StateUnusable` when something else than a file with content is there. */
export function lookAtStateFile(path: string): Found {
  // The log first: another process may be making the file, and then the log after it.
  const [log, found] = onDisk(`state file ${path} cannot be read`, () =>
    [`${path}-wal`, path].map((place) => statSync(place, { throwIfNoEntry: false })),
  )
  if (!found) {
    requireNoOrphan(path, log?.size ?? 0)
    return 'nothing'
  }
  if (!found.isFile()) throw unusable(`state file ${path} is not a file; name a file with --state`)
  if (found.size === 0) {
    throw unusable(
      `state file ${path} is empty, which no state is; restore it from a backup, or remove it to begin anew`,
    )
  }
  return 'file'
}

/** Without its file a write-ahead log would be played into whatever takes the file's place. */
function requireNoOrphan(path: string, logBytes: number): void {
  if (logBytes === 0) return
  throw unusable(
    `state file ${path} is missing, but its last changes are still in ${path}-wal; restore the file, or remove both to begin anew`,
  )
}

/** Kinds of file system whose locks and fsync cannot be relied on, by the number that statfs gives. */
const networkFileSystems: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xff534d42: 'CIFS',
  0xfe534d42: 'SMB2',
  0x01021997: '9p',
  0x65735546: 'FUSE',
}

/** @throws ReflashError `StateUnusable` on a network file system. */
export function requireLocalDisk(
  path: string,
  typeOf = (folder: string): number => statfsSync(folder).type,
): void {
  // 32 bits, whatever sign the system gives them.
  const type = onDisk(`state file ${path} cannot be used`, () => typeOf(dirname(path))) >>> 0
  const name = networkFileSystems[type]
  if (name === undefined) return
  throw unusable(
    `state file ${path} is on a network file system (${name}), where a lock protects nothing; use a local disk`,
  )
}

/**
 * Makes the file with `fill`, which gets the path of an empty one (0600), in one step: after a kill or a power cut there
 * is the whole file or none. Only the holder of the lock may call it.
 */
export function createDurably(path: string, fill: (path: string) => void): void {
  const draft = `${path}.new`
  onDisk(`state file ${path} cannot be created`, () => {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(draft + suffix, { force: true })
    const file = openSync(draft, 'wx', 0o600)
    try {
      fill(draft)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(draft, path)
    syncFolder(dirname(path))
  })
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

const unusable = (message: string, cause?: unknown): ReflashError =>
  new ReflashError('StateUnusable', message, { cause })

function onDisk<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof ReflashError) throw error
    throw unusable(`${what} (${messageOf(error)})`, error)
  }
}
