import type { FirmwareImage } from '../api/resources.ts'
import { folderAnnotation } from '../core/annotations.ts'
import { ReflashError } from '../core/errors.ts'
import type { StoredImage } from '../ports/image-store.ts'
import type { Ports } from './ports.ts'

/** The file, or why there is none. */
export type Fetched = StoredImage | ReflashError

/** Brings the file of an image into the cache of this controller, unless it is there. */
export async function fetchImage(image: FirmwareImage, ports: Ports, signal: AbortSignal): Promise<Fetched> {
  const { source, sha256 } = image.spec
  const folder = image.metadata.annotations?.[folderAnnotation]
  const manifestFolder = folder === undefined ? undefined : ports.settings.folderOf?.(folder)
  try {
    return await ports.images.fetch(
      {
        ...(manifestFolder === undefined ? {} : { manifestFolder }),
        ...(source.path === undefined ? {} : { path: source.path }),
        ...(source.url === undefined ? {} : { url: source.url }),
        ...(sha256 === undefined ? {} : { sha256 }),
      },
      signal,
    )
  } catch (error) {
    if (error instanceof ReflashError) return error
    throw error
  }
}
