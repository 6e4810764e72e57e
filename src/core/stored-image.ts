/** A firmware file that has been checked and is kept under its digest. */
export interface StoredImage {
  sha256: string
  sizeBytes: number
  metadata?: ImageMetadata
}

/** What the image says of itself (the fwtool trailer). */
export interface ImageMetadata {
  /** Board names that may get it, as `sysupgrade` would compare them. */
  boards: string[]
  compatVersion: string
  distribution?: string
  version?: string
  revision?: string
  target?: string
  /** Profile it was built for. */
  board?: string
}
