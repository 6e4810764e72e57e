import type { StoredImage } from '../core/stored-image.ts'

export type { ImageMetadata, StoredImage } from '../core/stored-image.ts'

/** A file whose parts can be read in any order. `read` gives fewer bytes than asked for only at the end. */
export interface ImageFile {
  sizeBytes: number
  read(offset: number, length: number): Promise<Uint8Array>
}

export interface ImageRequest {
  /** Absolute path of the manifest's folder, for `path`; absent in a cluster. */
  manifestFolder?: string
  path?: string
  url?: string
  /** Expected digest, if declared. */
  sha256?: string
}

export interface ImageStore {
  /**
   * Brings the file into the cache (if it is not there), checks size, digest and trailer.
   * @throws ReflashError `NotFound`, `PathOutsideRoot`, `TooLarge`, `UrlRefused`, `FetchFailed`, `DigestMismatch`, `ImageInvalid`.
   */
  fetch(request: ImageRequest, signal: AbortSignal): Promise<StoredImage>
  /**
   * Streams the cached file, hashed before or on the way: the last chunk is withheld and `ImageInvalid` thrown when the
   * bytes are no longer those of the digest. The chunks are not to be changed. @throws ReflashError `NotFound` when the cache no longer has it.
   */
  open(sha256: string, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Drops every file but these, and those fetched in the last minutes. Returns the bytes freed. @throws ReflashError `FetchFailed`. */
  prune(keep: ReadonlySet<string>): Promise<number>
}
