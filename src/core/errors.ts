import type { FailureClass } from '../api/resources.ts'

interface ErrorRow {
  /** Whether trying again later can help without a person. */
  recoverable: boolean
  /** What it means for an upgrade that it ends before the flash. */
  failureClass?: FailureClass
}

/** Every way in which the outside world fails, and whether waiting helps. No call site decides that. */
export const errorTable = {
  // The device and the way to it.
  Unreachable: { recoverable: true, failureClass: 'Unreachable' },
  Timeout: { recoverable: true, failureClass: 'Unreachable' },
  ConnectionLost: { recoverable: true, failureClass: 'Unreachable' },
  AuthFailed: { recoverable: false, failureClass: 'AuthFailed' },
  CredentialsInvalid: { recoverable: false, failureClass: 'AuthFailed' },
  HostKeyChanged: { recoverable: false, failureClass: 'HostKeyChanged' },
  HostKeyUnknown: { recoverable: false, failureClass: 'HostKeyChanged' },
  AlgorithmMismatch: { recoverable: false, failureClass: 'Unsupported' },
  // What the device said.
  OutputTooLarge: { recoverable: false, failureClass: 'Unsupported' },
  ProbeInvalid: { recoverable: true, failureClass: 'NotStarted' },
  IdentityChanged: { recoverable: false, failureClass: 'IdentityChanged' },
  Rejected: { recoverable: false, failureClass: 'Rejected' },
  Unsupported: { recoverable: false, failureClass: 'Unsupported' },
  NoSpace: { recoverable: true, failureClass: 'UploadFailed' },
  UploadFailed: { recoverable: true, failureClass: 'UploadFailed' },
  Busy: { recoverable: true, failureClass: 'NotStarted' },
  // Images.
  ImageInvalid: { recoverable: false, failureClass: 'Rejected' },
  DigestMismatch: { recoverable: false, failureClass: 'Rejected' },
  PathOutsideRoot: { recoverable: false },
  NotFound: { recoverable: true, failureClass: 'UploadFailed' },
  TooLarge: { recoverable: false },
  UrlRefused: { recoverable: false },
  FetchFailed: { recoverable: true, failureClass: 'UploadFailed' },
  // The store.
  Conflict: { recoverable: true },
  AlreadyExists: { recoverable: true },
  Expired: { recoverable: true },
  Invalid: { recoverable: false },
  /** The API server of a cluster does not answer, or cannot now. */
  ServerUnavailable: { recoverable: true, failureClass: 'NotStarted' },
  /** It does not let us; its administrator may change that at any time. */
  Forbidden: { recoverable: true },
  /** Another controller may be at work by now. */
  NotLeader: { recoverable: true },
  StateLocked: { recoverable: false },
  /** Nothing is lost by it, and nothing starts before somebody has made room. */
  StateFull: { recoverable: true },
  StateUnusable: { recoverable: false },
  StateCorrupt: { recoverable: false },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorTable

const brand = Symbol.for('reflash.error')

/** The one error class. Adapters translate what they meet into it and always set `cause`. */
export class ReflashError extends Error {
  /** An upgrader of the operator's may have loaded another copy of this file: its errors count as well. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && brand in value
  }

  readonly [brand] = true
  readonly code: ErrorCode
  readonly recoverable: boolean
  readonly failureClass: FailureClass | undefined

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'ReflashError'
    this.code = code
    const row: ErrorRow = errorTable[code]
    this.recoverable = row.recoverable
    this.failureClass = row.failureClass
  }
}

export const hasCode = (error: unknown, ...codes: ErrorCode[]): error is ReflashError =>
  error instanceof ReflashError && codes.includes(error.code)

/** Text of any thrown value, in one line. */
export const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ').slice(0, 1000)
