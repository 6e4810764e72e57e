import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const maxListBytes = 16 * 1024 * 1024

/** A copy of the tree to plant mistakes in. */
export interface Checkout {
  folder: string
  /** @throws Error when the patch does not apply. */
  plant(patch: string): Promise<void>
  /** Takes the patch out again. */
  mend(patch: string): Promise<void>
  remove(): Promise<void>
}

/** Copies the tree as it lies there, what is not committed included, and links what is installed. */
export async function copyTree(): Promise<Checkout> {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-bugs-'))
  const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    maxBuffer: maxListBytes,
  })
  for (const file of new Set(stdout.split('\0').filter((each) => each !== '')))
    await cp(join(root, file), join(folder, file)).catch(unlessMissing)
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  return {
    folder,
    plant: (patch) => apply(folder, [patch]),
    mend: (patch) => apply(folder, ['--reverse', patch]),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Whether a patch fits the tree. @throws Error saying where it does not. */
export const checkApplies = (patch: string): Promise<void> => apply(root, ['--check', patch])

async function apply(folder: string, args: readonly string[]): Promise<void> {
  // The copy may lie within another repository, whose folders the paths do not mean.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(folder) }
  await run('git', ['apply', '--whitespace=nowarn', ...args], { cwd: folder, env })
}

/** Applies a patch by three-way merge to the last commit. @returns The diff as it would be made today. */
export async function mergeAgain(patch: string, clone: string): Promise<string> {
  const git = (...args: string[]) => run('git', args, { cwd: clone, maxBuffer: maxListBytes })
  try {
    await git('apply', '--3way', '--whitespace=nowarn', patch)
    return (await git('diff', 'HEAD')).stdout
  } finally {
    await git('reset', '--quiet', '--hard')
  }
}

/** A clone of the last commit, made and removed for one piece of work. */
export async function withClone<T>(work: (clone: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-bugs-'))
  try {
    await run('git', ['clone', '--quiet', '--shared', root, folder])
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A file that was removed and is not committed as such is still in the list. */
function unlessMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}
