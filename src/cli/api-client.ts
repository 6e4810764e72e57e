import { readFileSync, statSync } from 'node:fs'
import * as http from 'node:http'
import * as https from 'node:https'
import { isIP } from 'node:net'
import { rootCertificates } from 'node:tls'
import { parseDuration } from '../core/duration.ts'
import { messageOf, ReflashError } from '../core/errors.ts'
import { CliError, exitCodes, type CliContext } from './context.ts'
import { shown } from './render-text.ts'
import type { ServerFlags } from './server-flags.ts'

/** Above what a page of 500 objects, or the table of a whole fleet, takes. */
const maxAnswerBytes = 256 * 2 ** 20
/** Above the largest object that the server keeps. */
const maxLineCharacters = 8 * 2 ** 20

/** The server refused, or could not be reached. */
export class ServerError extends CliError {
  /** HTTP status; absent where there was no answer. */
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined

  constructor(message: string, answer: { status?: number; retryAfterMs?: number; cause?: unknown } = {}) {
    const isOurs = answer.status !== undefined && ![401, 403].includes(answer.status)
    super(message, isOurs ? exitCodes.failure : exitCodes.usage, { cause: answer.cause })
    this.name = 'ServerError'
    this.status = answer.status
    this.retryAfterMs = answer.retryAfterMs
  }

  /** Whether the same request may be answered later: the server is away, restarts, or has too much to do. */
  get mayPass(): boolean {
    return this.status === undefined || this.status === 429 || this.status >= 500
  }
}

export interface Answer {
  /** Undefined for 304, which only a request with an `etag` gets. */
  body: unknown
  etag?: string
}

interface RequestOptions {
  accept?: string
  /** Answered with 304 while nothing has changed. */
  etag?: string
}

interface StreamOptions {
  accept: string
  headers?: Record<string, string>
  /** Silence after which the connection counts as lost. */
  idleMs: number
}

/** A running Reflash. Paths begin with "/"; every failure is a `ServerError` in words. */
export interface Api {
  /** As given, for sentences. */
  readonly url: string
  json(path: string, options?: RequestOptions): Promise<Answer>
  /** The lines of an answer that goes on; ends with it. Leaving the loop ends the request. */
  lines(path: string, options: StreamOptions): AsyncGenerator<string, void, undefined>
  close(): void
}

type ApiContext = Pick<CliContext, 'clock' | 'signal' | 'stderr'>

/** What an API is opened with besides its flags. */
interface ApiOptions {
  /** Whether what the server warns of is told on stderr, each thing once; a screen or a completion would be spoilt by it. */
  warns?: boolean
}

/** @throws CliError for flags that cannot be used. */
export function openApi(flags: ServerFlags, context: ApiContext, { warns = false }: ApiOptions = {}): Api {
  const url = readUrl(flags.server)
  const token = flags.tokenFile === undefined ? undefined : readToken(flags.tokenFile)
  const timeoutMs = readTimeout(flags.timeout)
  const ca =
    flags.caFile === undefined ? undefined : [...rootCertificates, readText('--ca-file', flags.caFile)]
  if (token !== undefined && url.protocol === 'http:' && !isLoopback(url.hostname)) {
    context.stderr.write(`warning: the token goes unencrypted to ${url.origin}; use https\n`)
  }
  const agent =
    url.protocol === 'https:'
      ? new https.Agent({ keepAlive: true, ...(ca ? { ca } : {}) })
      : new http.Agent({ keepAlive: true })
  const base = url.pathname.replace(/\/+$/, '')
  const warned = new Set<string>()
  const warn = (header: string | undefined): void => {
    const text = warningIn(header)
    if (!warns || text === undefined || warned.has(text)) return
    warned.add(text)
    context.stderr.write(`warning: ${text}\n`)
  }

  /** Resolves with the head of the answer; `end` cancels whatever is left of it. */
  const open = (path: string, headers: Record<string, string>): Opened => {
    const { request } = url.protocol === 'https:' ? https : http
    const sent = request(new URL(base + path, url), {
      agent,
      headers: { ...headers, ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }) },
      signal: context.signal,
    })
    const failed = new Promise<never>((_resolve, reject) => {
      sent.on('error', (error) => reject(context.signal.aborted ? context.signal.reason : error))
    })
    failed.catch(() => {})
    const answered = new Promise<http.IncomingMessage>((resolve) => {
      sent.once('response', (answer) => {
        // What breaks later is told by reading it.
        answer.on('error', () => {})
        warn(answer.headers.warning)
        resolve(answer)
      })
    })
    sent.end()
    return { head: Promise.race([answered, failed]), end: (error) => void sent.destroy(error) }
  }

  const inWords = (error: unknown): unknown => {
    if (context.signal.aborted) return context.signal.reason
    return error instanceof CliError
      ? error
      : new ServerError(connectionWords(error, url.origin), { cause: error })
  }

  const json = async (
    path: string,
    { accept = 'application/json', etag }: RequestOptions = {},
  ): Promise<Answer> => {
    const opened = open(path, { Accept: accept, ...(etag === undefined ? {} : { 'If-None-Match': etag }) })
    const cancel = context.clock.after(timeoutMs, () => opened.end(timedOut(url, flags.timeout)))
    try {
      const answer = await opened.head
      const text = await readAll(answer)
      if (answer.statusCode === 304) return { body: undefined, ...(etag === undefined ? {} : { etag }) }
      if (answer.statusCode !== 200) throw refused(answer, text, url)
      const tag = answer.headers.etag
      return { body: parse(text, url), ...(tag === undefined ? {} : { etag: tag }) }
    } catch (error) {
      opened.end()
      throw inWords(error)
    } finally {
      cancel()
    }
  }

  async function* lines(
    path: string,
    { accept, headers, idleMs }: StreamOptions,
  ): AsyncGenerator<string, void> {
    const opened = open(path, { Accept: accept, ...headers })
    let cancel = context.clock.after(timeoutMs, () => opened.end(timedOut(url, flags.timeout)))
    try {
      const answer = await opened.head
      if (answer.statusCode !== 200) throw refused(answer, await readAll(answer), url)
      let rest = ''
      const heard = (): void => {
        cancel()
        cancel = context.clock.after(idleMs, () => answer.destroy(new Error('the server fell silent')))
      }
      heard()
      for await (const chunk of answer.setEncoding('utf8') as AsyncIterable<string>) {
        heard()
        const parts = (rest + chunk).split('\n')
        rest = parts.pop()!
        if (rest.length > maxLineCharacters) throw new ServerError(`${url.origin} sent a line without an end`)
        yield* parts
      }
    } catch (error) {
      throw inWords(error)
    } finally {
      cancel()
      opened.end()
    }
  }

  return { url: url.origin + base, json, lines, close: () => agent.destroy() }
}

