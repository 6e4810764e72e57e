import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ReflashError } from '../../src/core/errors.ts'
import { appendChunk, appendMetadata, chunkTypes, makeFirmware } from '../../src/simulator/firmware.ts'
import { readMetadata } from '../../src/upgraders/openwrt/image-metadata.ts'

const fileOf = (bytes: Uint8Array) => ({
  sizeBytes: bytes.length,
  read: (offset: number, length: number) => Promise.resolve(bytes.subarray(offset, offset + length)),
})
const read = (bytes: Uint8Array) => readMetadata(fileOf(bytes))

/** What is read of these bytes, or why they are refused; any other error fails the test. */
async function outcome(bytes: Uint8Array) {
  try {
    return await read(bytes)
  } catch (error) {
    if (error instanceof ReflashError && error.code === 'ImageInvalid') return error.message
    throw error
  }
}

const payload = Buffer.from('payload')
const withJson = (value: unknown) => appendMetadata(payload, JSON.stringify(value))
const small = () =>
  appendChunk(
    makeFirmware({ version: '24.10.8', revision: 'r29233-443ec4032a', boards: ['a', 'b'], sizeBytes: 200 }),
    chunkTypes.signature,
    Buffer.from('a signature'),
  )

describe('readMetadata', () => {
  it('reads the bytes that another implementation wrote', async () => {
    const golden =
      '7061796c6f616400000000000000007b22737570706f727465645f64657669636573223a5b2261225d7d0a46577830c631ef3e' +
      '0100000000000034736967465778303c7db18c0000000000000013'
    expect(await read(Buffer.from(golden, 'hex'))).toEqual({
      metadata: { boards: ['a'], compatVersion: '1.0' },
      signature: true,
      payloadBytes: 7,
    })
  })

  it.each([
    ['an empty file', Buffer.alloc(0)],
    ['a file shorter than a trailer', Buffer.from('FWx0')],
    ['a PNG', Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(100)])],
    ['a page', Buffer.from('<!doctype html><title>Not found</title>')],
  ])('finds no metadata in %s', async (_name, bytes) => {
    expect(await read(bytes)).toEqual({ signature: false, payloadBytes: bytes.length })
  })

  it('finds a signature without metadata, as x86 images have it', async () => {
    const file = appendChunk(payload, chunkTypes.signature, Buffer.from('sig'))
    expect(await read(file)).toEqual({ signature: true, payloadBytes: payload.length })
  })

  it('takes a file of several read sizes', async () => {
    const file = makeFirmware({ version: '1', revision: 'r1', boards: ['a'], sizeBytes: 300_000 })
    expect(await read(file)).toMatchObject({ payloadBytes: 300_000, metadata: { revision: 'r1' } })
    file[150_000]! ^= 1
    expect(await outcome(file)).toContain('checksum')
  })

  it('is right or refuses after the file was cut at any byte', async () => {
    const whole = small()
    const seen = { none: 0, unsigned: 0, whole: 0, refused: 0 }
    for (let length = 0; length <= whole.length; length += 1) {
      const found = await outcome(whole.subarray(0, length))
      if (typeof found === 'string') seen.refused += 1
      else if (!found.metadata) seen.none += 1
      else {
        expect(found.metadata.boards).toEqual(['a', 'b'])
        seen[found.signature ? 'whole' : 'unsigned'] += 1
      }
    }
    expect(seen).toEqual({ none: whole.length - 1, unsigned: 1, whole: 1, refused: 0 })
  })

  it('never reads other metadata after any one bit was flipped', async () => {
    const whole = small()
    const right = await read(whole)
    let refused = 0
    for (let at = 0; at < whole.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const bytes = Buffer.from(whole)
        bytes[at]! ^= 1 << bit
        const found = await outcome(bytes)
        if (typeof found === 'string') refused += 1
        else if (found.metadata) expect(found).toEqual(right)
      }
    }
    // The others are the magic (no chunk then), the padding of the last trailer, and its size.
    expect(refused).toBeGreaterThan(whole.length * 8 - 16 * 8)
  })

  it.each([
    ['a size beyond the file', (t: Buffer) => t.writeUInt32BE(100_000, 12), 'only'],
    ['a size of nothing', (t: Buffer) => t.writeUInt32BE(0, 12), 'less than its own trailer'],
    ['a size smaller than the header', (t: Buffer) => t.writeUInt32BE(20, 12), 'too short'],
    ['an unknown type', (t: Buffer) => t.writeUInt8(7, 8), 'unknown type 7'],
    ['a wrong checksum', (t: Buffer) => t.writeUInt32BE(0, 4), 'checksum'],
  ])('refuses a trailer with %s', async (_name, damage, why) => {
    const file = withJson({ supported_devices: ['a'] })
    damage(file.subarray(-16))
    expect(await outcome(file)).toContain(why)
  })

  const metadata = JSON.stringify({ supported_devices: ['a'] })
  it.each([
    ['metadata of 31 KiB', appendMetadata(payload, metadata.padEnd(31 * 1024)), 'at most 30720'],
    ['a signature of 2 KiB', appendChunk(payload, 0, Buffer.alloc(2048)), 'at most 1024'],
    [
      'two metadata chunks',
      appendMetadata(appendMetadata(payload, metadata), metadata),
      'two metadata chunks',
    ],
    ['two signatures', appendChunk(appendChunk(payload, 0, payload), 0, payload), 'two signature chunks'],
    [
      'an unknown metadata format',
      appendChunk(payload, 1, Buffer.from('\0\0\0\x01\0\0\0\0{}')),
      'unknown format 1',
    ],
    [
      'a hundred chunks',
      Array.from({ length: 100 }).reduce<Buffer>((file) => appendChunk(file, 0, Buffer.alloc(0)), payload),
      'more than 8 chunks',
    ],
  ])('refuses %s', async (_name, file, why) => {
    expect(await outcome(file)).toContain(why)
  })

  it('refuses a file that becomes shorter while it is read', async () => {
    const bytes = small()
    const file = { ...fileOf(bytes), sizeBytes: bytes.length + 5 }
    await expect(readMetadata(file)).rejects.toMatchObject({
      code: 'ImageInvalid',
      message: 'not a valid image: it became shorter while it was read',
    })
  })

  it('takes what is exactly as large as it may be', async () => {
    const largest = appendMetadata(payload, metadata.padEnd(30 * 1024))
    expect(await read(largest)).toMatchObject({ metadata: { boards: ['a'] } })
    expect(await outcome(appendMetadata(payload, metadata.padEnd(30 * 1024 + 1)))).toContain(
      'its metadata has 30721 bytes, at most 30720 are allowed',
    )
    const signed = appendChunk(payload, chunkTypes.signature, Buffer.alloc(1024))
    expect(await read(signed)).toEqual({ signature: true, payloadBytes: payload.length })
  })

  it('takes chunks with nothing in or before them', async () => {
    // 16 bytes in all: a trailer that is all of its chunk, and of the file.
    expect(await read(appendChunk(Buffer.alloc(0), chunkTypes.signature, Buffer.alloc(0)))).toEqual({
      signature: true,
      payloadBytes: 0,
    })
    // A header without a text behind it.
    expect(await outcome(appendChunk(payload, chunkTypes.metadata, Buffer.alloc(8)))).toContain(
      'no JSON text',
    )
  })
})

