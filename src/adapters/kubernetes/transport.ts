import type { Dispatcher } from 'undici'
import { messageOf, ReflashError } from '../../core/errors.ts'
import { sameValue } from '../../core/same-value.ts'
import type { Clock } from '../../ports/clock.ts'
import { orAbort } from '../or-abort.ts'
import type { ClusterAccess, Credentials, TlsMaterial } from './cluster-access.ts'

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Absolute, below the server. */
  path: string
  query?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  body?: unknown
  /** Of the body; `application/json` unless told. */
  contentType?: string
  signal?: AbortSignal
  /** For the whole answer and what it takes to ask, unless it is a stream; 30 s unless told. */
  limitMs?: number
}

export interface ApiAnswer {
  status: number
  /** Parsed JSON, or the text of what is none. */
  body: unknown
  /** What Retry-After asks for. */
  retryAfterMs?: number
}

/** An answer whose body comes in pieces, as long as it likes. */
export interface ApiStream {
  status: number
  /** The lines of the body. Ends, or throws ReflashError `ServerUnavailable` when the connection breaks. */
  lines: AsyncIterable<string>
  /** The whole of the body, for an answer that is no stream. */
  text(): Promise<string>
  retryAfterMs?: number
}

/**
 * One API server over connections that are kept. Answers of any status are data; what throws is ReflashError
 * `ServerUnavailable`, and an abort rejects with the signal's reason. While the server does not answer, one request a
 * second asks whether it does again, and the others fail at once. An error over one request is an answer.
 */
export interface Transport {
  request(request: ApiRequest): Promise<ApiAnswer>
  stream(request: ApiRequest): Promise<ApiStream>
  close(): Promise<void>
}

const requestLimitMs = 30_000
const connectLimitMs = 10_000
/** An idle connection is closed before load balancers drop it (60 s is usual). */
const keepAliveMs = 30_000
/** How often a server that does not answer is asked. */
const askAgainMs = 1000
/** Longer answers than this are no answers of an API server. */
const maxTextBytes = 512 * 1024 * 1024
const maxRetryAfterMs = 60_000
/** Said by what stands before a server that is not there, and by a server that is about to go. */
const awayStatus = new Set([502, 503, 504])

