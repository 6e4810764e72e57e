import { ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ImageRequest, ImageStore, StoredImage } from '../../ports/image-store.ts'
import { type DownloadLimits, download } from './download.ts'
import { fetchFailed } from './foreign-error.ts'
import { type HttpClientOptions, createHttpClient } from './http-client.ts'
import {
  type ReadMetadata,
  chunksOf,
  createImageCache,
  digestMismatch,
  isDigest,
  readBytes,
} from './image-cache.ts'
import { type LocalFile, identityOf, openLocalFile } from './local-file.ts'
import { tooLarge } from './partial-file.ts'
import { createSingleFlight } from './single-flight.ts'

export interface ImageStoreOptions {
  /** Absolute folder of the cache; made if it is not there. No other store may use it at the same time. */
  cacheFolder: string
  /** Absolute folder that `path` may also point into. */
  imagesFolder?: string
  /** Absolute root of the manifests: links beside a manifest may lead anywhere in it. Default: the manifest's folder. */
  treeRoot?: string
  /** Largest image. Default 64 MiB. */
  maxBytes?: number
  /**
   * Whether URLs may lead to loopback and private networks. Default true: operators host images in their LAN.
   * Link-local addresses and the metadata services of clouds are refused either way.
   */
  allowPrivateUrls?: boolean
  /** Reads an image's metadata; throws ReflashError `ImageInvalid`. */
  readMetadata: ReadMetadata
  clock: Clock
  /** Limits of downloads. Defaults: 30 min in all, 60 s without data, resumed 5 times. */
  limits?: Partial<Omit<DownloadLimits, 'maxBytes'>>
  /** How URLs are reached; by default as the environment and the system say. */
  http?: Omit<HttpClientOptions, 'allowPrivateUrls'>
}

const defaultLimits = { deadlineMs: 30 * 60_000, idleMs: 60_000, maxResumes: 5, resumePauseMs: 1000 }

/** A file written to this recently may change again within one tick of its timestamp. */
const settledMs = 2000

/** Images in a content-addressed folder, filled from files and from http and https servers. */
export function createImageStore(options: ImageStoreOptions): ImageStore {
  const { cacheFolder, readMetadata, clock, maxBytes = 64 * 1024 * 1024, allowPrivateUrls = true } = options
  const cache = createImageCache({ folder: cacheFolder, maxBytes, readMetadata, clock })
  const client = createHttpClient({ ...options.http, allowPrivateUrls })
  const limits = { ...defaultLimits, ...options.limits, maxBytes }
  const share = createSingleFlight<StoredImage>()
  /** Digests of local files as they last were, so that an unchanged file is not read again. */
  const digests = new Map<string, { identity: string; sha256: string }>()

  const copy = async (file: LocalFile, expected: string | undefined, signal: AbortSignal) => {
    const before = await identityOf(file.handle)
    const partial = await cache.create()
    try {
      for await (const chunk of chunksOf(file.handle, readBytes, signal)) await partial.append(chunk)
      const { identity, modifiedMs } = await identityOf(file.handle)
      if (identity !== before.identity) {
        throw new ReflashError('FetchFailed', 'the image was changed while it was read')
      }
      const sha256 = partial.sha256()
      if (clock.now() - modifiedMs > settledMs) digests.set(file.realPath, { identity, sha256 })
      return await cache.keep(partial, expected)
    } finally {
      await partial.discard()
    }
  }

  const fromFile = async (path: string, request: ImageRequest, signal: AbortSignal): Promise<StoredImage> => {
    const { manifestFolder, sha256 } = request
    const { imagesFolder, treeRoot } = options
    const file = await openLocalFile(path, { manifestFolder, imagesFolder, treeRoot })
    try {
      if (file.sizeBytes > maxBytes) throw tooLarge(file.sizeBytes, maxBytes)
      const known = digests.get(file.realPath)
      if (known && known.identity === (await identityOf(file.handle)).identity) {
        if (sha256 !== undefined && sha256 !== known.sha256) throw digestMismatch(known.sha256, sha256)
        const cached = await cache.find(known.sha256, signal)
        if (cached) return cached
      }
      return await copy(file, sha256, signal)
    } finally {
      await file.handle.close()
    }
  }

  const fromUrl = async (url: URL, sha256: string, signal: AbortSignal): Promise<StoredImage> => {
    const cached = await cache.find(sha256, signal)
    if (cached) return cached
    const partial = await cache.create()
    try {
      await download(url, partial, { client, clock, limits }, signal)
      return await cache.keep(partial, sha256)
    } finally {
      await partial.discard()
    }
  }

  const start = async (request: ImageRequest, signal: AbortSignal): Promise<StoredImage> => {
    const { path, url: text, sha256, manifestFolder = '' } = request
    if (sha256 !== undefined && !isDigest(sha256)) {
      const shown = printable(sha256, 80)
      throw new ReflashError(
        'DigestMismatch',
        `"${shown}" is no SHA-256: 64 digits of lower-case hex are expected`,
      )
    }
    if (path !== undefined) {
      const key = JSON.stringify([manifestFolder, path, sha256])
      return share(key, signal, (shared) => fromFile(path, request, shared))
    }
    if (text === undefined) throw new ReflashError('NotFound', 'the image has neither a path nor a URL')
    const url = client.parse(text)
    if (sha256 === undefined) throw new ReflashError('UrlRefused', 'an image from a URL needs its SHA-256')
    return share(JSON.stringify([url.href, sha256]), signal, (shared) => fromUrl(url, sha256, shared))
  }

  return {
    fetch: async (request, signal) => {
      try {
        return await start(request, signal)
      } catch (error) {
        throw signal.aborted ? signal.reason : fetchFailed('the image cannot be fetched', error)
      }
    },
    open: (sha256, signal) => cache.open(sha256, signal),
    prune: (keep) => {
      for (const [path, { sha256 }] of digests) if (!keep.has(sha256)) digests.delete(path)
      return cache.prune(keep)
    },
  }
}
