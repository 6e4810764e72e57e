import { crc32 } from 'node:zlib'
import { ReflashError } from '../../core/errors.ts'
import type { ImageFile, ImageMetadata } from '../../ports/image-store.ts'
import { parseImageMetadata } from './metadata-json.ts'

export interface ImageTrailer {
  /** Absent where the image carries none: images of 15.05 and older, and x86. */
  metadata?: ImageMetadata
  /** Whether a signature chunk is there; it is not verified. */
  signature: boolean
  /** Size of the firmware proper, without the chunks. */
  payloadBytes: number
}

interface Chunk {
  type: number
  crc: number
  /** Where its data begins. */
  offset: number
  /** Where its data ends and its trailer begins. */
  end: number
}

// The format is OpenWrt's fwtool: https://git.openwrt.org/project/fwtool.git, fwimage.h and fwtool.c.
const magic = 0x46577830
const trailerBytes = 16
const headerBytes = 8
const signatureType = 0
const metadataType = 1
const maxMetadataBytes = 30 * 1024
const maxSignatureBytes = 1024
/** Official images have two. */
const maxChunks = 8
const readBytes = 64 * 1024

/**
 * Reads the chunks that `fwtool` appends to an image, and checks each checksum over the whole file before it.
 * @throws ReflashError `ImageInvalid` when what looks like a chunk is damaged or says what no image may say. Errors of
 * `read` pass through.
 */
export async function readMetadata(file: ImageFile): Promise<ImageTrailer> {
  const chunks = await findChunks(file)
  await checkSums(file, chunks)
  const metadata = only(chunks, metadataType, 'metadata')
  const signature = only(chunks, signatureType, 'signature')
  return {
    ...(metadata && { metadata: await parseChunk(file, metadata) }),
    signature: signature !== undefined,
    payloadBytes: chunks.at(-1)?.offset ?? file.sizeBytes,
  }
}

/** The chunks from the last to the first: each ends where the one after it begins. */
async function findChunks(file: ImageFile): Promise<Chunk[]> {
  const chunks: Chunk[] = []
  let end = file.sizeBytes
  for (;;) {
    const chunk = await chunkBefore(file, end)
    if (!chunk) return chunks
    if (chunks.length === maxChunks) throw invalid(`it carries more than ${maxChunks} chunks`)
    chunks.push(chunk)
    end = chunk.offset
  }
}

async function chunkBefore(file: ImageFile, end: number): Promise<Chunk | undefined> {
  if (end < trailerBytes) return undefined
  const trailer = await readExactly(file, end - trailerBytes, trailerBytes)
  if (trailer.readUInt32BE(0) !== magic) return undefined
  const type = trailer.readUInt8(8)
  const size = trailer.readUInt32BE(12)
  if (size < trailerBytes) throw invalid(`a chunk claims ${size} bytes, less than its own trailer`)
  if (size > end) throw invalid(`a chunk claims ${size} bytes where only ${end} are left`)
  const chunk = { type, crc: trailer.readUInt32BE(4), offset: end - size, end: end - trailerBytes }
  checkSize(chunk)
  return chunk
}

function checkSize({ type, offset, end }: Chunk): void {
  const dataBytes = end - offset
  if (type === metadataType) {
    if (dataBytes < headerBytes) throw invalid('its metadata chunk is too short for its header')
    if (dataBytes - headerBytes > maxMetadataBytes) {
      throw invalid(
        `its metadata has ${dataBytes - headerBytes} bytes, at most ${maxMetadataBytes} are allowed`,
      )
    }
  } else if (type === signatureType) {
    if (dataBytes > maxSignatureBytes) {
      throw invalid(`its signature has ${dataBytes} bytes, at most ${maxSignatureBytes} are allowed`)
    }
  } else {
    throw invalid(`it carries a chunk of the unknown type ${type}`)
  }
}

/** One pass over the file, whatever the number of chunks: every checksum covers all bytes before its trailer. */
async function checkSums(file: ImageFile, chunks: readonly Chunk[]): Promise<void> {
  let sum = 0
  let offset = 0
  for (const chunk of chunks.toReversed()) {
    while (offset < chunk.end) {
      const length = Math.min(readBytes, chunk.end - offset)
      sum = crc32(await readExactly(file, offset, length), sum)
      offset += length
    }
    // fwtool leaves out the inversion that ends the usual CRC-32.
    if (~sum >>> 0 !== chunk.crc) throw invalid('the checksum of a chunk does not match: the file is damaged')
  }
}

function only(chunks: readonly Chunk[], type: number, name: string): Chunk | undefined {
  const [first, second] = chunks.filter((chunk) => chunk.type === type)
  if (second) throw invalid(`it carries two ${name} chunks`)
  return first
}

async function parseChunk(file: ImageFile, { offset, end }: Chunk): Promise<ImageMetadata> {
  const data = await readExactly(file, offset, end - offset)
  const version = data.readUInt32BE(0)
  if (version !== 0) throw invalid(`its metadata has the unknown format ${version}`)
  return parseImageMetadata(data.subarray(headerBytes))
}

async function readExactly(file: ImageFile, offset: number, length: number): Promise<Buffer> {
  const bytes = await file.read(offset, length)
  if (bytes.length !== length) throw invalid('it became shorter while it was read')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const invalid = (why: string): ReflashError => new ReflashError('ImageInvalid', `not a valid image: ${why}`)
