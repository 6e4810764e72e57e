import type { Collection } from './collection.ts'
import { statusError, type Status } from './status-error.ts'
import { quoted } from '../core/printable.ts'

export const forbidden = statusError(403, 'Forbidden', 'this token may not read that')

export const notReady = statusError(503, 'ServiceUnavailable', 'the state is still being read', {
  retryAfterSeconds: 1,
})

export const tooManyWatches = statusError(429, 'TooManyRequests', 'there are too many watches', {
  retryAfterSeconds: 5,
})

/** Nothing that the client takes can be written. */
export const notAcceptable = statusError(
  406,
  'NotAcceptable',
  'only the following media types are accepted: application/json',
)

export function notFound({ info }: Collection, name: string): Status {
  const { group, plural } = info
  const resource = group === '' ? plural : `${plural}.${group}`
  return statusError(404, 'NotFound', `${resource} ${quoted(name, 253)} not found`, {
    name,
    ...(group === '' ? {} : { group }),
    kind: plural,
  })
}

/** The client has seen a version that is not known here yet. */
export const tooLarge = (version: number, current: number): Status =>
  statusError(504, 'Timeout', `Too large resource version: ${version}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })

/** What a reader is told whose version is out of reach: to list again. */
export const expired = (version: number, current: number): Status =>
  statusError(
    410,
    'Expired',
    version > current
      ? `resource version ${version} is not of this state, which is at ${current}: list again`
      : `too old resource version: ${version} (${current})`,
  )