/** Opens the API for the time of the work. */
export async function useApi<T>(
  flags: ServerFlags,
  context: CliContext,
  work: (api: Api) => Promise<T>,
  options: ApiOptions = {},
): Promise<T> {
  const api = openApi(flags, context, options)
  try {
    return await work(api)
  } finally {
    api.close()
  }
}

interface Opened {
  head: Promise<http.IncomingMessage>
  end: (error?: Error) => void
}

function readUrl(text: string): URL {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new CliError(
      `--server must be a URL such as http://127.0.0.1:8080, found "${shown(text)}"`,
      exitCodes.usage,
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw new CliError('--server must hold no user or password; use --token-file', exitCodes.usage)
  }
  return url
}

function readTimeout(text: string): number {
  try {
    return parseDuration(text)
  } catch (error) {
    throw new CliError(`--timeout: ${messageOf(error)}`, exitCodes.usage, { cause: error })
  }
}

/** A token that others on this machine can read is none. */
function readToken(file: string): string {
  const token = readText('--token-file', file).trim()
  const { mode } = statSync(file)
  if ((mode & 0o077) !== 0) {
    throw new CliError(
      `--token-file: ${file} can be read by others (mode ${(mode & 0o777).toString(8)}); chmod 600 it`,
      exitCodes.usage,
    )
  }
  if (!/^[\x21-\x7e]{1,4096}$/.test(token)) {
    throw new CliError(`--token-file: ${file} must hold one token and nothing else`, exitCodes.usage)
  }
  return token
}

function readText(flag: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new CliError(`${flag}: ${messageOf(error)}`, exitCodes.usage, { cause: error })
  }
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'))

const timedOut = (url: URL, timeout: string): ServerError =>
  new ServerError(`${url.origin} did not answer within ${timeout}; raise --timeout if it is only slow`)

async function readAll(answer: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxAnswerBytes)
      throw new ServerError(`the answer is larger than ${maxAnswerBytes / 2 ** 20} MiB`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parse(text: string, url: URL): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ServerError(`${url.origin} answered something that is no JSON; is it a Reflash?`, {
      cause: error,
    })
  }
}

/** One sentence for an answer that is no success: the server's own, a `Status` or a problem, where it has one. */
function refused(answer: http.IncomingMessage, text: string, url: URL): ServerError {
  const status = answer.statusCode ?? 0
  const seconds = Number(answer.headers['retry-after'])
  const wait = Number.isFinite(seconds) && seconds > 0 ? { retryAfterMs: Math.min(seconds, 60) * 1000 } : {}
  return new ServerError(refusalWords(status, text, url), { status, ...wait })
}

function refusalWords(status: number, text: string, url: URL): string {
  if (status === 401) return `${url.origin} wants a token it knows (401); give --token-file`
  const said = sentenceOf(text)
  if (status === 403) return `${said ?? 'the server refuses'} (403)`
  return said ?? `${url.origin} answered ${status}; is it a Reflash?`
}

/** What a server of Kubernetes' kind warns of: `299 - "text"`. */
function warningIn(header: string | undefined): string | undefined {
  const quoted = /^299 \S+ "((?:[^"\\]|\\.)*)"/.exec(header ?? '')?.[1]
  return quoted === undefined ? undefined : shown(quoted.replaceAll(/\\(.)/g, '$1').slice(0, 1000))
}

function sentenceOf(text: string): string | undefined {
  try {
    const { message, detail, title } = JSON.parse(text) as Record<string, unknown>
    const said = [message, detail, title].find(
      (part): part is string => typeof part === 'string' && part !== '',
    )
    return said === undefined ? undefined : shown(said.slice(0, 1000))
  } catch {
    return undefined
  }
}

function connectionWords(error: unknown, origin: string): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'ECONNREFUSED') {
    return `no Reflash answers at ${origin}; is \`reflash run\` running? give --server`
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `${origin}: no such host; give --server`
  if (/CERT|SIGNATURE|ISSUER/.test(code)) {
    return `the certificate of ${origin} is not trusted (${code}); give --ca-file`
  }
  if (code === 'EPROTO') return `${origin} does not speak TLS, or another version of it: ${code}`
  const said = error instanceof ReflashError ? error.message : messageOf(error)
  return `the connection to ${origin} broke: ${shown(said)}`
}
