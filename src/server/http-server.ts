import { getRequestListener, RequestError, type HttpBindings } from '@hono/node-server'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { hasCode, ReflashError } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'
import { refusalOf } from './guard-request.ts'
import { limits } from './limits.ts'
import { hostOf, isLoopback, type ListenAddress } from '../core/listen-address.ts'
import {
  badRequest,
  defaultHeaders,
  refusalHeaders,
  internalError,
  refusalOfError,
  refuse,
  writeRefusal,
} from './refuse.ts'
import { statusResponse } from './status-error.ts'
import type { TlsFiles } from './tls-files.ts'

/** How long clients may take. */
export interface Patience {
  /** For a whole header, from the connection or the last answer on. */
  headersMs: number
  /** For a whole request; an answer may take as long as its route likes. */
  requestMs: number
  /** For the next request on the same connection. */
  keepAliveMs: number
  /** For taking anything of an answer. */
  stuckMs: number
  /** For saying goodbye, once the server closes. */
  closeMs: number
}
const defaultPatience: Patience = {
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 5000,
  stuckMs: 30_000,
  closeMs: 1000,
}
/** How late a limit of the header or the request may take hold. */
const checkIntervalMs = 1000
const tlsHandshakeMs = 10_000
const maxRequestsPerSocket = 1000
export interface HttpServerOptions {
  listen: ListenAddress
  /** The routes. The request is always a GET without a body; its signal is aborted when nobody waits any more. */
  fetch: (request: Request, env: HttpBindings) => Response | Promise<Response>
  /** Whether requests carry tokens. Where they do not, only local names are served. */
  needsToken: boolean
  maxConnections: number
  clock: Clock
  /** Hears of what a route threw; the client learns no details. */
  onBug: (error: unknown) => void
  tls?: TlsFiles
  patience?: Partial<Patience>
}

export interface HttpServer {
  /** Where it listens, such as `http://127.0.0.1:8080`. */
  url: string
  /** Takes no more connections, ends all streams, and resolves when every connection is closed, within seconds. */
  close(): Promise<void>
}

/** Listens, and lets only small well-formed reads through to the routes. @throws ReflashError `Invalid` when it cannot listen. */
export async function startServer(options: HttpServerOptions): Promise<HttpServer> {
  const { listen, tls, clock } = options
  const patience = { ...defaultPatience, ...options.patience }
  const open = new Set<OpenRequest>()
  let closing = false
  const server = createNodeServer(tls, patience)
  server.maxConnections = options.maxConnections
  server.maxRequestsPerSocket = maxRequestsPerSocket
  // Node drops what is beyond without a word; one more tells that there was more.
  server.maxHeadersCount = limits.headerFields + 1

  const route = getRequestListener((request, env) => answer(request, env as HttpBindings), {
    // The process has other users of fetch.
    overrideGlobalObjects: false,
    autoCleanupIncoming: false,
    // What cannot be made a URL of, such as a Host that only looks like one.
    errorHandler(error) {
      if (error instanceof RequestError) return statusResponse(badRequest, refusalHeaders(badRequest))
      options.onBug(error)
      return internalError()
    },
  })
  const answer = async (asked: Request, env: HttpBindings): Promise<Response> => {
    const gone = new AbortController()
    // A HEAD is answered by the route of its GET. The request is kept, because its signal hangs by it.
    const request = new Request(asked.url, { headers: asked.headers, signal: gone.signal })
    const entry = { gone, request }
    open.add(entry)
    env.outgoing.once('close', () => {
      open.delete(entry)
      gone.abort()
      if (closing) server.closeIdleConnections()
    })
    if (closing) gone.abort()
    const onError = (error: unknown): void => {
      if (!gone.signal.aborted) options.onBug(error)
    }
    const response = await routed(() => options.fetch(request, env), onError)
    const headers = withDefaults(response.headers)
    // An older client would take the lengths of chunks for content.
    if (env.incoming.httpVersion !== '1.1') headers.delete('Transfer-Encoding')
    if (asked.method === 'HEAD') await response.body?.cancel()
    const body =
      asked.method === 'HEAD' || !response.body
        ? null
        : guarded(response.body, (error) => {
            // Whoever takes nothing is cut off: that is theirs, and no bug.
            if (!hasCode(error, 'Timeout')) onError(error)
            env.outgoing.destroy()
          })
    return new Response(body, { status: response.status, headers })
  }

  const localHosts = options.needsToken ? undefined : localNames(listen)
  /** The last answer of each connection that is not over. */
  const answering = new Map<Duplex, ServerResponse>()
  const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const { socket } = incoming
    const before = answering.get(socket)
    answering.set(socket, outgoing)
    outgoing.once('close', () => {
      if (answering.get(socket) === outgoing) answering.delete(socket)
    })
    // One after the other: answers to all that was sent at once would wait in memory for the slowest.
    if (before) before.once('close', () => onTurn(incoming, outgoing))
    else onTurn(incoming, outgoing)
  }
  const onTurn = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    // The connection ended with the answer before.
    if (!outgoing.socket) return void answering.delete(incoming.socket)
    const refusal = refusalOf(incoming, localHosts)
    if (refusal) refuse({ incoming, outgoing }, refusal, clock)
    else void route(incoming, outgoing)
  }
  server.on('request', onRequest)
  // Nobody is asked to send a body that will be refused.
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('connect', (incoming: IncomingMessage, socket: Duplex) => {
    writeRefusal(socket, refusalOf(incoming, localHosts) ?? badRequest)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // An answer that has begun cannot be followed by another one.
    if (answering.has(socket) || error.code === 'ECONNRESET') socket.destroy()
    else writeRefusal(socket, refusalOfError(error))
  })
  server.on('timeout', (socket: Socket) => {
    // A stream may be silent for long; what waits here is a client that takes nothing, or that asks for nothing.
    if (!answering.has(socket) || socket.writableLength > 0) socket.destroy()
  })

  await listening(server, listen)
  return {
    url: urlOf(server, listen, tls !== undefined),
    close: () => {
      closing = true
      return new Promise((resolve) => {
        const cancel = clock.after(patience.closeMs, () => server.closeAllConnections())
        server.close(() => {
          cancel()
          resolve()
        })
        for (const { gone } of open) gone.abort()
      })
    },
  }
}

