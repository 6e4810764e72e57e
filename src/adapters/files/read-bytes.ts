import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { SeenFile } from './snapshot.ts'
import { versionOf } from './scan.ts'

/**
 * The bytes of a file as a scan saw it; undefined when it has changed since. Cannot block, whatever the path has become.
 * @throws the error of the file system, `code` set, when it is there but cannot be read.
 */
export async function readBytes({ realPath, sizeBytes, version }: SeenFile): Promise<Uint8Array | undefined> {
  try {
    await using handle = await open(
      realPath,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    )
    if (versionOf(await handle.stat({ bigint: true })) !== version) return undefined
    // One byte more than expected, so that growth is seen without reading on.
    const buffer = Buffer.alloc(sizeBytes + 1)
    let length = 0
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length)
      length += bytesRead
      if (bytesRead === 0 || length === buffer.length) break
    }
    const isSame = length === sizeBytes && versionOf(await handle.stat({ bigint: true })) === version
    return isSame ? buffer.subarray(0, length) : undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR' || code === 'ENXIO') return undefined
    throw error
  }
}
