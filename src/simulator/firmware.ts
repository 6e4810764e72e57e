import { createCipheriv, createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

export interface FirmwareOptions {
  version: string
  revision: string
  boards: readonly string[]
  /** Default `1.0`. */
  compatVersion?: string
  /** Why config must be wiped; only images with another compat version than 1.0 have one. */
  compatMessage?: string
  /** Default `OpenWrt`. */
  distribution?: string
  /** Default `ath79/generic`. */
  target?: string
  /** Size of the payload; the metadata chunk comes on top. Default 64 KiB. */
  sizeBytes?: number
}

/** Types of the chunks that fwtool appends to an image. */
export const chunkTypes = { signature: 0, metadata: 1 } as const

const magic = 0x46577830
const trailerBytes = 16
const metadataHeaderBytes = 8

/**
 * A test image with the trailer of an official one. The payload is one line that a fake `sysupgrade` can read, then
 * filler. The same options give the same bytes.
 */
export function makeFirmware(options: FirmwareOptions): Buffer {
  const { distribution = 'OpenWrt', version, revision, boards, sizeBytes = 64 * 1024 } = options
  const line = Buffer.from(
    `REFLASH-TEST-IMAGE dist=${distribution} version=${version} revision=${revision} boards=${boards.join(',')}\n`,
  )
  const payload = Buffer.concat([line, filler(line, Math.max(0, sizeBytes - line.length))])
  return appendMetadata(payload, `${JSON.stringify(metadataOf(options))}\n`)
}

/** Appends a metadata chunk with this text as it is. */
export const appendMetadata = (file: Uint8Array, text: string | Uint8Array): Buffer =>
  appendChunk(
    file,
    chunkTypes.metadata,
    Buffer.concat([Buffer.alloc(metadataHeaderBytes), Buffer.from(text)]),
  )

/** Appends any chunk with a right checksum, as `fwtool` does: the checksum covers everything before the trailer. */
export function appendChunk(file: Uint8Array, type: number, data: Uint8Array): Buffer {
  const body = Buffer.concat([file, data])
  const trailer = Buffer.alloc(trailerBytes)
  trailer.writeUInt32BE(magic, 0)
  trailer.writeUInt32BE(~crc32(body) >>> 0, 4)
  trailer.writeUInt8(type, 8)
  trailer.writeUInt32BE(data.length + trailerBytes, 12)
  return Buffer.concat([body, trailer])
}

/** The JSON of `metadata_json` in OpenWrt's include/image-commands.mk. */
function metadataOf(options: FirmwareOptions): Record<string, unknown> {
  const { boards, compatVersion = '1.0', compatMessage, distribution = 'OpenWrt' } = options
  const reason = compatMessage ? `Reason: ${compatMessage}` : 'Please check documentation for details.'
  const mismatch = `Image version mismatch: image ${compatVersion}, device 1.0. Please wipe config during upgrade (force required) or reinstall. ${reason}`
  return {
    metadata_version: '1.1',
    compat_version: compatVersion,
    ...(compatMessage && { compat_message: compatMessage }),
    ...(compatVersion === '1.0'
      ? { supported_devices: boards }
      : { new_supported_devices: boards, supported_devices: [`${boards.join(' ')} - ${mismatch}`] }),
    version: {
      dist: distribution,
      version: options.version,
      revision: options.revision,
      target: options.target ?? 'ath79/generic',
      board: (boards[0] ?? 'generic').replaceAll(',', '_'),
    },
  }
}

/** A key stream: deterministic, incompressible, and fast enough for images of real size. */
function filler(seed: Uint8Array, sizeBytes: number): Buffer {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes))
}