describe('the metadata of an image', () => {
  const metadataOf = async (value: unknown) => (await read(withJson(value))).metadata

  it('is read in the form since 21.02', async () => {
    const image = {
      metadata_version: '1.1',
      compat_version: '1.0',
      supported_devices: ['tplink,archer-c7-v5', 'archer-c7-v5'],
      version: {
        dist: 'OpenWrt',
        version: '23.05.5',
        revision: 'r24106-10cc5fcd00',
        target: 'ath79/generic',
        board: 'tplink_archer-c7-v5',
      },
    }
    expect(await metadataOf(image)).toEqual({
      boards: ['tplink,archer-c7-v5', 'archer-c7-v5'],
      compatVersion: '1.0',
      distribution: 'OpenWrt',
      version: '23.05.5',
      revision: 'r24106-10cc5fcd00',
      target: 'ath79/generic',
      board: 'tplink_archer-c7-v5',
    })
  })

  it('takes the boards from the new list when the compat version is not 1.0', async () => {
    const image = {
      compat_version: '1.1',
      compat_message: 'Partition table has changed',
      new_supported_devices: ['a', 'b'],
      supported_devices: ['a b - Image version mismatch: image 1.1, device 1.0.'],
    }
    expect(await metadataOf(image)).toEqual({ boards: ['a', 'b'], compatVersion: '1.1' })
  })

  it('is read in the form of 17.01 and 18.06, where board means target', async () => {
    const image = {
      supported_devices: ['archer-c7'],
      version: { dist: 'LEDE', version: '17.01.4', revision: 'r3560-79f57e422d', board: 'ar71xx' },
    }
    expect(await metadataOf(image)).toEqual({
      boards: ['archer-c7'],
      compatVersion: '1.0',
      distribution: 'LEDE',
      version: '17.01.4',
      revision: 'r3560-79f57e422d',
      target: 'ar71xx',
    })
  })

  it('is read in the form of 19.07', async () => {
    const image = {
      metadata_version: '1.0',
      supported_devices: ['a'],
      version: { version: '19.07.10', target: 'ath79/generic', board: 'a' },
    }
    expect(await metadataOf(image)).toMatchObject({
      compatVersion: '1.0',
      target: 'ath79/generic',
      board: 'a',
    })
  })

  it('takes what says of itself which form it has by that', async () => {
    const version = { board: 'a' }
    const newer = { metadata_version: '1.0', supported_devices: ['a'], version }
    expect(await metadataOf(newer)).toEqual({ boards: ['a'], compatVersion: '1.0', board: 'a' })
    const older = { supported_devices: ['a'], version: { board: 'a', target: 'ath79/generic' } }
    expect(await metadataOf(older)).toMatchObject({ board: 'a', target: 'ath79/generic' })
  })

  it('takes what is exactly as long as it may be', async () => {
    const long = 'b'.repeat(255)
    const boards = [long, ...Array.from({ length: 511 }, (_, index) => String(index))]
    expect(await metadataOf({ supported_devices: boards })).toMatchObject({ boards })
    const compat = `${'1'.repeat(61)}.0`
    expect(await metadataOf({ compat_version: compat, new_supported_devices: ['a'] })).toMatchObject({
      compatVersion: compat,
    })
    expect(await metadataOf({ compat_version: '10.20', new_supported_devices: ['a'] })).toMatchObject({
      compatVersion: '10.20',
    })
  })

  it('keeps why it could not be read', async () => {
    await expect(read(appendMetadata(payload, '{'))).rejects.toMatchObject({
      message: expect.stringContaining(
        'the metadata of the image is not valid: it is no JSON text',
      ) as string,
      cause: expect.any(SyntaxError) as SyntaxError,
    })
  })

  it('leaves out what is empty, and keeps each board once', async () => {
    expect(await metadataOf({ supported_devices: ['a', '', 'a'], version: { revision: '' } })).toEqual({
      boards: ['a'],
      compatVersion: '1.0',
    })
  })

  it.each([
    ['not JSON', '{"supported_devices":', 'no JSON text'],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'no JSON text'],
    ['no object', '[]', 'not an object'],
    ['null', 'null', 'not an object'],
    ['nested 15,000 deep', `${'['.repeat(15_000)}${']'.repeat(15_000)}`, 'not an object'],
    ['without boards', '{}', 'supported_devices is not a list'],
    ['boards that are no list', '{"supported_devices":"a"}', 'not a list'],
    ['boards that are no text', '{"supported_devices":[1]}', 'not text'],
    ['a board that is null', '{"supported_devices":[null]}', 'not text'],
    ['a board with a line break', '{"supported_devices":["a\\nb"]}', 'control'],
    ['a board that turns the writing direction', '{"supported_devices":["a\\u202eb"]}', 'control'],
    ['a board with half a character', '{"supported_devices":["\\ud800"]}', 'control'],
    ['an endless board', `{"supported_devices":["${'a'.repeat(256)}"]}`, 'longer than 255'],
    ['600 boards', JSON.stringify({ supported_devices: Array.from({ length: 600 }, String) }), 'at most 512'],
    ['a version that is text', '{"supported_devices":["a"],"version":"1"}', 'version is not an object'],
    ['a revision that is a number', '{"supported_devices":["a"],"version":{"revision":1}}', 'not text'],
    [
      'an escape in the revision',
      '{"supported_devices":["a"],"version":{"revision":"\\u001b[2J"}}',
      'control',
    ],
    ['a compat version that is a number', '{"supported_devices":["a"],"compat_version":1.1}', 'not text'],
    [
      'a strange compat version',
      '{"supported_devices":["a"],"compat_version":"1.0; reboot"}',
      'compat_version',
    ],
    ...['x1.0', '1.', '1.0x', '1', `${'1'.repeat(62)}.0`].map((compat): [string, string, string] => [
      `compat version ${compat}`,
      JSON.stringify({ new_supported_devices: ['a'], compat_version: compat }),
      'compat_version is not of the form 1.0',
    ]),
    ['no map in the list', '["a"]', 'it is not an object'],
    [
      'compat 1.1 without the new list',
      '{"supported_devices":["a"],"compat_version":"1.1"}',
      'new_supported',
    ],
  ])('is refused when it is %s', async (_name, json, why) => {
    const found = await outcome(appendMetadata(payload, json))
    expect(found).toContain(why)
    expect(found).toMatch(/^[\x20-\x7e]*$/)
  })

  it('keeps hostile keys from reaching anything', async () => {
    const json = '{"__proto__":{"supported_devices":["evil"]},"supported_devices":["a"]}'
    expect((await read(appendMetadata(payload, json))).metadata?.boards).toEqual(['a'])
    expect(await outcome(appendMetadata(payload, '{"__proto__":{"supported_devices":["evil"]}}'))).toContain(
      'not a list',
    )
  })

  it('comes out of a test image as it went in', async () => {
    const word = fc.stringMatching(/^[a-z0-9][a-z0-9,._-]{0,20}$/)
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          version: word,
          revision: word,
          boards: fc.uniqueArray(word, { minLength: 1, maxLength: 5 }),
          compatVersion: fc.constantFrom('1.0', '1.1', '2.0'),
          compatMessage: fc.constantFrom('', 'Partitions have moved'),
          distribution: word,
          target: word,
          sizeBytes: fc.integer({ min: 0, max: 5000 }),
        }),
        async (options) => {
          const file = makeFirmware(options)
          const { metadata, payloadBytes } = await read(file)
          const { version, revision, boards, compatVersion, distribution, target } = options
          expect(metadata).toMatchObject({ version, revision, boards, compatVersion, distribution, target })
          expect(payloadBytes).toBe(Math.max(options.sizeBytes, file.indexOf('\n') + 1))
          expect(makeFirmware(options).equals(file)).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })
})
