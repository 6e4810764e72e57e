import { once } from 'node:events'
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request as requestPlain,
  type RequestOptions,
  type Server,
  type ServerResponse,
} from 'node:http'
import { Agent as TlsAgent, createServer as createTlsServer, request as requestTls } from 'node:https'
import type { AddressInfo } from 'node:net'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { answerKey, createAnswerMemory } from './answer-memory.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { type HttpFault, type HttpRequest, isWatch, type RequestMatch, statusOf } from './http-faults.ts'
import { passedHeaders, relayAnswer, type Relay } from './http-relay.ts'
import { createHttpRules, type HttpRules } from './http-rules.ts'

/** One request. Times are in ms of the monotonic clock. */
export interface LoggedRequest extends HttpRequest {
  atMs: number
  /** What the client sent, once that is whole. */
  body: string
  /** What the client was told; undefined as long as it was told nothing. */
  status: number | undefined
  /** When the answer was over, in whatever way. */
  endedMs: number | undefined
}

/**
 * An HTTP/1.1 proxy on the loopback, made for the API of Kubernetes, that does harm on demand:
 *
 *     const proxy = await startHttpFaultProxy({ to: 'https://127.0.0.1:6443', ca, tls: { key, cert } })
 *     const off = proxy.add({ kind: 'answer', code: 429, retryAfterSeconds: 1 }, { method: 'PATCH', path: /\/status$/ })
 *     proxy.add({ kind: 'errorEvent', code: 410 }, { path: /\/devices$/, times: 1 })
 *     proxy.tcp.add({ kind: 'stall' })
 *     ... the client talks to proxy.origin ...
 *     off()
 *     await proxy.close()
 */
export interface HttpFaultProxy {
  readonly origin: string
  /** All so far, in the order in which they came. */
  readonly requests: readonly LoggedRequest[]
  /** What carries the connections of clients, with faults of its own. */
  readonly tcp: FaultProxy
  /** Switches a fault on, for new requests and for watches that run; the returned function switches it off. */
  add(fault: HttpFault, match?: RequestMatch): () => void
  /** Switches all of them off, those of `tcp` too. */
  clear(): void
  close(): Promise<void>
}

export interface HttpFaultProxyOptions {
  /** Origin of the target. */
  to: string
  /** Certificate to trust there. */
  ca?: string
  /** Certificate and key, in PEM, to be TLS ourselves. */
  tls?: { key: string; cert: string }
  clock?: Clock
}

type Refusal = Extract<HttpFault, { kind: 'answer' }>

interface Parts {
  send: (url: string, options: RequestOptions) => ClientRequest
  clock: Clock
  rules: HttpRules
  requests: LoggedRequest[]
}

const refuse = (sink: ServerResponse, { code, retryAfterSeconds }: Refusal) => {
  const headers = {
    'content-type': 'application/json',
    ...(retryAfterSeconds !== undefined && { 'retry-after': `${retryAfterSeconds}` }),
  }
  sink.writeHead(code, headers).end(JSON.stringify(statusOf(code, retryAfterSeconds)))
}

/** A connection for each request: one that is kept may be closed by the target just when it is used again. */
const sender = ({ to, ca }: HttpFaultProxyOptions): Parts['send'] => {
  if (!to.startsWith('https:')) return (url, options) => requestPlain(to + url, { ...options, agent: false })
  const agent = new TlsAgent({ ca, keepAlive: false })
  return (url, options) => requestTls(to + url, { ...options, agent })
}

const createHandler = ({ send, clock, rules, requests }: Parts) => {
  const memory = createAnswerMemory()

  return (incoming: IncomingMessage, sink: ServerResponse): void => {
    const { pathname: path, searchParams: query } = new URL(`http://proxy${incoming.url}`)
    const request = { method: incoming.method ?? '', path, query }
    const entry: LoggedRequest = {
      ...request,
      atMs: clock.monotonic(),
      body: '',
      status: undefined,
      endedMs: undefined,
    }
    requests.push(entry)
    const body: Buffer[] = []
    incoming.on('data', (bytes: Buffer) => body.push(bytes))
    incoming.on('end', () => (entry.body = Buffer.concat(body).toString()))
    let relay: Relay | undefined
    const inForce = rules.inForce(request, () => relay?.turn())
    sink.once('close', () => {
      entry.endedMs = clock.monotonic()
      inForce.end()
    })

    const refusal = inForce.strike('answer')
    if (refusal) {
      entry.status = refusal.code
      incoming.resume()
      return refuse(sink, refusal)
    }
    const key =
      request.method === 'GET' && !isWatch(request) ? answerKey(request, incoming.headers.accept) : undefined
    if (key !== undefined && inForce.hold('stale') && memory.replay(key, sink)) {
      entry.status = 200
      return
    }
    const outgoing = send(incoming.url ?? '/', {
      method: request.method,
      headers: { ...passedHeaders(incoming), 'accept-encoding': 'identity' },
    })
    outgoing.on('response', (source) => {
      if (key !== undefined) memory.watch(key, source)
      const areEvents =
        isWatch(request) && source.statusCode === 200 && /json/.test(source.headers['content-type'] ?? '')
      const onHead = () => (entry.status = source.statusCode)
      relay = relayAnswer({ source, sink, areEvents, rules: inForce, onHead })
    })
    outgoing.on('error', () => relay ?? sink.destroy())
    sink.once('close', () => outgoing.destroy())
    incoming.pipe(outgoing)
  }
}

export const startHttpFaultProxy = async (options: HttpFaultProxyOptions): Promise<HttpFaultProxy> => {
  const { tls, clock = systemClock } = options
  const rules = createHttpRules()
  const requests: LoggedRequest[] = []
  const handler = createHandler({ send: sender(options), clock, rules, requests })
  // Connections last until somebody wants them to end.
  const lasting = { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }
  const server: Server = tls
    ? createTlsServer({ ...lasting, ...tls }, handler)
    : createServer(lasting, handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const tcp = await startFaultProxy({ port: (server.address() as AddressInfo).port, clock })
  return {
    origin: `${tls ? 'https' : 'http'}://127.0.0.1:${tcp.port}`,
    requests,
    tcp,
    add: (fault, match = {}) => rules.add(fault, match),
    clear: () => {
      rules.clear()
      tcp.clear()
    },
    close: async () => {
      await tcp.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
