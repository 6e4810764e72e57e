import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import type { DiskStep } from './disk-trace.ts'

/** What of the bytes that were written, and not yet flushed, a power cut leaves. */
export type Leaves =
  /** Nothing. */
  | 'flushed'
  /** All but the last write, of which the first half arrived, and what the disk chose of the others. */
  | 'torn'

type Change = { offset: number; bytes: Buffer } | { size: number }

interface File {
  /** What is safe, in the first `size` bytes. */
  safe: Buffer
  size: number
  /** Written, and not yet flushed. */
  pending: Change[]
}

/** Disks write sectors whole. */
const sectorBytes = 512

const apply = (file: Pick<File, 'safe' | 'size'>, change: Change): void => {
  if ('size' in change) {
    if (change.size < file.size) file.safe.fill(0, change.size, file.size)
    file.size = change.size
    return
  }
  const end = change.offset + change.bytes.length
  if (end > file.safe.length) file.safe = Buffer.concat([file.safe, Buffer.alloc(end * 2 - file.safe.length)])
  change.bytes.copy(file.safe, change.offset)
  file.size = Math.max(file.size, end)
}

/**
 * One folder on a disk that keeps only what was flushed: bytes by a flush of their file, names by one of their folder.
 * It begins with what lies in the folder now.
 */
export const createFragileDisk = (folder: string) => {
  const names = new Map<string, File>()
  for (const name of readdirSync(folder)) {
    const safe = readFileSync(join(folder, name))
    names.set(name, { safe, size: safe.length, pending: [] })
  }
  let safeNames = new Map(names)
  const fileAt = (path: string): File | undefined =>
    dirname(path) === folder ? names.get(basename(path)) : undefined

  return {
    /** Goes one step on; steps elsewhere are none of its business. */
    apply(step: DiskStep): void {
      switch (step.kind) {
        case 'open':
          if (dirname(step.path) !== folder) return
          if (step.creates && !fileAt(step.path))
            names.set(basename(step.path), { safe: Buffer.alloc(0), size: 0, pending: [] })
          if (step.empties) fileAt(step.path)?.pending.push({ size: 0 })
          return
        case 'write':
        case 'truncate':
          fileAt(step.path)?.pending.push(step)
          return
        case 'rename': {
          const file = fileAt(step.from)
          if (!file) return
          names.delete(basename(step.from))
          names.set(basename(step.to), file)
          return
        }
        case 'unlink':
          if (dirname(step.path) === folder) names.delete(basename(step.path))
          return
        case 'sync': {
          if (step.path === folder) safeNames = new Map(names)
          const file = fileAt(step.path)
          for (const change of file?.pending.splice(0) ?? []) apply(file!, change)
          return
        }
        case 'say':
      }
    },
    /** Whether the flush of this path makes something safe here. */
    isFlushedBy: (path: string): boolean => path === folder || fileAt(path) !== undefined,
    /** Puts what a power cut would leave at this moment into an empty folder. */
    cutPower(into: string, leaves: Leaves, random: SeededRandom): void {
      rmSync(into, { recursive: true, force: true })
      mkdirSync(into)
      for (const [name, file] of safeNames) {
        const left = { safe: file.safe, size: file.size }
        if (leaves === 'torn' && file.pending.length > 0) {
          left.safe = Buffer.from(file.safe)
          for (const change of file.pending.slice(0, -1)) if (random.chance(0.7)) apply(left, change)
          const last = file.pending.at(-1)!
          if ('bytes' in last) {
            const half = Math.floor(last.bytes.length / 2 / sectorBytes) * sectorBytes
            apply(left, { offset: last.offset, bytes: last.bytes.subarray(0, half) })
          }
        }
        writeFileSync(join(into, name), left.safe.subarray(0, left.size))
      }
    },
  }
}
