import { createHash } from 'node:crypto'
import { Hono } from 'hono'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { Fleet } from '../../src/controllers/fleet.ts'
import { ReflashError } from '../../src/core/errors.ts'
import { fullAccess, type Access, type ServerEnv } from '../../src/server/access.ts'
import { readRange } from '../../src/server/byte-range.ts'
import { imageRoutes } from '../../src/server/image-routes.ts'
import { image } from '../support/core-objects.ts'
import { makeStore, writeOld } from '../support/image-stores.ts'
import { join } from 'node:path'

const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7) % 251))
const sha256 = createHash('sha256').update(bytes).digest('hex')
const path = `/images/${sha256}`

/** One image in the cache, and the route. */
async function serve(options: { access?: Partial<Access>; maxDownloads?: number; isCached?: boolean } = {}) {
  const clock = createManualClock()
  const { store, imagesFolder, manifestFolder, cacheFolder } = await makeStore()
  if (options.isCached ?? true) {
    await writeOld(join(imagesFolder, 'image.bin'), bytes)
    const request = { path: 'image.bin', manifestFolder }
    await store.fetch(request, AbortSignal.timeout(5000))
  }
  const fleet = new Fleet(clock)
  fleet.apply('Added', image('image', { status: { sha256, size: bytes.length } }))
  const app = new Hono<ServerEnv>()
  app.use(async (context, next) => {
    context.set('access', { ...fullAccess, ...options.access })
    await next()
  })
  app.route('/', imageRoutes({ fleet, images: store, clock, maxDownloads: options.maxDownloads ?? 4 }))
  const get = async (headers: Record<string, string> = {}, method = 'GET') => {
    const response = await app.request(path, { headers, method })
    return {
      status: response.status,
      headers: response.headers,
      body: Buffer.from(await response.arrayBuffer()),
    }
  }
  return { app, clock, cacheFolder, get }
}

describe('an image', () => {
  test('is sent whole, by its digest', async () => {
    const { get } = await serve()
    const { status, headers, body } = await get()
    expect(status).toBe(200)
    expect(body.equals(bytes)).toBe(true)
    expect(Object.fromEntries(headers)).toEqual({
      etag: `"${sha256}"`,
      'cache-control': 'private, max-age=31536000, immutable',
      'content-type': 'application/octet-stream',
      'content-length': '100000',
      'accept-ranges': 'bytes',
    })
    expect((await get({ 'If-None-Match': `"${sha256}"` })).status).toBe(304)
    const head = await get({}, 'HEAD')
    expect([head.status, head.headers.get('content-length'), head.body.length]).toEqual([200, '100000', 0])
  })

  test('is sent in any one range', async () => {
    const { get } = await serve()
    const place = fc.nat(bytes.length - 1)
    await fc.assert(
      fc.asyncProperty(place, place, async (a, b) => {
        const [first, last] = [Math.min(a, b), Math.max(a, b)]
        const { status, headers, body } = await get({ Range: `bytes=${first}-${last}` })
        expect([status, headers.get('content-range')]).toEqual([206, `bytes ${first}-${last}/100000`])
        expect(headers.get('content-length')).toBe(String(last - first + 1))
        expect(body.equals(bytes.subarray(first, last + 1))).toBe(true)
      }),
      { numRuns: 50 },
    )
    const tail = await get({ Range: 'bytes=-10' })
    expect([tail.status, tail.body.equals(bytes.subarray(-10))]).toEqual([206, true])
    const outside = await get({ Range: 'bytes=100000-' })
    expect([outside.status, outside.headers.get('content-range')]).toEqual([416, 'bytes */100000'])
    expect((await get({ Range: 'bytes=0-9', 'If-Range': '"other"' })).status).toBe(200)
    expect((await get({ Range: 'bytes=0-9', 'If-Range': `"${sha256}"` })).status).toBe(206)
  })

  test.each([
    [undefined, 'Whole'],
    ['bytes=0-0', { first: 0, last: 0 }],
    ['bytes=5-', { first: 5, last: 9 }],
    ['bytes=-3', { first: 7, last: 9 }],
    ['bytes=-30', { first: 0, last: 9 }],
    ['bytes=8-99', { first: 8, last: 9 }],
    ['bytes=10-', 'Outside'],
    ['bytes=-0', 'Outside'],
    ['bytes=5-4', 'Whole'],
    ['bytes=-', 'Whole'],
    ['bytes=0-1,3-4', 'Whole'],
    ['lines=0-1', 'Whole'],
    ['bytes=a-b', 'Whole'],
    ['bytes=0-99999999999999999999', 'Whole'],
  ])('%s of ten bytes', (header, expected) => expect(readRange(header, 10)).toEqual(expected))
})

describe('a refusal', () => {
  test.each([
    ['of an unknown digest', `/images/${'00'.repeat(32)}`, 404],
    ['of what is no digest', '/images/..%5c..%5cetc', 404],
    ['of a digest in capitals', path.toUpperCase().replace('/IMAGES', '/images'), 404],
  ])('%s', async (_name, wrong, status) => {
    const { app } = await serve()
    const response = await app.request(wrong)
    expect([response.status, response.headers.get('content-type')]).toEqual([
      status,
      'application/problem+json',
    ])
  })

  test('of a file that is not in the cache any more', async () => {
    const { get } = await serve({ isCached: false })
    expect((await get()).status).toBe(404)
  })

  test('to whoever may not read images, or not in that namespace', async () => {
    expect((await (await serve({ access: { images: false } })).get()).status).toBe(403)
    expect((await (await serve({ access: { namespaces: new Set(['elsewhere']) } })).get()).status).toBe(404)
  })

  test('when as many are sent as are allowed, until one has gone', async () => {
    const { app, clock, get } = await serve({ maxDownloads: 1 })
    const stuck = await app.request(path)
    const refused = await get()
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10'])
    await clock.advance(10_000)
    await expect(stuck.arrayBuffer()).rejects.toThrow()
    expect((await get()).status).toBe(200)
    expect((await get()).status).toBe(200)
  })

  test('in the middle, when the bytes are not those of the digest', async () => {
    const clock = createManualClock()
    const fleet = new Fleet(clock)
    fleet.apply('Added', image('image', { status: { sha256, size: bytes.length } }))
    const damaged = {
      async *open() {
        yield bytes.subarray(0, 50_000)
        throw new ReflashError('ImageInvalid', 'damaged')
      },
    }
    const app = imageRoutes({ fleet, images: damaged, clock, maxDownloads: 1 })
    await expect((await app.request(path)).arrayBuffer()).rejects.toThrow('damaged')
    expect((await app.request(path)).status).toBe(200)
  })
})
