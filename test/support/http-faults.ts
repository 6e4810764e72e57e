/** What an HTTP fault proxy does to requests, to their answers, and to the streams of watches that are running. */
export type HttpFault =
  /** A refusal in the words of an API server; the target hears nothing of the request. */
  | { kind: 'answer'; code: StatusCode; retryAfterSeconds?: number }
  /** The target gets the request; of its answer nothing comes, or nothing more, and no end, until this is off. */
  | { kind: 'stall' }
  /** The target gets the request; then the connection is closed, in the middle of a stream or instead of the answer. */
  | { kind: 'lose' }
  /** A GET gets the last answer from before this was on, or the first one from then on. Watches are as ever. */
  | { kind: 'stale' }
  /** The body in pieces of at most so many bytes. */
  | { kind: 'slice'; bytes: number }
  /** The connection is closed in the middle of a body, and of a line of a watch. */
  | { kind: 'cut' }
  /** A watch ends as it should, but now. */
  | { kind: 'endWatch' }
  /** A watch says that it failed, and ends. */
  | { kind: 'errorEvent'; code: StatusCode }
  /** Events wait, in order, until this is off. */
  | { kind: 'holdEvents' }
  | { kind: 'dropEvents' }
  | { kind: 'doubleEvents' }
  /** Of each two events the second comes first. */
  | { kind: 'reorderEvents' }

/** Which requests a fault is for. Without any: all. */
export interface RequestMatch {
  method?: string
  path?: string | RegExp
  /** Parameters that must be there. */
  query?: Readonly<Record<string, string | RegExp>>
  /** Only watches, or only what is none. */
  watch?: boolean
  /** The next event of a watch has to be such a one. */
  event?: (event: WatchEvent) => boolean
  /** On each watch so many more events pass first. */
  afterEvents?: number
  /** It strikes so many requests, or events in the case of `dropEvents`, `doubleEvents`, `reorderEvents`. */
  times?: number
}

export interface WatchEvent {
  type: string
  object: { kind?: string; metadata?: { name?: string; namespace?: string; resourceVersion?: string } }
}

export interface HttpRequest {
  method: string
  path: string
  query: URLSearchParams
}

export type StatusCode = keyof typeof reasons
/** As a real API server says it. */
const reasons = {
  401: { reason: 'Unauthorized', message: 'Unauthorized' },
  403: { reason: 'Forbidden', message: 'forbidden' },
  404: { reason: 'NotFound', message: 'the server could not find the requested resource' },
  409: {
    reason: 'Conflict',
    message: 'the object has been modified; please apply your changes to the latest version and try again',
  },
  410: { reason: 'Expired', message: 'too old resource version: 1 (2)' },
  429: { reason: 'TooManyRequests', message: 'Too many requests, please try again later.' },
  500: { reason: 'InternalError', message: 'Internal error occurred: etcdserver: leader changed' },
  503: { reason: 'ServiceUnavailable', message: 'the server is currently unable to handle the request' },
  504: { reason: 'Timeout', message: 'the server was unable to return a response in the time allotted' },
} as const

export const statusOf = (code: StatusCode, retryAfterSeconds?: number) => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  ...reasons[code],
  ...(retryAfterSeconds !== undefined && { details: { retryAfterSeconds } }),
  code,
})

export const isWatch = ({ query }: HttpRequest): boolean => /^(true|1)$/.test(query.get('watch') ?? '')

const fits = (text: string | null, pattern: string | RegExp): boolean =>
  text !== null && (typeof pattern === 'string' ? text === pattern : pattern.test(text))

export const isMatch = (match: RequestMatch, request: HttpRequest): boolean =>
  (match.method === undefined || match.method === request.method) &&
  (match.path === undefined || fits(request.path, match.path)) &&
  (match.watch === undefined || match.watch === isWatch(request)) &&
  Object.entries(match.query ?? {}).every(([name, pattern]) => fits(request.query.get(name), pattern))
