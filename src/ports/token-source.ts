import type { TokenEntry } from '../core/api-token.ts'

/** The tokens that are accepted now. */
export interface TokenSource {
  /** The token of this id, expired or not. */
  find(id: string): TokenEntry | undefined
}