interface OpenRequest {
  gone: AbortController
  request: Request
}

function createNodeServer(tls: TlsFiles | undefined, patience: Patience): Server {
  const settings = {
    headersTimeout: patience.headersMs,
    requestTimeout: patience.requestMs,
    keepAliveTimeout: patience.keepAliveMs,
    connectionsCheckingInterval: Math.min(checkIntervalMs, patience.headersMs),
    maxHeaderSize: limits.headerBytes,
    // Asked for by the guard, which answers like everything else.
    requireHostHeader: false,
  }
  const server = tls
    ? createTlsServer({ ...settings, ...tls.read(), minVersion: 'TLSv1.2', handshakeTimeout: tlsHandshakeMs })
    : createServer(settings)
  server.setTimeout(patience.stuckMs)
  if (tls && 'setSecureContext' in server) {
    // Before Node's own listener, which begins the handshake with what the server has.
    server.prependListener('connection', () => {
      const changed = tls.readIfChanged()
      if (changed) server.setSecureContext({ ...changed, minVersion: 'TLSv1.2' })
    })
  }
  return server
}

async function listening(server: Server, listen: ListenAddress): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      const why =
        error.code === 'EADDRINUSE' ? 'is in use by another process' : `cannot be used: ${error.message}`
      reject(
        new ReflashError(
          'Invalid',
          `${hostOf(listen)}:${listen.port} ${why}; give another address with --listen, or none`,
          { cause: error },
        ),
      )
    }
    server.once('error', fail)
    server.listen({ ...listen, exclusive: true }, () => {
      server.off('error', fail)
      resolve()
    })
  })
}

function urlOf(server: Server, listen: ListenAddress, isTls: boolean): string {
  const { port } = server.address() as AddressInfo
  return `${isTls ? 'https' : 'http'}://${hostOf(listen)}:${port}`
}

/** A name that another one's page can have point here is none of these. */
const localNames = (listen: ListenAddress): ReadonlySet<string> =>
  new Set([
    'localhost',
    '127.0.0.1',
    '[::1]',
    ...(isLoopback(listen.host) ? [hostOf(listen).toLowerCase()] : []),
  ])

async function routed(
  fetch: () => Response | Promise<Response>,
  onError: (error: unknown) => void,
): Promise<Response> {
  try {
    return await fetch()
  } catch (error) {
    onError(error)
    return internalError()
  }
}

function withDefaults(given: Headers): Headers {
  const headers = new Headers(given)
  for (const [name, value] of Object.entries(defaultHeaders)) {
    if (!headers.has(name)) headers.set(name, value)
  }
  return headers
}

/** The same bytes; `onError` hears at once of what its source throws, also while nobody reads, and the stream just ends. */
function guarded(
  body: ReadableStream<Uint8Array>,
  onError: (error: unknown) => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  reader.closed.catch(onError)
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (done) controller.close()
          else controller.enqueue(value)
        } catch {
          controller.close()
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
