import { ReflashError, type ErrorCode } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { ApiAnswer } from './transport.ts'

/** The part of a `v1` Status that says what went wrong. */
interface Status {
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

/** What an answer other than a success means, in the server's own words; `what` was asked for. */
export function failureOf({ status, body }: ApiAnswer, what: string): ReflashError | undefined {
  if (status >= 200 && status < 300) return undefined
  const { reason, message } = (typeof body === 'object' && body !== null ? body : {}) as Status
  const said = message ?? (typeof body === 'string' ? body : '')
  const code = reason === 'AlreadyExists' ? 'AlreadyExists' : (codes[status] ?? 'ServerUnavailable')
  return new ReflashError(code, `${what}: ${printable(said === '' ? `HTTP ${status}` : said, 500)}`, {
    cause: { status, reason },
  })
}
