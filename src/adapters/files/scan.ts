import type { BigIntStats, Dirent } from 'node:fs'
import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { finding } from './diagnostic.ts'
import { readGitState } from './git-head.ts'
import { mapInBatches } from './map-in-batches.ts'
import type { Refusal, SeenFile, Snapshot } from './snapshot.ts'
import { visible } from './visible.ts'

const maxFileBytes = 1024 * 1024
const maxTotalBytes = 64 * 1024 * 1024
const maxFiles = 20_000
const maxFolderDepth = 16

const isManifestName = (name: string): boolean =>
  /\.(ya?ml|json)$/.test(name) && !/^kustomization\.ya?ml$/.test(name)

/**
 * Looks at a directory of manifests: every file that may hold some, read by nobody yet. Hidden names are left out,
 * symbolic links are followed within the directory only, and nothing that could block is opened. Never rejects.
 */
export async function scan(directory: string): Promise<Snapshot> {
  const root = await realpath(directory).catch((error: unknown) => error as NodeJS.ErrnoException)
  if (typeof root !== 'string') {
    const isGone = root.code === 'ENOENT' || root.code === 'ENOTDIR'
    return {
      root: undefined,
      files: new Map(),
      refused: isGone ? [] : [unreadable('.', root)],
      label: undefined,
      unsettled: undefined,
    }
  }
  const before = await readGitState(root)
  const walk = createWalk(root)
  await walk.run()
  const after = await readGitState(root)
  const isLocked = before?.isLocked === true || after?.isLocked === true
  return {
    root,
    ...withinLimits(walk.files, walk.refused),
    label: after?.commit,
    unsettled: isLocked ? 'git is writing: .git/index.lock is there' : undefined,
  }
}

interface Folder {
  path: string
  realPath: string
  depth: number
}

interface Link {
  path: string
  depth: number
}

interface Walk {
  files: Map<string, SeenFile>
  refused: Refusal[]
  run(): Promise<void>
}

