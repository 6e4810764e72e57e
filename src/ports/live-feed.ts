import type { Key, Phase } from '../api/resources.ts'

/** One line of what happens to an operation. Ids ascend through the life of an operation, also over restarts. */
export type LiveLine = { id: number; time: string } & (
  | { type: 'Phase'; phase: Phase; message: string }
  | { type: 'Progress'; percent: number; sentBytes: number; totalBytes: number }
  | { type: 'Log'; text: string }
)

/** The live log of operations: bounded for each, and for all of them. */
export interface LiveFeed {
  /**
   * Lines after `id`, in order; `missed` says how many in between are not kept any more. After an id that was never given
   * out come all lines.
   */
  since(operation: Key, id: number): { lines: readonly LiveLine[]; missed: number }
  /** Calls `listener` after lines have come for this operation; the returned function ends that. */
  onChange(operation: Key, listener: () => void): () => void
}
