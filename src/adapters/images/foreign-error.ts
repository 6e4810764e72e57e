import { ReflashError, messageOf } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'

/** The code of a system or library error, such as ENOENT. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

/** A ReflashError that a library may have wrapped on its way here. */
export function reflashErrorIn(error: unknown): ReflashError | undefined {
  if (error instanceof ReflashError) return error
  if (error instanceof AggregateError) {
    return error.errors.map(reflashErrorIn).find((inner) => inner !== undefined)
  }
  return error instanceof Error && error.cause !== undefined ? reflashErrorIn(error.cause) : undefined
}

/** `FetchFailed` with what was being done, in words; a ReflashError stays as it is, and so does a bug of ours. */
export function fetchFailed(what: string, error: unknown): unknown {
  const known = reflashErrorIn(error)
  if (known) return known
  const code = codeOf(error)
  if (code === undefined) return error
  // Node leaves the message of an AggregateError empty.
  const why = messageOf(error) || code
  return new ReflashError('FetchFailed', `${what}: ${printable(why, 200)}`, { cause: error })
}