export function createTransport(options: {
  access: ClusterAccess
  clock: Clock
  /** Of the program, as the server logs it. */
  userAgent: string
}): Transport {
  const { access, clock, userAgent } = options
  const closing = new AbortController()
  let connected: { tls: TlsMaterial; dispatcher: Promise<Dispatcher> } | undefined
  /** When the next request may ask a server that did not answer; undefined: it answers. */
  let nextAskAt: number | undefined

  const unavailable = (why: string, cause?: unknown): ReflashError =>
    new ReflashError('ServerUnavailable', `the API server ${access.server} ${why}`, { cause })

  const passGate = (): void => {
    if (nextAskAt === undefined) return
    if (clock.monotonic() < nextAskAt) throw unavailable('did not answer a moment ago')
    nextAskAt = clock.monotonic() + askAgainMs
  }
  const noteAnswer = (answers: boolean): void => {
    nextAskAt = answers ? undefined : clock.monotonic() + askAgainMs
  }

  /** Connections with other keys than before are other connections; what is under way on the old ones ends there. */
  const dispatcherFor = (tls: TlsMaterial): Promise<Dispatcher> => {
    if (connected && sameTls(connected.tls, tls)) return connected.dispatcher
    const old = connected?.dispatcher
    // Kept before it is open: whoever asks meanwhile shall not open another.
    const opening = { tls, dispatcher: openDispatcher(access, tls) }
    connected = opening
    opening.dispatcher.catch(() => {
      if (connected === opening) connected = undefined
    })
    void old?.then((dispatcher) => dispatcher.close()).catch(() => {})
    return opening.dispatcher
  }

  const send = async (
    { method, path, query, body, contentType = 'application/json' }: ApiRequest,
    { tls, headers }: Credentials,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> => {
    const dispatcher = await dispatcherFor(tls)
    const { origin, pathname } = new URL(access.server)
    const response = await dispatcher.request({
      origin,
      path: `${pathname === '/' ? '' : pathname}${path}`,
      method,
      headers: {
        accept: 'application/json',
        'user-agent': userAgent,
        ...headers,
        ...(body === undefined ? {} : { 'content-type': contentType }),
      },
      signal,
      ...(query ? { query } : {}),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    // An error between here and the reader would otherwise end the process; the reader gets it all the same.
    response.body.on('error', () => {})
    return response
  }

  const open = async (request: ApiRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> => {
    passGate()
    let waitsFor = 'has no credentials to be asked with'
    try {
      const credentials = await orAbort(access.credentials(), signal)
      waitsFor = 'does not answer'
      let response = await send(request, credentials, signal)
      if (response.statusCode === 401) {
        await response.body.dump()
        // A token that was rotated; once, since a token that is wrong stays wrong.
        response = await send(request, await orAbort(access.credentials({ renew: true }), signal), signal)
      }
      noteAnswer(!awayStatus.has(response.statusCode))
      return response
    } catch (error) {
      if (request.signal?.aborted) throw error
      noteAnswer(false)
      if (error instanceof ReflashError) throw error
      throw unavailable(`${waitsFor}: ${messageOf(error)}`, error)
    }
  }

  return {
    async request(request) {
      const { signal, limitMs = requestLimitMs } = request
      const limits = [closing.signal, AbortSignal.timeout(limitMs), ...(signal ? [signal] : [])]
      const response = await open(request, AbortSignal.any(limits))
      try {
        const body = parse(await response.body.text())
        return { status: response.statusCode, body, ...retryAfter(response) }
      } catch (error) {
        if (signal?.aborted) throw error
        throw unavailable(`ended its answer too early: ${messageOf(error)}`, error)
      }
    },
    async stream(request) {
      const { signal } = request
      const limits = [closing.signal, ...(signal ? [signal] : [])]
      const response = await open(request, AbortSignal.any(limits))
      const broken = (error: unknown): unknown =>
        signal?.aborted ? error : unavailable(`broke off what it was telling: ${messageOf(error)}`, error)
      return {
        status: response.statusCode,
        lines: readLines(response.body, broken),
        text: async () => {
          try {
            return await response.body.text()
          } catch (error) {
            throw broken(error)
          }
        },
        ...retryAfter(response),
      }
    },
    async close() {
      closing.abort()
      const dispatcher = await connected?.dispatcher.catch(() => undefined)
      await dispatcher?.close()
    },
  }
}

async function openDispatcher({ proxyUrl }: ClusterAccess, tls: TlsMaterial): Promise<Dispatcher> {
  // Undici takes 25 MiB, and a run over a directory does without it.
  const { Agent, ProxyAgent } = await import('undici')
  const common = {
    // With HTTP/2 an aborted request of undici 8.12 ends the process when its connection is closed later.
    allowH2: false,
    keepAliveTimeout: keepAliveMs,
    // The caller keeps the time of an answer, and a watch lasts.
    headersTimeout: 0,
    bodyTimeout: 0,
  }
  if (proxyUrl === undefined) {
    return new Agent({
      ...common,
      connect: { ...tls, timeout: connectLimitMs, keepAlive: true, noDelay: true },
    })
  }
  if (!/^https?:/.test(proxyUrl)) {
    throw new ReflashError('Invalid', `the proxy ${proxyUrl} of the kubeconfig is none for http`)
  }
  return new ProxyAgent({ ...common, uri: proxyUrl, requestTls: { ...tls, timeout: connectLimitMs } })
}

const sameTls = (a: TlsMaterial, b: TlsMaterial): boolean => sameValue(plain(a), plain(b))
const plain = ({ ca, cert, key, ...rest }: TlsMaterial) => ({
  ...rest,
  ca: String(ca ?? ''),
  cert: String(cert ?? ''),
  key: String(key ?? ''),
})

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Seconds, as API servers say it. */
function retryAfter({ headers }: Dispatcher.ResponseData): { retryAfterMs?: number } {
  const seconds = Number(headers['retry-after'])
  return headers['retry-after'] === undefined || !(seconds >= 0)
    ? {}
    : { retryAfterMs: Math.min(maxRetryAfterMs, seconds * 1000) }
}

/** Lines of any length up to a bound; what follows the last end of line is half a line, and thrown away. */
async function* readLines(
  body: AsyncIterable<Buffer>,
  broken: (error: unknown) => unknown,
): AsyncGenerator<string> {
  let parts: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of body) {
      let start = 0
      for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
        parts.push(chunk.subarray(start, end))
        const line = Buffer.concat(parts).toString('utf8')
        parts = []
        length = 0
        start = end + 1
        yield line
      }
      parts.push(chunk.subarray(start))
      length += chunk.length - start
      if (length > maxTextBytes) throw new Error(`a line of more than ${maxTextBytes} bytes`)
    }
  } catch (error) {
    throw broken(error)
  }
}
