import type { UpgradeOptions } from '../api/resources.ts'
import type { Probe, StartResult } from '../core/probe.ts'
import type { ImageMetadata } from '../core/stored-image.ts'
import type { Session } from './connector.ts'

export type { Probe, StartResult } from '../core/probe.ts'

/** One upgrade of one device, as an upgrader sees it. */
export interface Job {
  /** Name of the operation: it is written into the lock and the marker on the device. */
  operation: string
  image: { sha256: string; sizeBytes: number; metadata?: ImageMetadata; boards: readonly string[] }
  options: UpgradeOptions
  timeouts: { commandMs: number; uploadMs: number }
  /** Takes a line for the live log of the operation: what is done on the device, and what the device says of it. */
  tell?: (line: string) => void
}

/** What the device is compared with, on the device, in the very command that starts the flash. */
export interface StartToken {
  bootId: string
  board: string
  revision: string
  /** Latest uptime in whole seconds at which it may start. */
  maxUptimeSeconds: number
}

export interface UploadContext {
  /** The image from its first byte, each time that it is called. */
  content: () => AsyncIterable<Uint8Array>
  onProgress: (sentBytes: number) => void
  throttle?: (bytes: number, signal: AbortSignal) => Promise<void>
}

/**
 * Knows one family of devices. A session is open whenever one is passed. Methods throw ReflashError, whose code says
 * by one table whether another attempt can help; none may start a flash but `start`.
 */
export interface Upgrader {
  readonly name: string

  /** Reads what the device is and runs. Changes nothing. */
  probe(session: Session, limits: { commandMs: number }, signal: AbortSignal): Promise<Probe>

  /** Refuses what can be refused before a byte is sent: board, compat version, memory, an upgrade in progress. */
  check(job: Job, probe: Probe, signal: AbortSignal): Promise<void>

  /**
   * Puts the image on the device and compares its digest there. May stop services to make room; `abandon` starts them
   * again. Does nothing if the very image is already in place.
   */
  upload(job: Job, session: Session, context: UploadContext, signal: AbortSignal): Promise<void>

  /** Lets the device test the image with the options of the real run. */
  test(job: Job, session: Session, signal: AbortSignal): Promise<void>

  /** The command that `start` is going to run, for the record. */
  command(job: Job): string

  /** Compares the token on the device and starts the flash in one step, detached. Never throws but on abort. */
  start(job: Job, token: StartToken, session: Session, signal: AbortSignal): Promise<StartResult>

  /** Log lines that the flash has left on the device, or [] when there are none. */
  log(job: Job, session: Session, signal: AbortSignal): Promise<string[]>

  /**
   * Undoes what was done before a flash: stopped services are started, our lock and the uploaded image removed; with
   * `keepImage` the image stays, unless services were stopped to make room for it. @throws what `exec` throws, and `Busy`
   * while a start is under way: it is not known then to be undone.
   */
  abandon(
    options: { keepImage: boolean; commandMs: number },
    session: Session,
    signal: AbortSignal,
  ): Promise<void>

  /**
   * After a start that came to nothing is proven (same boot, past its latest uptime, nothing running): removes lock and
   * marker of that start, and undoes what was done before it, provided that the device is still in that boot.
   * @throws what `exec` throws.
   */
  clearStart(job: Job, token: StartToken, session: Session, signal: AbortSignal): Promise<void>
}
