import { Hono, type Context } from 'hono'
import type { FirmwareImage } from '../api/resources.ts'
import type { Fleet } from '../controllers/fleet.ts'
import { mayRead } from '../controllers/fleet-status.ts'
import { ReflashError } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { ImageStore } from '../ports/image-store.ts'
import type { Access, ServerEnv } from './access.ts'
import { paths } from './api-routes.ts'
import { bytesIn, readRange, type ByteRange } from './byte-range.ts'
import { hasAlready } from './entity-tag.ts'
import { problem } from './problem.ts'
import { accessOf } from './status-routes.ts'
import { createStreamSlots } from './stream-slots.ts'
import { streamText } from './text-stream.ts'

export interface ImageRouteOptions {
  fleet: Fleet
  images: Pick<ImageStore, 'open'>
  clock: Clock
  /** Images that are sent at once. */
  maxDownloads: number
}

const retryAfterSeconds = '10'

/** Firmware images by their digest: those that a FirmwareImage's status names, as they were checked. */
export function imageRoutes({ fleet, images, clock, maxDownloads }: ImageRouteOptions): Hono<ServerEnv> {
  const slots = createStreamSlots(maxDownloads)

  const send = async (context: Context<ServerEnv>, sha256: string): Promise<Response> => {
    const access = accessOf(context)
    if (!access.images) return problem(403, 'this token may not read images')
    const image = findImage(fleet, sha256, access)
    if (!image) return notKept(sha256)
    const tag = `"${sha256}"`
    // The name is the content: what has come once never changes.
    const headers = { ETag: tag, 'Cache-Control': 'private, max-age=31536000, immutable' }
    const request = context.req.raw
    if (hasAlready(request, tag)) return new Response(null, { status: 304, headers })
    const sizeBytes = image.status.size!
    const ifRange = request.headers.get('If-Range')
    const isSame = ifRange === null || ifRange === tag
    const range = isSame ? readRange(request.headers.get('Range') ?? undefined, sizeBytes) : 'Whole'
    if (range === 'Outside')
      return problem(416, `the image has ${sizeBytes} bytes`, { 'Content-Range': `bytes */${sizeBytes}` })
    const wanted = range === 'Whole' ? { first: 0, last: sizeBytes - 1 } : range
    const all = {
      ...headers,
      'Content-Type': 'application/octet-stream',
      'Content-Length': String(wanted.last - wanted.first + 1),
      'Accept-Ranges': 'bytes',
      ...(range === 'Whole' ? {} : { 'Content-Range': `bytes ${range.first}-${range.last}/${sizeBytes}` }),
    }
    const status = range === 'Whole' ? 200 : 206
    if (request.method === 'HEAD') return new Response(null, { status, headers: all })
    const body = await stream(request, sha256, wanted)
    return body instanceof Response ? body : new Response(body, { status, headers: all })
  }

  /** The first bytes are read before anything is answered: until then a missing file can still be a 404. */
  const stream = async (
    request: Request,
    sha256: string,
    range: ByteRange,
  ): Promise<ReadableStream<Uint8Array> | Response> => {
    const release = slots.take()
    if (!release) {
      return problem(429, 'as many images are sent as are allowed; try again', {
        'Retry-After': retryAfterSeconds,
      })
    }
    const over = new AbortController()
    const content = bytesIn(images.open(sha256, AbortSignal.any([request.signal, over.signal])), range)
    try {
      const first = await content.next()
      return streamText({ clock, signal: request.signal }, async (out) => {
        try {
          if (!first.done) await out.write(first.value)
          for await (const piece of content) await out.write(piece)
        } finally {
          over.abort()
          release()
        }
      })
    } catch (error) {
      release()
      if (error instanceof ReflashError) return notKept(sha256)
      throw error
    }
  }

  return new Hono<ServerEnv>().get(paths.image, (context) => send(context, context.req.param('sha256')))
}

const findImage = (fleet: Fleet, sha256: string, { namespaces }: Access): FirmwareImage | undefined =>
  [...imagesWith(fleet, sha256)].find(({ metadata }) => mayRead(namespaces, metadata.namespace))

/** Where the images are that have this digest. */
export const namespacesOfImage = (fleet: Fleet, sha256: string): ReadonlySet<string> =>
  new Set([...imagesWith(fleet, sha256)].map(({ metadata }) => metadata.namespace))

/** Looks through the images, of which there are few. */
function* imagesWith(fleet: Fleet, sha256: string): Generator<FirmwareImage> {
  for (const image of fleet.all('FirmwareImage')) {
    if (image.status.sha256 === sha256 && image.status.size !== undefined) yield image
  }
}

const notKept = (sha256: string): Response =>
  problem(
    404,
    /^[0-9a-f]{64}$/.test(sha256)
      ? `no image with the SHA-256 ${sha256} is here`
      : 'a SHA-256 is 64 digits of lower-case hex',
  )
