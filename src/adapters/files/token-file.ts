/** The file that says which tokens the API accepts: a list in YAML or JSON, for the owner's eyes only. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { stringify } from 'yaml'
import { readTokenEntries, type TokenEntry } from '../../core/api-token.ts'
import { messageOf, ReflashError } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import type { TokenSource } from '../../ports/token-source.ts'
import { formatDiagnostic, inFile, type Finding } from './diagnostic.ts'
import { readYaml } from './yaml-text.ts'

const lookIntervalMs = 1000
const maxBytes = 1024 * 1024

/**
 * Reads the file, and again when it has changed, at most once a second. One that was replaced by a bad one is told of
 * and not used. @throws ReflashError `Invalid`.
 */
export function openTokenFile(
  path: string,
  { clock, onError }: { clock: Clock; onError: (why: string) => void },
): TokenSource {
  let stamp = stampOf(path)
  let tokens = byId(readTokenFile(path, clock.now()))
  let lookedAtMs = clock.monotonic()
  const look = (): void => {
    if (clock.monotonic() - lookedAtMs < lookIntervalMs) return
    lookedAtMs = clock.monotonic()
    const now = stampOf(path)
    if (now === stamp) return
    stamp = now
    try {
      tokens = byId(readTokenFile(path, clock.now()))
    } catch (error) {
      onError(`${messageOf(error)}; the tokens from before stay in use`)
    }
  }
  return {
    find(id) {
      look()
      return tokens.get(id)
    },
  }
}

const byId = (entries: readonly TokenEntry[]): Map<string, TokenEntry> =>
  new Map(entries.map((entry) => [entry.id, entry]))

/** Changes when the file is written or replaced, or its mode or owner changes. */
function stampOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  return found ? `${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}` : 'absent'
}

function readTokenFile(path: string, now: number): TokenEntry[] {
  return readTokenText(path, readOwnFile(path), now)
}

function readTokenText(path: string, text: string, now: number): TokenEntry[] {
  const contents: unknown[] = []
  const unreadable: Finding[] = []
  // Its words do not quote the text, which may hold what is no hash.
  const broken = readYaml(text, (document) => {
    if (!document.isEmpty) contents.push(document.read(unreadable))
  })
  const [finding] = [...broken, ...unreadable]
  if (finding) throw new ReflashError('Invalid', `token file ${formatDiagnostic(inFile(path, finding))}`)
  if (contents.length > 1) throw problem(path, 'has more than one document')
  try {
    return readTokenEntries(contents[0] ?? [], now)
  } catch (error) {
    throw problem(path, messageOf(error), error)
  }
}

function readOwnFile(path: string): string {
  let handle: number | undefined
  try {
    handle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const { mode, uid, size } = fstatSync(handle)
    const why = ownershipProblem({ mode, uid })
    if (why !== undefined) throw problem(path, why)
    if (size > maxBytes) throw problem(path, `is larger than ${maxBytes / 1024} KiB`)
    const buffer = Buffer.alloc(size)
    return buffer.toString('utf8', 0, readSync(handle, buffer))
  } catch (error) {
    if (error instanceof ReflashError) throw error
    throw problem(path, `cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`, error)
  } finally {
    if (handle !== undefined) closeSync(handle)
  }
}

/** As ssh asks of a private key: a file that others can write lets them in. */
function ownershipProblem({ mode, uid }: { mode: number; uid: number }): string | undefined {
  if ((mode & constants.S_IFMT) !== constants.S_IFREG) return 'is no file'
  if (uid !== 0 && uid !== userInfo().uid) return 'belongs to another user'
  if ((mode & 0o077) !== 0)
    return `can be read or written by others (mode ${(mode & 0o777).toString(8)}): chmod 600`
  return undefined
}

const problem = (path: string, why: string, cause?: unknown): ReflashError =>
  new ReflashError('Invalid', `token file ${path} ${why}`, { cause })

/** How a token stands in the file. */
export const entryText = (entry: TokenEntry): string => stringify([entry])

/** A list can be written so that an entry at its end does not fit: in brackets, or further to the right. */
function requireOneMore(
  path: string,
  { text, count, now }: { text: string; count: number; now: number },
): void {
  try {
    if (readTokenText(path, text, now).length === count) return
  } catch {
    // The same words: whatever it has become, it is not what it should be.
  }
  throw problem(path, 'is written in another way: leave --file out, and add the entry by hand')
}

/** Adds a token to the file, which is created if need be. @throws ReflashError `Invalid`, and changes nothing then. */
export async function addToTokenFile(path: string, entry: TokenEntry, now: number): Promise<void> {
  const before = stampOf(path) === 'absent' ? '' : readOwnFile(path)
  const known = readTokenText(path, before, now)
  if (known.some(({ id }) => id === entry.id)) {
    throw problem(path, `has a token ${entry.id} already: remove it, or choose another --id`)
  }
  const text = known.length === 0 ? entryText(entry) : `${before.trimEnd()}\n${entryText(entry)}`
  requireOneMore(path, { text, count: known.length + 1, now })
  // Whoever reads it meanwhile sees the old one or the new one, and a crash leaves one of them.
  const next = `${path}.new`
  try {
    await using handle = await open(next, 'wx', 0o600)
    await handle.writeFile(text)
    await handle.sync()
    await rename(next, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') await rm(next, { force: true })
    throw problem(
      path,
      `cannot be written: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`,
      error,
    )
  }
}
