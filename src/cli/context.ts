import type { Clock } from '../ports/clock.ts'

/** What a command may touch of the process; `main.ts` hands in the real thing. */
export interface CliContext {
  stdout: CliStream
  stderr: CliStream
  env: Readonly<Record<string, string | undefined>>
  /** Aborted on SIGINT and SIGTERM. */
  signal: AbortSignal
  clock: Clock
}

export interface CliStream {
  write(text: string): unknown
  readonly isTTY: boolean
  readonly columns: number | undefined
  readonly rows: number | undefined
}

/** Exit codes that a script can use; above 1 something is wrong with the call itself. */
export const exitCodes = {
  success: 0,
  failure: 1,
  usage: 2,
  dataError: 65,
  stateError: 74,
  locked: 75,
  timeout: 124,
  interrupted: 130,
} as const

/** Ends a command with a sentence on stderr. */
export class CliError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'CliError'
    this.exitCode = exitCode
  }
}
