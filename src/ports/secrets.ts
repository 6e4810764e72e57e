import type { Key } from '../api/resources.ts'

/** Reads a Secret at the moment of use; nothing keeps what it returns. */
export interface Secrets {
  /** The Secret's entries as text, or undefined when there is no such Secret. */
  read(key: Key): Promise<Readonly<Record<string, string>> | undefined>
}
