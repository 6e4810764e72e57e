/** Image files that no router must get, each under a policy that would send it at once. */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { makeFirmware } from '../../src/simulator/firmware.ts'
import { knownReleases, type Release } from '../../src/simulator/release.ts'
import type { Row } from './row.ts'

const path = 'images/subject.bin'
const release = knownReleases['24.10.8']
const firmware = (of: Release, board: string): Buffer =>
  makeFirmware({ ...of, boards: [board], sizeBytes: 32 * 1024 })
const image = firmware(release, 'acme,subject')
const other = firmware(release, 'acme,other')

const refused = (what: string, bytes: (good: Buffer) => Uint8Array, why: string): Row => ({
  id: 'B20',
  what,
  restraint: 'image',
  spoil: async (good) => {
    await good.release()
    await good.write('images/new.bin', bytes(await good.readBytes(path)))
    await good.edit('image.yaml', path, 'images/new.bin')
  },
  says: [`image.yaml:6:18: spec.source.path: "images/new.bin": ${why}`],
  logs: [why],
})

const noMetadata = 'the image carries no metadata: list its boards in spec.boards'
const damaged = 'not a valid image: the checksum of a chunk does not match: the file is damaged'

const digest = (what: string, written: string, why: string): Row => ({
  id: 'B21',
  what,
  restraint: 'image',
  spoil: async (good) => {
    await good.release()
    await good.write('image.yaml', `${await good.read('image.yaml')}  sha256: "${written}"\n`)
  },
  says: [`image.yaml:7:11: spec.sha256: ${why}`],
})

const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy[at]! ^= 1
  return copy
}
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const notADigest = (written: string): [written: string, why: string] => [
  written,
  `must be 64 lower-case hexadecimal digits, found "${written}"`,
]

const unequal = `the image has the SHA-256 ${hashOf(image)}, expected is ${hashOf(other)}`

export const imageRows: readonly Row[] = [
  refused('0 bytes', () => Buffer.alloc(0), 'the image is empty'),
  refused('cut to its half', (good) => good.subarray(0, good.length / 2), noMetadata),
  refused('its last byte is gone', (good) => good.subarray(0, -1), noMetadata),
  refused('one bit flipped in its metadata', (good) => flipped(good, good.length - 60), damaged),
  refused('one bit flipped in its payload', (good) => flipped(good, 100), damaged),
  refused('a bomb of gzip', () => gzipSync(Buffer.alloc(64 * 1024 * 1024)), noMetadata),
  refused('a picture', () => Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), noMetadata),
  refused(
    'an image of another release',
    () => firmware(knownReleases['23.05.5'], 'acme,subject'),
    'the image is revision r24106-10cc5fcd00, but its build is "OpenWrt 24.10.8 r29233-443ec4032a"',
  ),
  {
    ...refused('an image of another board', () => firmware(release, 'acme,another'), ''),
    // It may well be there for other devices.
    says: [],
    logs: ['NoImage: build subject has no image for board acme,subject'],
  },
  digest('in capitals', ...notADigest(hashOf(image).toUpperCase())),
  digest('cut to 12 letters', ...notADigest(hashOf(image).slice(0, 12))),
  {
    ...digest('of another file', hashOf(other), `"images/subject.bin": ${unequal}`),
    logs: [unequal],
  },
]
