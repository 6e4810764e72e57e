import { messageOf, ReflashError, type ErrorCode } from '../../core/errors.ts'

/** What SQLite's result codes mean for whoever runs Reflash (https://www.sqlite.org/rescode.html). */
const meanings: Readonly<Record<number, { code: ErrorCode; means: string }>> = {
  1: {
    code: 'StateCorrupt',
    means: 'is damaged: its tables are not those of Reflash; restore it from a backup',
  },
  5: { code: 'StateUnusable', means: 'is held by another program; close that and start again' },
  6: { code: 'StateUnusable', means: 'is held by another program; close that and start again' },
  8: {
    code: 'StateUnusable',
    means: 'cannot be written; look at its permissions and at how the disk is mounted',
  },
  10: { code: 'StateUnusable', means: 'cannot be read or written: the disk reports an error' },
  11: { code: 'StateCorrupt', means: 'is damaged; restore it from a backup, and look at the disk' },
  13: { code: 'StateFull', means: 'cannot be written: the disk is full' },
  14: { code: 'StateUnusable', means: 'cannot be opened; look at its permissions and those of its folder' },
  26: {
    code: 'StateCorrupt',
    means: 'is not a state file of Reflash, or is damaged; restore it from a backup',
  },
}

/** The result code of an error of SQLite, without the details; undefined for any other error. */
export function resultCodeOf(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | undefined)?.errcode
  return typeof code === 'number' ? code & 0xff : undefined
}

/** Says in one sentence what is wrong with the file. A ReflashError stays as it is. */
export function stateError(path: string, error: unknown): ReflashError {
  if (error instanceof ReflashError) return error
  const resultCode = resultCodeOf(error)
  const meaning = resultCode === undefined ? undefined : meanings[resultCode]
  // A number that does not fit, in a column that only ever held small ones.
  const code =
    meaning?.code ??
    ((error as { code?: unknown }).code === 'ERR_OUT_OF_RANGE' ? 'StateCorrupt' : 'StateUnusable')
  const means = meaning?.means ?? 'cannot be used'
  return new ReflashError(code, `state file ${path} ${means} (${messageOf(error)})`, { cause: error })
}
