import { constants } from 'node:fs'
import { type FileHandle, lstat, open, realpath } from 'node:fs/promises'
import { isAbsolute, join, relative, sep } from 'node:path'
import { ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import { codeOf, fetchFailed } from './foreign-error.ts'

export interface LocalFolders {
  /** Absolute folder of the manifest. */
  manifestFolder?: string | undefined
  /** Absolute folder of the operator's images, looked into after that of the manifest. */
  imagesFolder?: string | undefined
  /** Where symbolic links of the manifest's folder may lead; default: that folder. */
  treeRoot?: string | undefined
}

export interface LocalFile {
  handle: FileHandle
  /** Path without symbolic links. */
  realPath: string
  sizeBytes: number
}

const maxDepth = 16

/**
 * Opens an image that a manifest names, beside the manifest or else in the images folder, and in neither case anything
 * outside. The caller closes the handle.
 * @throws ReflashError `PathOutsideRoot`, `NotFound`, `ImageInvalid` for what is no regular file, `FetchFailed` for what
 * cannot be read.
 */
export async function openLocalFile(path: string, folders: LocalFolders): Promise<LocalFile> {
  checkPath(path)
  const { manifestFolder, imagesFolder, treeRoot } = folders
  const places = [
    { folder: manifestFolder, root: treeRoot ?? manifestFolder },
    { folder: imagesFolder, root: imagesFolder },
  ]
  for (const { folder, root } of places) {
    if (folder === undefined || root === undefined) continue
    const realPath = await resolveInside(path, folder, root)
    if (realPath !== undefined) return openRegular(path, realPath)
  }
  const where = imagesFolder === undefined ? '' : ' nor in the images folder'
  throw new ReflashError('NotFound', `there is no file ${shown(path)} beside the manifest${where}`)
}

/** Names a file's content without reading it: any write or exchange of the file changes it. */
export async function identityOf(
  handle: FileHandle,
): Promise<{ identity: string; modifiedMs: number; sizeBytes: number }> {
  const { dev, ino, size, mtimeNs, ctimeNs, mtimeMs } = await handle.stat({ bigint: true })
  return {
    identity: [dev, ino, size, mtimeNs, ctimeNs].join(':'),
    modifiedMs: Number(mtimeMs),
    sizeBytes: Number(size),
  }
}

function checkPath(path: string): void {
  const segments = path.split('/')
  const isBad = path.includes('\0') || isAbsolute(path) || segments.includes('..')
  if (isBad || segments.length > maxDepth) {
    throw outside(path, `must be relative, without "..", and at most ${maxDepth} folders deep`)
  }
}

async function resolveInside(path: string, folder: string, root: string): Promise<string | undefined> {
  try {
    const [realPath, realRoot] = await Promise.all([realpath(join(folder, path)), realpath(root)])
    if (!isInside(realPath, realRoot)) throw outside(path, 'leads out of its folder')
    return realPath
  } catch (error) {
    switch (codeOf(error)) {
      case 'ENOENT':
      case 'ENOTDIR':
      case 'ENAMETOOLONG':
        return undefined
      case 'ELOOP':
        throw outside(path, 'is a symbolic link that leads to itself', error)
      default:
        throw fetchFailed(`the file ${shown(path)} cannot be found`, error)
    }
  }
}

async function openRegular(path: string, realPath: string): Promise<LocalFile> {
  let handle: FileHandle | undefined
  try {
    // Looked at before it is opened, since opening a device can have effects, and after it, since it may have changed.
    if (!(await lstat(realPath)).isFile()) throw notRegular(path)
    handle = await open(realPath, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const stats = await handle.stat()
    if (!stats.isFile()) throw notRegular(path)
    return { handle, realPath, sizeBytes: stats.size }
  } catch (error) {
    await handle?.close()
    if (codeOf(error) === 'ELOOP') throw outside(path, 'became a symbolic link', error)
    throw fetchFailed(`the file ${shown(path)} cannot be read`, error)
  }
}

function isInside(path: string, root: string): boolean {
  const way = relative(root, path)
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

const shown = (path: string): string => `"${printable(path, 200)}"`

const outside = (path: string, why: string, cause?: unknown): ReflashError =>
  new ReflashError('PathOutsideRoot', `the path ${shown(path)} ${why}`, { cause })

const notRegular = (path: string): ReflashError =>
  new ReflashError('ImageInvalid', `${shown(path)} is not a regular file`)
