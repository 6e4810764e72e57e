import { type Hash, createHash, randomUUID } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ReflashError } from '../../core/errors.ts'
import type { ImageFile } from '../../ports/image-store.ts'
import { fetchFailed } from './foreign-error.ts'

/** A file on its way into the cache, hashed while it is written. Every method rejects with a ReflashError. */
export interface PartialFile extends ImageFile {
  /** @throws ReflashError `TooLarge` before it writes beyond the limit, `FetchFailed` when the disk does not take it. */
  append(bytes: Uint8Array): Promise<void>
  /** Drops what has been written so far. */
  restart(): Promise<void>
  /** SHA-256 of what has been written so far, in lower-case hex. */
  sha256(): string
  /** Moves the file to its place, durably. */
  commit(path: string): Promise<void>
  /** Closes the file, and removes it unless it was committed. Never throws. */
  discard(): Promise<void>
}

export const tooLarge = (sizeBytes: number | string, maxBytes: number): ReflashError =>
  new ReflashError('TooLarge', `the image has ${sizeBytes} bytes, at most ${maxBytes} are allowed`)

/** Opens a new file, readable by its owner alone and never written again once it is in place. */
export async function createPartialFile(folder: string, maxBytes: number): Promise<PartialFile> {
  const path = join(folder, randomUUID())
  const handle = await onDisk(() => open(path, 'wx+', 0o400))
  let hash: Hash = createHash('sha256')
  let sizeBytes = 0
  let committed = false

  return {
    get sizeBytes() {
      return sizeBytes
    },
    sha256: () => hash.copy().digest('hex'),
    read: (offset, length) => onDisk(() => readFully(handle, offset, length)),
    append: async (bytes) => {
      if (sizeBytes + bytes.length > maxBytes) throw tooLarge('more', maxBytes)
      await onDisk(() => writeFully(handle, sizeBytes, bytes))
      hash.update(bytes)
      sizeBytes += bytes.length
    },
    restart: async () => {
      await onDisk(() => handle.truncate(0))
      hash = createHash('sha256')
      sizeBytes = 0
    },
    commit: (target) =>
      onDisk(async () => {
        await handle.sync()
        await rename(path, target)
        committed = true
        await syncFolder(dirname(target))
      }),
    discard: async () => {
      await handle.close().catch(() => {})
      // What cannot be removed now is swept at the next start.
      if (!committed) await rm(path, { force: true }).catch(() => {})
    },
  }
}

/** Reads until `length` bytes are there or the file ends. */
export async function readFully(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, offset + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}

async function writeFully(handle: FileHandle, offset: number, bytes: Uint8Array): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, offset + written)
    written += bytesWritten
  }
}

/** A rename is durable only once its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function onDisk<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    throw fetchFailed('the image cache cannot be written', error)
  }
}
