/** What is needed to open a session on one device. */
export interface Target {
  addresses: readonly string[]
  port: number
  credentials: Credentials
  /** OpenSSH public-key lines to accept; empty: none is pinned yet. */
  hostKeys: readonly string[]
  /** With nothing pinned: accept and report what is offered (true), or refuse (false). */
  acceptNewHostKeys: boolean
  legacyAlgorithms: boolean
  /** Goes before the others where connections have to take turns: an upgrade is waiting for this one. */
  urgent: boolean
  jumpHost?: { address: string; port: number; credentials: Credentials; hostKeys: readonly string[] }
}

/** Exactly one of password and privateKey is tried: a device allows few attempts. */
export interface Credentials {
  username: string
  password?: string
  privateKey?: string
  passphrase?: string
}

export interface ExecOptions {
  /** The whole command, from start to close. */
  deadlineMs: number
  /** Text for standard input; it ends after this. */
  stdin?: string
  /** Bytes of stdout and of stderr that are kept; beyond it the command is cut off with `OutputTooLarge`. Default 64 KiB. */
  maxOutputBytes?: number
}

export interface ExecResult {
  /** Exit status; null when the channel closed without one, as it does when the device reboots. */
  code: number | null
  signal?: string
  /** Raw text of the device, decoded as Latin-1 so that no byte is lost: hostile until parsed. */
  stdout: string
  stderr: string
}

export interface UploadOptions {
  deadlineMs: number
  /** No byte taken by the device for this long is a failure. Default 60 s. */
  idleMs?: number
  sizeBytes: number
  /** Called with the bytes that the device has taken so far, at most a few times a second. */
  onProgress?: (sentBytes: number) => void
  /** Waits until so many bytes may be sent: the shared bandwidth cap. */
  throttle?: (bytes: number, signal: AbortSignal) => Promise<void>
}

/**
 * One authenticated connection to one device. Commands are argument lists; the adapter alone quotes them.
 * Every method rejects with a ReflashError: `Timeout` past its deadline, `ConnectionLost` when the link drops,
 * `OutputTooLarge`; an abort rejects with the signal's reason. One command at a time: dropbear 2022.83 on a busy machine
 * was seen to die of three at once.
 */
export interface Session {
  /** The address that answered. */
  readonly address: string
  /** OpenSSH public-key lines: the key of this session, and, on first sight, of every algorithm the device offers. */
  readonly hostKeys: readonly string[]
  exec(command: readonly string[], options: ExecOptions, signal: AbortSignal): Promise<ExecResult>
  /** Runs a command and streams `content` into its standard input. */
  upload(
    command: readonly string[],
    content: AsyncIterable<Uint8Array>,
    options: UploadOptions,
    signal: AbortSignal,
  ): Promise<ExecResult>
  /** Ends the connection; never rejects, and may be called twice. */
  close(): Promise<void>
}

export interface Connector {
  /**
   * Tries each address in turn within `deadlineMs` for all of them together, one authentication per attempt.
   * @throws ReflashError `Unreachable`, `Timeout`, `ConnectionLost`, `AuthFailed`, `CredentialsInvalid`,
   * `HostKeyChanged`, `HostKeyUnknown`, `AlgorithmMismatch`; the worst finding wins over "unreachable".
   */
  connect(target: Target, deadlineMs: number, signal: AbortSignal): Promise<Session>
  /**
   * Whether something accepts a TCP connection at any of the addresses within `limitMs`. Never rejects but on abort.
   * Undefined for a device behind a jump host, which only a session can find out.
   */
  knock(
    target: Pick<Target, 'addresses' | 'port' | 'jumpHost'>,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<boolean | undefined>
}
