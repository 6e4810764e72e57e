import { createHash } from 'node:crypto'
import { ReflashError } from '../core/errors.ts'
import type { ImageStore, StoredImage } from '../ports/image-store.ts'
import { readMetadata } from '../upgraders/openwrt/image-metadata.ts'

const chunkBytes = 16 * 1024

/** Images in memory, by the path that a manifest declares: no input or output, so that it works in virtual time. */
export const createMemoryImages = (files: ReadonlyMap<string, Buffer>): ImageStore => {
  const fetched = new Map<string, Buffer>()
  const checked = new Map<Buffer, StoredImage>()

  const store = async (file: Buffer, expected: string | undefined): Promise<StoredImage> => {
    const known = checked.get(file)
    const sha256 = known?.sha256 ?? createHash('sha256').update(file).digest('hex')
    if (expected !== undefined && expected !== sha256)
      throw new ReflashError('DigestMismatch', `the file has ${sha256}, declared is ${expected}`)
    fetched.set(sha256, file)
    if (known) return known
    const read = async (offset: number, length: number) => file.subarray(offset, offset + length)
    const { metadata } = await readMetadata({ sizeBytes: file.length, read })
    const image = { sha256, sizeBytes: file.length, ...(metadata && { metadata }) }
    checked.set(file, image)
    return image
  }

  return {
    fetch: async ({ path, sha256 }, signal) => {
      signal.throwIfAborted()
      const file = path === undefined ? undefined : files.get(path)
      if (file === undefined) throw new ReflashError('NotFound', `there is no file ${path}`)
      return store(file, sha256)
    },
    prune: async (keep) => {
      for (const sha256 of fetched.keys()) if (!keep.has(sha256)) fetched.delete(sha256)
      return 0
    },
    open: async function* (sha256, signal) {
      const file = fetched.get(sha256)
      if (file === undefined) throw new ReflashError('NotFound', `image ${sha256} is not in the cache`)
      for (let at = 0; at < file.length; at += chunkBytes) {
        signal.throwIfAborted()
        yield file.subarray(at, at + chunkBytes)
      }
    },
  }
}
