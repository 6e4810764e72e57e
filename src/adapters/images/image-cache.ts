import { createHash } from 'node:crypto'
import { type FileHandle, chmod, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ReflashError } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ImageFile, ImageMetadata, StoredImage } from '../../ports/image-store.ts'
import { codeOf, fetchFailed } from './foreign-error.ts'
import { createHeldContent, type Loan } from './held-content.ts'
import { identityOf } from './local-file.ts'
import { type PartialFile, createPartialFile, readFully } from './partial-file.ts'

export type ReadMetadata = (file: ImageFile) => Promise<{ metadata?: ImageMetadata }>

export interface ImageCacheOptions {
  folder: string
  maxBytes: number
  readMetadata: ReadMetadata
  clock: Clock
}

/** Files under the SHA-256 of their content. What is in place has been whole once; damage since then is found. */
export interface ImageCache {
  /** The image, if it is here and its bytes are still right; a damaged file is dropped. */
  find(sha256: string, signal: AbortSignal): Promise<StoredImage | undefined>
  /** A new file to fill; the caller discards it in any case. */
  create(): Promise<PartialFile>
  /** Checks a filled file and puts it in place. @throws ReflashError `DigestMismatch`, `ImageInvalid`, `FetchFailed`. */
  keep(partial: PartialFile, expected: string | undefined): Promise<StoredImage>
  /** As `ImageStore.open`. */
  open(sha256: string, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Removes all but these, and what was asked for a moment ago; returns the bytes freed. */
  prune(keep: ReadonlySet<string>): Promise<number>
}

/** Who has just been given an image gets the time to write its digest down before it can be pruned. */
const pruneGraceMs = 10 * 60_000
/** What is sent goes in pieces that a session can take. */
const chunkBytes = 64 * 1024
/** What is only read through goes in few, since each waits for a turn of a busy event loop. */
export const readBytes = 256 * 1024
/** Two or three images of usual size; what is beyond is read from the disk for every device. */
const maxHeldBytes = 32 * 1024 * 1024

const digestPattern = /^[0-9a-f]{64}$/

export const isDigest = (text: string): boolean => digestPattern.test(text)

export const digestMismatch = (found: string, expected: string): ReflashError =>
  new ReflashError('DigestMismatch', `the image has the SHA-256 ${found}, expected is ${expected}`)

export function createImageCache({ folder, maxBytes, readMetadata, clock }: ImageCacheOptions): ImageCache {
  const keptFolder = join(folder, 'sha256')
  const partialFolder = join(folder, 'partial')
  /** Files whose bytes this process has read and found right, as they were then. */
  const verified = new Map<string, { identity: string; image: StoredImage }>()
  const lastAskedMs = new Map<string, number>()
  const held = createHeldContent(maxHeldBytes)
  let prepared: Promise<void> | undefined

  const pathOf = (sha256: string): string => join(keptFolder, sha256)

  const ready = async (): Promise<void> => {
    prepared ??= prepare([folder, keptFolder, partialFolder], partialFolder)
    try {
      await prepared
    } catch (error) {
      prepared = undefined
      throw fetchFailed('the image cache cannot be used', error)
    }
  }

  const drop = async (sha256: string): Promise<void> => {
    verified.delete(sha256)
    await rm(pathOf(sha256), { force: true })
  }

  const verify = async (sha256: string, handle: FileHandle, signal: AbortSignal) => {
    const { identity } = await identityOf(handle)
    const known = verified.get(sha256)
    if (known?.identity === identity) return known.image
    const hash = createHash('sha256')
    let sizeBytes = 0
    for await (const chunk of chunksOf(handle, readBytes, signal)) {
      hash.update(chunk)
      sizeBytes += chunk.length
    }
    if (hash.digest('hex') !== sha256) {
      await drop(sha256)
      return undefined
    }
    const file = { sizeBytes, read: (offset: number, length: number) => readFully(handle, offset, length) }
    const image = await describeImage(sha256, file, readMetadata)
    verified.set(sha256, { identity, image })
    return image
  }

  async function* stream(sha256: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    signal.throwIfAborted()
    const handle = isDigest(sha256) ? await openIfThere(pathOf(sha256)) : undefined
    if (!handle) throw new ReflashError('NotFound', `no image with the SHA-256 ${sha256} is in the cache`)
    let loan: Loan | undefined
    try {
      const { identity, sizeBytes } = await identityOf(handle)
      loan = await held.borrow(`${sha256} ${identity}`, sizeBytes, async () => {
        const content = await readFully(handle, 0, sizeBytes)
        return createHash('sha256').update(content).digest('hex') === sha256 ? content : damaged(sha256)
      })
      yield* loan ? piecesOf(loan.content, signal) : streamFromDisk(sha256, handle, signal)
    } catch (error) {
      throw signal.aborted ? signal.reason : fetchFailed('the image cache cannot be read', error)
    } finally {
      loan?.giveBack()
      await handle.close()
    }
  }

  async function* streamFromDisk(
    sha256: string,
    handle: FileHandle,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256')
    let last: Uint8Array | undefined
    for await (const chunk of chunksOf(handle, chunkBytes, signal)) {
      hash.update(chunk)
      if (last) yield last
      last = chunk
    }
    if (hash.digest('hex') !== sha256) await damaged(sha256)
    if (last) yield last
  }

  async function damaged(sha256: string): Promise<never> {
    await drop(sha256)
    throw new ReflashError('ImageInvalid', `the cached image ${sha256} was damaged; it has been dropped`)
  }

  return {
    find: async (sha256, signal) => {
      await ready()
      const handle = await openIfThere(pathOf(sha256))
      if (!handle) return undefined
      try {
        lastAskedMs.set(sha256, clock.monotonic())
        return await verify(sha256, handle, signal)
      } catch (error) {
        throw signal.aborted ? signal.reason : fetchFailed('the image cache cannot be read', error)
      } finally {
        await handle.close()
      }
    },
    create: async () => {
      await ready()
      return createPartialFile(partialFolder, maxBytes)
    },
    keep: async (partial, expected) => {
      const sha256 = partial.sha256()
      if (expected !== undefined && sha256 !== expected) throw digestMismatch(sha256, expected)
      const image = await describeImage(sha256, partial, readMetadata)
      lastAskedMs.set(sha256, clock.monotonic())
      await partial.commit(pathOf(sha256))
      return image
    },
    open: (sha256, signal) => ({ [Symbol.asyncIterator]: () => stream(sha256, signal) }),
    prune: async (keep) => {
      await ready()
      held.clear()
      const oldestMs = clock.monotonic() - pruneGraceMs
      let freedBytes = 0
      try {
        for (const name of await readdir(keptFolder)) {
          if (!isDigest(name) || keep.has(name) || (lastAskedMs.get(name) ?? -Infinity) > oldestMs) continue
          const { size } = await stat(pathOf(name))
          await drop(name)
          lastAskedMs.delete(name)
          freedBytes += size
        }
      } catch (error) {
        throw fetchFailed('the image cache cannot be pruned', error)
      }
      return freedBytes
    },
  }
}

/** @throws ReflashError `ImageInvalid` for an empty file, and for one whose metadata is damaged. */
export async function describeImage(
  sha256: string,
  file: ImageFile,
  readMetadata: ReadMetadata,
): Promise<StoredImage> {
  if (file.sizeBytes === 0) throw new ReflashError('ImageInvalid', 'the image is empty')
  const { metadata } = await readMetadata(file)
  return { sha256, sizeBytes: file.sizeBytes, ...(metadata && { metadata }) }
}

/** Makes the folders, and sweeps what a crash has left half written. */
async function prepare(folders: readonly string[], partialFolder: string): Promise<void> {
  for (const folder of folders) {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await chmod(folder, 0o700)
  }
  for (const name of await readdir(partialFolder)) await rm(join(partialFolder, name), { force: true })
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw fetchFailed('the image cache cannot be read', error)
  }
}

function* piecesOf(content: Uint8Array, signal: AbortSignal): Generator<Uint8Array> {
  for (let start = 0; start < content.length; start += chunkBytes) {
    signal.throwIfAborted()
    yield content.subarray(start, start + chunkBytes)
  }
}

/** The whole file, in chunks that the receiver may keep. */
export async function* chunksOf(
  handle: FileHandle,
  bytes: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let offset = 0
  for (;;) {
    signal.throwIfAborted()
    const chunk = await readFully(handle, offset, bytes)
    if (chunk.length === 0) return
    yield chunk
    offset += chunk.length
  }
}
