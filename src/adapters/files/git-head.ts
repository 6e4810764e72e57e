import { lstat, readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

export interface GitState {
  /** Commit of HEAD, in hexadecimal; undefined on a branch without commits. */
  commit: string | undefined
  /** Whether git is writing the working tree or the index. */
  isLocked: boolean
}

/** These files are a line each, packed-refs a line per branch and tag. */
const maxBytes = 4 * 1024 * 1024

/**
 * Reads the state of the checkout that a folder lies in, without running git: nothing of a repository is ever executed.
 * Undefined when the folder is in no checkout.
 */
export async function readGitState(folder: string): Promise<GitState | undefined> {
  const gitFolder = await findGitFolder(folder)
  if (gitFolder === undefined) return undefined
  const [commit, isLocked] = await Promise.all([readCommit(gitFolder), exists(join(gitFolder, 'index.lock'))])
  return { commit, isLocked }
}

async function findGitFolder(folder: string): Promise<string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    const place = join(at, '.git')
    const stats = await stat(place).catch(() => undefined)
    if (stats?.isDirectory() && (await exists(join(place, 'HEAD')))) return place
    // A worktree or submodule keeps its folder elsewhere and says where.
    const pointer = stats?.isFile() ? /^gitdir: (.+)$/m.exec((await readText(place)) ?? '')?.[1] : undefined
    if (pointer !== undefined) return resolve(at, pointer)
    if (at === dirname(at)) return undefined
  }
}

async function readCommit(gitFolder: string): Promise<string | undefined> {
  const head = (await readText(join(gitFolder, 'HEAD')))?.trim() ?? ''
  const ref = /^ref: (refs\/.+)$/.exec(head)?.[1]
  if (ref === undefined) return commitIn(head)
  if (ref.split('/').includes('..')) return undefined
  // Branches of a worktree are kept with those of its repository.
  const common = (await readText(join(gitFolder, 'commondir')))?.trim()
  const refFolder = common === undefined ? gitFolder : resolve(gitFolder, common)
  const loose = await readText(join(refFolder, ref))
  if (loose !== undefined) return commitIn(loose.trim())
  const packed = (await readText(join(refFolder, 'packed-refs'))) ?? ''
  const line = packed.split('\n').find((text) => text.endsWith(` ${ref}`))
  return line === undefined ? undefined : commitIn(line.slice(0, line.indexOf(' ')))
}

const commitIn = (text: string): string | undefined =>
  /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(text) ? text : undefined

async function readText(path: string): Promise<string | undefined> {
  try {
    const stats = await stat(path)
    return stats.isFile() && stats.size <= maxBytes ? await readFile(path, 'utf8') : undefined
  } catch {
    // Absent or unreadable: a label is a convenience.
    return undefined
  }
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  )
