import { ReflashError, messageOf } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { ImageMetadata } from '../../core/stored-image.ts'

const maxBoards = 512
const maxTextLength = 255
const maxCompatLength = 63

/** Anything that is invisible or moves a terminal's cursor. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

type Fields = Readonly<Record<string, unknown>>

/**
 * Reads the metadata of an image as `fwtool_check_image` on the device would, in every form since 17.01.
 * @throws ReflashError `ImageInvalid` when the device could not read it, or when a text in it is not fit to be shown.
 */
export function parseImageMetadata(json: Uint8Array): ImageMetadata {
  const fields = asFields(parse(json), 'it')
  const compatVersion = compatOf(fields)
  // With another compat version the usual list holds a sentence for old systems, which must match no board.
  const list = compatVersion === '1.0' ? 'supported_devices' : 'new_supported_devices'
  const version = fields['version'] === undefined ? {} : asFields(fields['version'], 'version')
  const board = textAt(version, 'board')
  const target = textAt(version, 'target')
  // 17.01 and 18.06 name no profile, and write the target where later releases have it.
  const isOld = fields['metadata_version'] === undefined && target === undefined
  return {
    boards: boardsAt(fields, list),
    compatVersion,
    ...definedOnly({
      distribution: textAt(version, 'dist'),
      version: textAt(version, 'version'),
      revision: textAt(version, 'revision'),
      target: isOld ? board : target,
      board: isOld ? undefined : board,
    }),
  }
}

function parse(json: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json))
  } catch (error) {
    throw invalid(`it is no JSON text: ${printable(messageOf(error), 200)}`, error)
  }
}

function compatOf(fields: Fields): string {
  const compat = textAt(fields, 'compat_version') ?? '1.0'
  if (compat.length > maxCompatLength || !/^[0-9]+\.[0-9]+$/.test(compat)) {
    throw invalid('compat_version is not of the form 1.0')
  }
  return compat
}

function boardsAt(fields: Fields, name: string): string[] {
  const list = fields[name]
  if (!Array.isArray(list)) throw invalid(`${name} is not a list`)
  if (list.length > maxBoards)
    throw invalid(`${name} has ${list.length} entries, at most ${maxBoards} are allowed`)
  const boards = list.map((entry: unknown) => textOf(entry, name))
  return [...new Set(boards.filter((board) => board !== ''))]
}

function textAt(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  // An empty text is what the build system writes where it knows nothing.
  return value === undefined || value === '' ? undefined : textOf(value, name)
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string') throw invalid(`${name} holds something that is not text`)
  if (value.length > maxTextLength)
    throw invalid(`${name} holds a text longer than ${maxTextLength} characters`)
  if (unprintable.test(value)) throw invalid(`${name} holds control or invisible characters`)
  return value
}

function asFields(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${name} is not an object`)
  return value as Fields
}

const definedOnly = <T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }

const invalid = (why: string, cause?: unknown): ReflashError =>
  new ReflashError('ImageInvalid', `the metadata of the image is not valid: ${why}`, { cause })
