import { pino, stdTimeFunctions } from 'pino'
import { cut } from '../../core/cut.ts'
import { messageOf, ReflashError } from '../../core/errors.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Fields that a line may have beside level, time and msg; others are not logged. */
export interface LogFields {
  controller?: string
  namespace?: string
  name?: string
  operation?: string
  device?: string
  phase?: string
  reason?: string
  percent?: number
  sentBytes?: number
  totalBytes?: number
  error?: unknown
}

/** Writes one line of JSON per call. */
export type Log = Record<LogLevel, (message: string, fields?: LogFields) => void>

export interface LogOptions {
  /** Less than this is left out. */
  level: LogLevel
  /** Takes one whole line, with its line break. */
  write: (line: string) => void
}

const maxMessageLength = 4096
const maxStackLength = 8192
const maxCauses = 3

/**
 * What JSON leaves as it is, but a terminal or a reader of lines does not: C1 controls, which may start an escape
 * sequence, the two line separators of Unicode, and marks that turn the direction of writing.
 */
const unsafe = /[\u007f-\u009f\p{Zl}\p{Zp}\p{Bidi_Control}]/gu
const escape = (character: string): string =>
  String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

function describe(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error, message: messageOf(error) }
  const expected = error instanceof ReflashError && error.recoverable
  const systemCode: unknown = 'code' in error ? error.code : undefined
  return {
    type: error.name,
    message: messageOf(error),
    ...(typeof systemCode === 'string' ? { code: systemCode } : {}),
    ...(expected || error.stack === undefined ? {} : { stack: cut(error.stack, maxStackLength) }),
    ...(error.cause === undefined || depth >= maxCauses ? {} : { cause: describe(error.cause, depth + 1) }),
  }
}

/** Logs as JSON lines: `{"level":"info","time":"2026-01-01T00:00:00.000Z",...,"msg":"..."}`. */
export function createLog({ level, write }: LogOptions): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (word) => ({ level: word }) },
      serializers: { error: (error: unknown) => describe(error) },
    },
    { write: (line: string) => write(line.replaceAll(unsafe, escape)) },
  )
  const at =
    (word: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      logger[word](fields, cut(message, maxMessageLength))
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
