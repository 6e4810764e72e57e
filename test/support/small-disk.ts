import { execFile } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A file system of its own, so small that it can be filled. */
export interface SmallDisk {
  /** Leaves no byte free. */
  fill(): void
  /** Gives back all that `fill` took. */
  free(): void
  unmount(): Promise<void>
}

const run = promisify(execFile)

/** Mounts one on a folder. Needs root, and Linux. */
export async function mountSmallDisk(folder: string, sizeBytes: number): Promise<SmallDisk> {
  await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes},mode=700`, 'reflash-test', folder])
  const filler = join(folder, 'filler')
  return {
    fill: () => {
      const file = openSync(filler, 'a')
      try {
        // Each round is for what the one before found no room for.
        for (const bytes of [65_536, 4096, 1]) while (hasWritten(file, bytes));
      } finally {
        closeSync(file)
      }
    },
    free: () => rmSync(filler, { force: true }),
    unmount: async () => void (await run('umount', ['--lazy', folder])),
  }
}

function hasWritten(file: number, bytes: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(bytes)) === bytes
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}
