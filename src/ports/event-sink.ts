import type { FailureClass, Key, Kind, Phase } from '../api/resources.ts'

/** Something that an operator would want to hear of. Delivered at most once; the truth is in the resources. */
export type FleetEvent =
  | {
      type: 'Phase'
      operation: Key
      device: Key
      phase: Phase
      /** The phase before; the same one where only the message is new. */
      before?: Phase
      /** The status's own reason, where it has one. */
      reason?: string
      failureClass?: FailureClass
      message: string
    }
  | { type: 'Progress'; operation: Key; device: Key; percent: number; sentBytes: number; totalBytes: number }
  | { type: 'Log'; operation: Key; line: string }
  | { type: 'Warning'; kind?: Kind; object?: Key; reason: string; message: string }
  | { type: 'Info'; kind?: Kind; object?: Key; reason: string; message: string }
  | { type: 'Bug'; controller: string; key: string; error: unknown }

export interface EventSink {
  emit(event: FleetEvent): void
}
