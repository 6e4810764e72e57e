import type { Key } from '../api/resources.ts'
import { nearest } from '../api/nearest.ts'
import { parseKey } from '../core/keys.ts'
import { ReflashError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'

const shown = (text: string): string => `"${printable(text, 80)}"`
const invalid = (message: string): ReflashError => new ReflashError('Invalid', message)

/**
 * The parameters of a query, each at most once and each one known: a misspelt filter must not answer with everything.
 * @throws ReflashError `Invalid`.
 */
export function readQuery<Name extends string>(
  url: string,
  known: readonly Name[],
): Partial<Record<Name, string>> {
  const found: Partial<Record<Name, string>> = {}
  for (const [name, value] of new URL(url).searchParams) {
    if (!(known as readonly string[]).includes(name)) {
      const meant = nearest(name, known)
      throw invalid(
        `unknown query parameter ${shown(name)}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
      )
    }
    if (found[name as Name] !== undefined) throw invalid(`the query parameter ${name} is given twice`)
    found[name as Name] = value
  }
  return found
}

/** A whole number within limits. @throws ReflashError `Invalid`. */
export function readNumber(
  name: string,
  text: string | undefined,
  limits: { least: number; most: number; absent: number },
): number {
  if (text === undefined) return limits.absent
  const value = Number(text)
  if (!/^\d{1,16}$/.test(text) || value < limits.least || value > limits.most) {
    throw invalid(`${name} must be a whole number from ${limits.least} to ${limits.most}, not ${shown(text)}`)
  }
  return value
}

/** One of a few words. @throws ReflashError `Invalid`. */
export function readWord<Word extends string>(
  name: string,
  text: string | undefined,
  words: readonly Word[],
): Word | undefined {
  if (text === undefined || (words as readonly string[]).includes(text)) return text as Word | undefined
  const meant = nearest(text, words)
  throw invalid(`${name} ${shown(text)} is unknown${meant === undefined ? '' : `; did you mean ${meant}?`}`)
}

/** Where a page ended, as `continue` hands it on. */
export const pageToken = ({ namespace, name }: Key): string =>
  Buffer.from(`${namespace}/${name}`).toString('base64url')

/** @throws ReflashError `Invalid`. */
export function readPageToken(text: string | undefined): Key | undefined {
  if (text === undefined) return undefined
  try {
    return parseKey(Buffer.from(text, 'base64url').toString())
  } catch (error) {
    throw new ReflashError('Invalid', 'continue is not what a page of this list ended with', { cause: error })
  }
}
