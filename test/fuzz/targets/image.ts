import { crc32 } from 'node:zlib'
import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict'
import { hasCode } from '../../../src/core/errors.ts'
import type { ImageMetadata } from '../../../src/ports/image-store.ts'
import { appendChunk, appendMetadata, chunkTypes, makeFirmware } from '../../../src/simulator/firmware.ts'
import { readMetadata } from '../../../src/upgraders/openwrt/image-metadata.ts'
import { parseImageMetadata } from '../../../src/upgraders/openwrt/metadata-json.ts'
import { wayOf, type FuzzTarget } from '../fuzzer.ts'

/** What may be shown as it is: nothing invisible, and nothing that moves a cursor. */
const shown = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u

/** A file in memory that counts what is read of it. */
const counted = (bytes: Buffer) => {
  const work = { reads: 0, bytes: 0 }
  const read = async (offset: number, length: number): Promise<Buffer> => {
    work.reads += 1
    work.bytes += length
    ok(length <= 64 * 1024)
    return bytes.subarray(offset, offset + length)
  }
  return { work, file: { sizeBytes: bytes.length, read } }
}

const refusal = (error: unknown): string => {
  if (!hasCode(error, 'ImageInvalid')) throw error
  match(error.message, /^[\x20-\x7e]{1,400}$/)
  return `refused: ${wayOf(error.message)}`
}

function checkMetadata({ boards, ...texts }: ImageMetadata): void {
  ok(boards.length <= 512)
  equal(new Set(boards).size, boards.length)
  for (const text of [...boards, ...Object.values(texts)]) {
    notEqual(text, '')
    ok(text.length <= 255)
    match(text, shown)
  }
  match(texts.compatVersion, /^\d+\.\d+$/)
}

const wayOfMetadata = ({ boards, compatVersion, ...texts }: ImageMetadata): string =>
  `${Math.min(boards.length, 3)} boards, ${compatVersion === '1.0' ? 'first' : 'later'} compat, ${Object.keys(texts).join(' ')}`

async function runImage(bytes: Buffer): Promise<string> {
  const { file, work } = counted(bytes)
  try {
    const { metadata, signature, payloadBytes } = await readMetadata(file)
    if (metadata) checkMetadata(metadata)
    // The firmware proper ends with no chunk: whatever is behind it was understood, and nothing was overlooked.
    const payload = bytes.subarray(0, payloadBytes)
    deepEqual(await readMetadata(counted(payload).file), { signature: false, payloadBytes })
    if (payloadBytes === bytes.length) return 'no chunks'
    // One byte behind the last chunk, and none of it counts.
    const longer = await readMetadata(counted(Buffer.concat([bytes, Buffer.of(0)])).file)
    deepEqual(longer, { signature: false, payloadBytes: bytes.length + 1 })
    return `${signature ? 'signed' : 'unsigned'}, ${metadata ? wayOfMetadata(metadata) : 'no metadata'}`
  } catch (error) {
    return refusal(error)
  } finally {
    // Every byte once for the checksums, and each chunk a little more.
    ok(work.bytes <= bytes.length + 9 * 16 + 31 * 1024)
    ok(work.reads <= 40)
  }
}

/** Writes the right checksum into each trailer, from the front to the end as each covers those before it. */
function repairChecksums(input: Buffer): Buffer {
  const bytes = Buffer.from(input)
  const trailers: number[] = []
  let end = bytes.length
  while (end >= 16 && bytes.readUInt32BE(end - 16) === 0x46577830 && trailers.length < 20) {
    trailers.unshift(end - 16)
    const size = bytes.readUInt32BE(end - 4)
    if (size < 16 || size > end) break
    end -= size
  }
  for (const at of trailers) bytes.writeUInt32BE(~crc32(bytes.subarray(0, at)) >>> 0, at + 4)
  return bytes
}

const release = { version: '24.10.8', revision: 'r29233-443ec4032a' }
const small = makeFirmware({ ...release, boards: ['tplink,archer-c7-v5', 'b'], sizeBytes: 150 })
const payload = Buffer.from('payload')
const later = { ...release, boards: ['a'], compatVersion: '1.1', compatMessage: 'Partitions have moved' }
const old = JSON.stringify({
  supported_devices: ['archer-c7'],
  version: { dist: 'LEDE', version: '17.01.4', revision: 'r3560-79f57e422d', board: 'ar71xx' },
})

/** The chunks that fwtool appends to an image. */
export const imageTarget: FuzzTarget = {
  name: 'image',
  seeds: [
    payload,
    small,
    appendChunk(small, chunkTypes.signature, Buffer.from('a signature')),
    appendChunk(payload, chunkTypes.signature, Buffer.from('sig')),
    makeFirmware({ ...later, sizeBytes: 150 }),
    appendMetadata(payload, old),
  ],
  words: [
    'FWx0',
    '\0\0\0\x10',
    '\0\0\0\x18',
    '\xff\xff\xff\xff',
    '\0',
    '\x01',
    '{}',
    '"supported_devices"',
    '"a"',
  ],
  maxBytes: 4096,
  run: runImage,
  repair: repairChecksums,
}

/** The same as the device would read of it, from the JSON as it stands: a second opinion. */
function boardsByHand(text: string): unknown {
  const json = JSON.parse(text) as Record<string, unknown>
  const isFirst = (json['compat_version'] || '1.0') === '1.0'
  const list = json[isFirst ? 'supported_devices' : 'new_supported_devices'] as unknown[]
  return [...new Set(list.filter((board) => board !== ''))]
}

function runMetadata(bytes: Buffer): string {
  try {
    const metadata = parseImageMetadata(bytes)
    checkMetadata(metadata)
    deepEqual(metadata.boards, boardsByHand(new TextDecoder().decode(bytes)))
    return wayOfMetadata(metadata)
  } catch (error) {
    return refusal(error)
  }
}

const jsonOf = (file: Buffer): Buffer => {
  const text = file.toString('latin1')
  return file.subarray(text.indexOf('{"'), text.lastIndexOf('}') + 1)
}

/** The JSON in such a chunk. */
export const metadataTarget: FuzzTarget = {
  name: 'image-metadata',
  seeds: [jsonOf(small), jsonOf(makeFirmware({ ...later, sizeBytes: 150 })), Buffer.from(old)],
  words: [
    '"supported_devices"',
    '"new_supported_devices"',
    '"compat_version"',
    '"metadata_version"',
    '"version"',
    '"board"',
    '"target"',
    '"dist"',
    '"revision"',
    '"__proto__"',
    '"constructor"',
    'null',
    'true',
    '1e999',
    '-0',
    '{}',
    '[]',
    '""',
    '\\u0000',
    '\\u202e',
    '\\ud800',
    '\xef\xbb\xbf',
    '\xed\xa0\x80',
    '\xe2\x80\xa8',
    ':',
    ',',
  ],
  maxBytes: 8192,
  run: runMetadata,
}
