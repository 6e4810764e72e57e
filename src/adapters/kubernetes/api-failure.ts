import { ReflashError, type ErrorCode } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { ApiAnswer } from './transport.ts'

/** What every answer of an API server has; on the way to it others may answer, with pages for people. */
interface ApiBody {
  apiVersion: string
  kind: string
}

/** The part of a `v1` Status that says what went wrong. */
interface Status extends ApiBody {
  reason?: string
  message?: string
}

const codes: Readonly<Record<number, ErrorCode>> = {
  400: 'Invalid',
  401: 'Forbidden',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  413: 'Invalid',
  422: 'Invalid',
}

/** What an answer other than a success of an API server means, in the answer's own words; `what` was asked for. */
export function failureOf({ status, body }: ApiAnswer, what: string): ReflashError | undefined {
  const isFromApi = isApiBody(body)
  if (status >= 200 && status < 300) {
    if (isFromApi) return undefined
    return new ReflashError('ServerUnavailable', `${what}: HTTP ${status}, but no answer of an API server`, {
      cause: { status },
    })
  }
  const { reason, message }: Partial<Status> = isFromApi ? body : {}
  const said = message ?? (typeof body === 'string' ? body : '')
  const known = isFromApi ? codes[status] : undefined
  const code = reason === 'AlreadyExists' ? reason : (known ?? 'ServerUnavailable')
  return new ReflashError(code, `${what}: ${printable(said === '' ? `HTTP ${status}` : said, 500)}`, {
    cause: { status, reason },
  })
}

/** Whether an API server says that there is no such object. */
export const isAbsent = ({ status, body }: ApiAnswer): boolean =>
  status === 404 && isApiBody(body) && (body as Status).reason === 'NotFound'

function isApiBody(body: unknown): body is ApiBody {
  const { apiVersion, kind } = (body ?? {}) as Partial<ApiBody>
  return typeof apiVersion === 'string' && typeof kind === 'string'
}
