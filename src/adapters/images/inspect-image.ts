import { createHash } from 'node:crypto'
import { open, stat } from 'node:fs/promises'
import { ReflashError } from '../../core/errors.ts'
import type { StoredImage } from '../../ports/image-store.ts'
import { fetchFailed } from './foreign-error.ts'
import { describeImage, readBytes, type ReadMetadata } from './image-cache.ts'
import { readFully } from './partial-file.ts'

/**
 * What the cache would say of a file, without taking it in.
 * @throws ReflashError `ImageInvalid`, `FetchFailed` for what cannot be read.
 */
export async function inspectImage(path: string, readMetadata: ReadMetadata): Promise<StoredImage> {
  try {
    // Before it is opened, since a pipe would wait for ever.
    if (!(await stat(path)).isFile()) throw new ReflashError('ImageInvalid', 'is not a regular file')
    await using handle = await open(path)
    const hash = createHash('sha256')
    let sizeBytes = 0
    for (;;) {
      const chunk = await readFully(handle, sizeBytes, readBytes)
      if (chunk.length === 0) break
      hash.update(chunk)
      sizeBytes += chunk.length
    }
    const read = (offset: number, length: number) => readFully(handle, offset, length)
    return await describeImage(hash.digest('hex'), { sizeBytes, read }, readMetadata)
  } catch (error) {
    throw fetchFailed('cannot be read', error)
  }
}
