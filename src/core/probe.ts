import type { FailureClass } from '../api/resources.ts'

/** What a device says of itself, parsed, bounded and printable. */
export interface Probe {
  /** What Build.osIdentifier is compared with. */
  osIdentifier: string
  release: { distribution?: string; version?: string; revision?: string; target?: string }
  board: string
  model?: string
  bootId: string
  uptimeSeconds: number
  /** Compat version of the configuration on the device. */
  compatVersion?: string
  /** Sorted MAC addresses, and a serial number where there is one, joined by `,`. */
  identity: string
  /** Memory that may be used, and room in /tmp. */
  memoryAvailableBytes?: number
  tmpAvailableBytes?: number
  /** Whether an upgrade is being started or run right now. */
  upgrading: boolean
  /** Something of an upgrade that never came to its flash is left: stopped services, an uploaded image. */
  leftovers?: boolean
  /** The marker left by the flash before. */
  lastFlash?: { operation: string; sha256: string; bootId: string }
}

/** What came of the command that starts a flash. */
export type StartResult =
  /** The device said that it started: only a new boot id will prove it. */
  | { kind: 'Started' }
  /** The device said no, before it started anything. */
  | { kind: 'Refused'; failureClass: FailureClass; recoverable: boolean; message: string; log: string[] }
  /** The link broke before an answer: it may or may not have started. */
  | { kind: 'Unknown'; message: string }
