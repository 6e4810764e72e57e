/** How requests are answered that no route ever sees. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../ports/clock.ts'
import { hasBody } from './guard-request.ts'
import { statusError, statusResponse, type Status } from './status-error.ts'

/** On every answer that does not say otherwise. */
export const defaultHeaders = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
} as const

/** How long, and how much of it, a body that nobody wants is thrown away, so that its sender can read our answer. */
const lingerMs = 1000
const lingerBytes = 1024 * 1024

/** What a client learns of a bug. */
export const internalError = (): Response =>
  statusResponse(statusError(500, 'InternalError', 'the server has a bug; its log says more'))

const bodyOf = (status: Status): string => `${JSON.stringify(status)}\n`

export const refusalHeaders = (status: Status): Record<string, string> => ({
  ...defaultHeaders,
  ...(status.code === 405 ? { Allow: 'GET, HEAD' } : {}),
  'Content-Type': 'application/json',
  'Content-Length': String(Buffer.byteLength(bodyOf(status))),
  Connection: 'close',
})

/** Answers without reading the body, and closes. */
export function refuse({ incoming, outgoing }: HttpExchange, status: Status, clock: Clock): void {
  outgoing.writeHead(status.code, refusalHeaders(status))
  if (!hasBody(incoming)) {
    outgoing.end(bodyOf(status))
    return
  }
  // A connection closed while its client still sends takes our answer with it.
  outgoing.write(bodyOf(status))
  let left = lingerBytes
  const cancel = clock.after(lingerMs, () => outgoing.end())
  incoming.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) outgoing.end()
  })
  incoming.once('end', () => outgoing.end())
  outgoing.once('close', cancel)
}

interface HttpExchange {
  incoming: IncomingMessage
  outgoing: ServerResponse
}

export const badRequest = statusError(400, 'BadRequest', 'this is no HTTP request that is understood here')

const clientErrors: Readonly<Record<string, Status>> = {
  HPE_HEADER_OVERFLOW: statusError(431, 'BadRequest', 'the header is too large'),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: statusError(
    413,
    'RequestEntityTooLarge',
    'the chunk extensions are too large',
  ),
  ERR_HTTP_REQUEST_TIMEOUT: statusError(408, 'Timeout', 'the request did not come in time'),
}

/** For what Node gives us as a bare socket. */
export function writeRefusal(socket: Duplex, status: Status): void {
  if (!socket.writable) return void socket.destroy()
  socket.on('error', () => socket.destroy())
  const headers = Object.entries(refusalHeaders(status)).map(([name, value]) => `${name}: ${value}\r\n`)
  const words = reasonPhrases[status.code] ?? 'Bad Request'
  socket.end(`HTTP/1.1 ${status.code} ${words}\r\n${headers.join('')}\r\n${bodyOf(status)}`, () =>
    socket.destroy(),
  )
}

const reasonPhrases: Record<number, string> = {
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  431: 'Request Header Fields Too Large',
}

/** What to say to bytes that Node could not make a request of. */
export const refusalOfError = ({ code = '' }: NodeJS.ErrnoException): Status =>
  clientErrors[code] ?? badRequest
