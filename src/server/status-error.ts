/** Why a request was refused, in the words that Kubernetes clients know. */
export type StatusReason =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'Expired'
  | 'Gone'
  | 'RequestEntityTooLarge'
  | 'RequestURITooLong'
  | 'Invalid'
  | 'TooManyRequests'
  | 'InternalError'
  | 'ServiceUnavailable'
  | 'Timeout'

export interface StatusDetails {
  name?: string
  group?: string
  /** The plural of the kind, such as `devices`. */
  kind?: string
  causes?: { reason?: string; message?: string; field?: string }[]
  retryAfterSeconds?: number
}

/** A refusal as Kubernetes clients read it. */
export interface Status {
  kind: 'Status'
  apiVersion: 'v1'
  metadata: Record<string, never>
  status: 'Failure'
  message: string
  reason: StatusReason
  details?: StatusDetails
  code: number
}

/** The body of a refusal; `message` is for the person at the other end and must hold no secret. */
export const statusError = (
  code: number,
  reason: StatusReason,
  message: string,
  details?: StatusDetails,
): Status => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message,
  reason,
  ...(details ? { details } : {}),
  code,
})

/** The answer that carries a refusal. */
export const statusResponse = (status: Status, headers: Record<string, string> = {}): Response =>
  new Response(`${JSON.stringify(status)}\n`, {
    status: status.code,
    headers: {
      'Content-Type': 'application/json',
      ...(status.details?.retryAfterSeconds === undefined
        ? {}
        : { 'Retry-After': String(status.details.retryAfterSeconds) }),
      ...headers,
    },
  })
