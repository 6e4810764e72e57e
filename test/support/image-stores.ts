import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { type ImageStoreOptions, createImageStore } from '../../src/adapters/images/image-store.ts'
import { readMetadata } from '../../src/upgraders/openwrt/image-metadata.ts'

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Makes a folder that goes when the test ends. */
export const makeFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-images-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Writes a file, with its folders, that looks as if nobody had touched it for an hour. */
export const writeOld = async (path: string, bytes: Uint8Array | string): Promise<string> => {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, bytes)
  const hourAgo = Date.now() / 1000 - 3600
  await utimes(path, hourAgo, hourAgo)
  return path
}

/** An image store in folders of its own, with the manifests in `tree/site`. */
export const makeStore = async (options: Partial<ImageStoreOptions> = {}) => {
  const root = await makeFolder()
  const manifestFolder = join(root, 'tree', 'site')
  const imagesFolder = join(root, 'images')
  const cacheFolder = join(root, 'cache')
  await mkdir(manifestFolder, { recursive: true })
  await mkdir(imagesFolder)
  const namesIn = (folder: string) => readdir(join(cacheFolder, folder)).catch(() => [])
  return {
    store: createImageStore({ cacheFolder, imagesFolder, readMetadata, clock: systemClock, ...options }),
    root,
    manifestFolder,
    imagesFolder,
    cacheFolder,
    /** Digests in the cache. */
    kept: () => namesIn('sha256'),
    /** Files that are not finished. */
    unfinished: () => namesIn('partial'),
    /** Size of the one file that is not finished; 0 when there is none. */
    unfinishedBytes: async () => {
      const [name] = await namesIn('partial')
      return name === undefined ? 0 : (await stat(join(cacheFolder, 'partial', name))).size
    },
  }
}

export const drain = async (content: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const chunks: Uint8Array[] = []
  for await (const chunk of content) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** A signal that nobody aborts. */
export const never = new AbortController().signal