function createWalk(root: string): Walk {
  const files = new Map<string, SeenFile>()
  const refused: Refusal[] = []
  // What has been seen under its own name is not taken once more through a link.
  const seenPaths = new Set<string>()
  const links: Link[] = []

  async function walkFolder(start: Folder): Promise<void> {
    const folders = [start]
    for (let folder = folders.pop(); folder; folder = folders.pop()) {
      if (seenPaths.has(folder.realPath)) continue
      seenPaths.add(folder.realPath)
      if (folder.depth > maxFolderDepth) {
        refused.push({
          path: folder.path,
          problem: finding('TooDeep', `is more than ${maxFolderDepth} folders deep`),
        })
        continue
      }
      const { path, realPath, depth } = folder
      const entries = await list(folder)
      await mapInBatches(entries, async ({ entry, name }) => {
        const place = join(path, name)
        const realPlace = join(realPath, name)
        if (entry.isDirectory() && !isManifestName(name))
          folders.push({ path: place, realPath: realPlace, depth: depth + 1 })
        else if (entry.isSymbolicLink()) links.push({ path: place, depth: depth + 1 })
        else if (isManifestName(name)) await addFile(place, realPlace)
      })
    }
  }

  async function list(folder: Folder): Promise<{ entry: Dirent<Buffer>; name: string }[]> {
    let entries: Dirent<Buffer>[]
    try {
      entries = await readdir(folder.realPath, { withFileTypes: true, encoding: 'buffer' })
    } catch (error) {
      refused.push(unreadable(folder.path, error))
      return []
    }
    const named: { entry: Dirent<Buffer>; name: string }[] = []
    for (const entry of entries) {
      const name = entry.name.toString('utf8')
      if (name.startsWith('.')) continue
      if (Buffer.from(name, 'utf8').equals(entry.name)) named.push({ entry, name })
      else if (isManifestName(name) || !entry.isFile()) {
        const path = join(folder.path, entry.name.toString('latin1'))
        refused.push({ path, problem: finding('BadName', 'has a name that is not UTF-8') })
      }
    }
    return named
  }

  async function addFile(path: string, realPath: string): Promise<void> {
    if (seenPaths.has(realPath)) return
    seenPaths.add(realPath)
    try {
      const stats = await lstat(realPath, { bigint: true })
      if (!stats.isFile())
        refused.push({ path, problem: finding('NotRegularFile', `is ${typeWords(stats)}, not a file`) })
      else if (stats.size > maxFileBytes) {
        refused.push({
          path,
          problem: finding('TooLarge', `is larger than ${maxFileBytes / 1024 / 1024} MiB`),
        })
      } else files.set(path, { path, realPath, sizeBytes: Number(stats.size), version: versionOf(stats) })
    } catch (error) {
      refused.push(unreadable(path, error))
    }
  }

  /** Takes what links lead to, once everything has been seen under its own name. */
  async function followLinks(): Promise<void> {
    for (let link = links.shift(); link; link = links.shift()) {
      const { path, depth } = link
      let realPath: string
      try {
        realPath = await realpath(join(root, path))
        const stats = await stat(realPath)
        const isManifest = isManifestName(basename(path))
        if (!stats.isDirectory() && !isManifest) continue
        if (!isInside(realPath, root)) refused.push(refusedLink(path, 'leads out of the directory'))
        else if (stats.isDirectory() && !isManifest) await walkFolder({ path, realPath, depth })
        else await addFile(path, realPath)
      } catch (error) {
        const isLoop = (error as NodeJS.ErrnoException).code === 'ELOOP'
        refused.push(
          refusedLink(path, isLoop ? 'is a link to itself' : 'is a link to nothing that can be read'),
        )
      }
      links.sort(byPath)
    }
  }

  return {
    files,
    refused,
    run: async () => {
      await walkFolder({ path: '', realPath: root, depth: 0 })
      links.sort(byPath)
      await followLinks()
    },
  }
}

const byPath = (a: { path: string }, b: { path: string }): number =>
  a.path < b.path ? -1 : a.path > b.path ? 1 : 0

/** Files and refusals in order; of a directory beyond its limits no file at all, since half of one is no revision. */
function withinLimits(files: Map<string, SeenFile>, refused: Refusal[]): Pick<Snapshot, 'files' | 'refused'> {
  const totalBytes = [...files.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const tooMany = files.size > maxFiles ? `has ${files.size} files, more than ${maxFiles}` : undefined
  const tooLarge =
    totalBytes > maxTotalBytes
      ? `has ${totalBytes} bytes of manifests, more than ${maxTotalBytes / 1024 / 1024} MiB`
      : undefined
  const problem = tooMany ?? tooLarge
  if (problem !== undefined)
    return { files: new Map(), refused: [{ path: '.', problem: finding('TooLarge', problem) }] }
  const ordered = [...files.values()].sort(byPath).map((file): [string, SeenFile] => [file.path, file])
  return { files: new Map(ordered), refused: refused.sort(byPath) }
}

const refusedLink = (path: string, why: string): Refusal => ({
  path,
  problem: finding('SymlinkRefused', why),
})

const unreadable = (path: string, error: unknown): Refusal => {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException
  return {
    path: path === '' ? '.' : path,
    problem: finding('Unreadable', `cannot be read: ${visible(code)}`),
  }
}

/** Any write, exchange or change of mode gives another one. */
export const versionOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join(':')

function typeWords(stats: BigIntStats): string {
  if (stats.isDirectory()) return 'a folder'
  if (stats.isFIFO()) return 'a named pipe'
  if (stats.isSocket()) return 'a socket'
  return stats.isSymbolicLink() ? 'a symbolic link' : 'a device'
}

function isInside(path: string, root: string): boolean {
  const way = relative(root, path)
  return way !== '..' && !way.startsWith('../') && !way.startsWith('/')
}
