import { constants } from 'node:fs'
import { open, readdir, realpath } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { isSubdomain } from '../../api/metadata.ts'
import { ReflashError } from '../../core/errors.ts'

const maxBytes = 64 * 1024

/**
 * Reads the Secret `<folder>/<name>/<key>`, as a cluster mounts it: keys may be links into the hidden folder that
 * `..data` points to. Undefined when there is no such folder.
 * @throws ReflashError `CredentialsInvalid`, `NotFound`.
 */
export async function readMountedSecret(
  folder: string,
  name: string,
): Promise<Record<string, string> | undefined> {
  // Anything else could be a path.
  if (!isSubdomain(name)) return undefined
  try {
    const root = await realpath(folder)
    const place = await currentFolder(join(root, name))
    if (place === undefined) return undefined
    if (!isInside(place, root)) throw invalid(name, 'leads out of the folder of mounted Secrets')
    const keys = (await readdir(place)).filter((key) => !key.startsWith('.'))
    const entries = await Promise.all(
      keys.map(async (key): Promise<[string, string]> => [
        key,
        await readEntry(name, join(place, key), root),
      ]),
    )
    return Object.fromEntries(entries)
  } catch (error) {
    if (error instanceof ReflashError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new ReflashError('NotFound', `Secret ${name} cannot be read: ${code ?? 'unknown error'}`, {
      cause: error,
    })
  }
}

/** The folder that holds the keys now. `..data` is resolved once, so that all keys are of one version. */
async function currentFolder(place: string): Promise<string | undefined> {
  try {
    return await realpath(join(place, '..data')).catch(async (error: unknown) => {
      if (!isAbsent(error)) throw error
      const realPlace = await realpath(place)
      await readdir(realPlace)
      return realPlace
    })
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

const isAbsent = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')

async function readEntry(name: string, path: string, root: string): Promise<string> {
  const realPath = await realpath(path)
  if (!isInside(realPath, root))
    throw invalid(name, 'has an entry that leads out of the folder of mounted Secrets')
  await using handle = await open(realPath, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  if (!(await handle.stat()).isFile()) throw invalid(name, 'has an entry that is no file')
  const buffer = Buffer.alloc(maxBytes + 1)
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
  if (bytesRead > maxBytes) throw invalid(name, `has an entry of more than ${maxBytes / 1024} KiB`)
  return buffer.toString('utf8', 0, bytesRead)
}

const isInside = (path: string, root: string): boolean => {
  const way = relative(root, path)
  return way !== '..' && !way.startsWith('../')
}

const invalid = (name: string, why: string): ReflashError =>
  new ReflashError('CredentialsInvalid', `Secret ${name} ${why}`)

/** Every Secret of a folder of mounted ones, by name; none without a folder. @throws ReflashError as for one. */
export async function readMountedSecrets(
  folder: string | undefined,
): Promise<Map<string, Readonly<Record<string, string>>>> {
  const secrets = new Map<string, Readonly<Record<string, string>>>()
  if (folder === undefined) return secrets
  for (const name of await namesIn(folder)) {
    const entries = name.startsWith('.') ? undefined : await readMountedSecret(folder, name)
    if (entries) secrets.set(name, entries)
  }
  return secrets
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    throw new ReflashError('NotFound', `the folder of Secrets ${folder} cannot be read`, { cause: error })
  }
}
