import type { Dispatcher } from 'undici'
import { ReflashError } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import { codeOf, fetchFailed, reflashErrorIn } from './foreign-error.ts'
import { type HttpClient, shownUrl } from './http-client.ts'
import { type PartialFile, tooLarge } from './partial-file.ts'

export interface DownloadLimits {
  maxBytes: number
  /** For the whole download, with all its resumptions. */
  deadlineMs: number
  /** Without a byte for this long a transfer counts as cut. */
  idleMs: number
  /** How often a transfer that was cut is taken up again. */
  maxResumes: number
  /** Before the first resumption; twice that before the second, and so on. */
  resumePauseMs: number
}

interface Parts {
  client: HttpClient
  clock: Clock
  limits: DownloadLimits
}

/** A transfer that the server had begun: a failure before that is left to whoever asks again. */
const isCut = (error: unknown, { hasAnswered }: Seen): boolean =>
  hasAnswered && reflashErrorIn(error) === undefined && codeOf(error) !== undefined

/**
 * Fetches the file of a URL, taking a cut transfer up where it ended if the server says by its ETag that the file is
 * still the same one.
 * @throws ReflashError `UrlRefused`, `TooLarge`, `NotFound`, `FetchFailed`; the signal's reason on abort.
 */
export async function download(
  url: URL,
  partial: PartialFile,
  parts: Parts,
  signal: AbortSignal,
): Promise<void> {
  const { clock, limits } = parts
  const deadline = new AbortController()
  const overdue = new ReflashError(
    'FetchFailed',
    `${shownUrl(url)} took longer than ${limits.deadlineMs / 1000} s`,
  )
  const cancel = clock.after(limits.deadlineMs, () => deadline.abort(overdue))
  const either = AbortSignal.any([signal, deadline.signal])
  const seen: Seen = { hasAnswered: false, etag: undefined }
  try {
    for (let resumes = 1; ; resumes += 1) {
      try {
        return await transfer({ url, partial, seen }, parts, either)
      } catch (error) {
        either.throwIfAborted()
        const failure = fetchFailed(`${shownUrl(url)} cannot be fetched`, error)
        if (!isCut(error, seen) || resumes > limits.maxResumes) throw failure
      }
      await clock.sleep(limits.resumePauseMs * resumes, either)
    }
  } finally {
    cancel()
  }
}

/** What the server has said of the file in earlier transfers. */
interface Seen {
  hasAnswered: boolean
  etag: string | undefined
}

interface Transfer {
  url: URL
  partial: PartialFile
  seen: Seen
}

async function transfer(
  what: Transfer,
  { client, clock, limits }: Parts,
  signal: AbortSignal,
): Promise<void> {
  const { url, partial, seen } = what
  const idle = new AbortController()
  const idleError = Object.assign(new Error(`no data for ${limits.idleMs / 1000} s`), { code: 'ETIMEDOUT' })
  const arm = () => clock.after(limits.idleMs, () => idle.abort(idleError))
  let disarm = arm()
  try {
    const headers = await requestHeaders(partial, seen)
    const response = await client.get(url, headers, AbortSignal.any([signal, idle.signal]))
    try {
      await accept(response, what, limits.maxBytes)
      seen.hasAnswered = true
      for await (const chunk of response.body) {
        disarm()
        disarm = arm()
        await partial.append(chunk as Uint8Array)
      }
    } finally {
      response.body.destroy()
    }
  } catch (error) {
    throw idle.signal.aborted && !(error instanceof ReflashError) ? idleError : error
  } finally {
    disarm()
  }
}

async function requestHeaders(partial: PartialFile, { etag }: Seen): Promise<Record<string, string>> {
  // The digest is of the file as it lies on the server, compressed or not.
  const headers = { 'accept-encoding': 'identity', 'user-agent': 'reflash' }
  if (partial.sizeBytes === 0) return headers
  if (etag !== undefined) return { ...headers, range: `bytes=${partial.sizeBytes}-`, 'if-range': etag }
  await partial.restart()
  return headers
}

/** Judges a response by its head, and makes the partial file fit what follows. */
async function accept(response: Dispatcher.ResponseData, what: Transfer, maxBytes: number): Promise<void> {
  const { url, partial, seen } = what
  const { statusCode, headers } = response
  switch (statusCode) {
    case 200:
      if (partial.sizeBytes > 0) await partial.restart()
      seen.etag = strongEtag(headers['etag'])
      break
    case 206:
      if (!String(headers['content-range']).startsWith(`bytes ${partial.sizeBytes}-`)) {
        throw new ReflashError(
          'FetchFailed',
          `${shownUrl(url)} answered with another part than was asked for`,
        )
      }
      break
    case 404:
    case 410:
      throw new ReflashError('NotFound', `${shownUrl(url)} answered ${statusCode}: there is no such file`)
    default:
      throw new ReflashError('FetchFailed', `${shownUrl(url)} answered with status ${statusCode}`)
  }
  const length = Number(headers['content-length'] ?? 0)
  if (partial.sizeBytes + length > maxBytes) throw tooLarge(partial.sizeBytes + length, maxBytes)
}

/** A weak ETag says nothing of single bytes. */
const strongEtag = (etag: string | string[] | undefined): string | undefined =>
  typeof etag === 'string' && etag.startsWith('"') ? etag : undefined
