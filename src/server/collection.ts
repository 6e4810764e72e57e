import type { Key } from '../api/resources.ts'
import type { Column, Schema } from '../api/schema.ts'

/** An object as the API shows it. */
export interface ApiObject {
  apiVersion: string
  kind: string
  metadata: {
    name: string
    namespace?: string
    uid?: string
    resourceVersion: string
    creationTimestamp?: string
    labels?: Record<string, string>
    [field: string]: unknown
  }
  [field: string]: unknown
}

/** What discovery, tables and `explain` say of a kind. */
export interface ResourceInfo {
  /** '' for the kinds of `/api/v1`. */
  group: string
  version: string
  kind: string
  plural: string
  singular: string
  shortNames: readonly string[]
  categories: readonly string[]
  namespaced: boolean
  /** Columns besides Name and Age; see `priority`. */
  columns: readonly Column[]
  description: string
  /** Schema of the whole object, for `kubectl explain`. */
  schema?: Schema
}

export interface CollectionChange {
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  object: ApiObject
  /** What a modified or deleted object was before, for selectors; absent when nothing to select by has changed. */
  before?: ApiObject
  /** The version of the collection with this change. */
  version: number
}

/**
 * Objects of one kind, to be listed and followed. Objects are shared and frozen by convention: who changes one breaks
 * every reader. A follower holds one number, so that a slow one costs no memory: it falls out of what is kept, and is
 * told so.
 */
export interface Collection {
  readonly info: ResourceInfo
  /** The version up to which `list` and `get` show every change; it may move with other kinds of the same store as well. */
  version(): number
  /** Ordered by namespace, then name. O(1) for the whole list when nothing came or went since the last call. */
  list(namespace?: string): readonly ApiObject[]
  get(key: Key): ApiObject | undefined
  /** At most `limit` changes after that version, in order; `Expired` when they are not kept any more. */
  since(version: number, limit: number): readonly CollectionChange[] | 'Expired'
  /** Calls `listener` after each batch of changes; the returned function ends that. */
  onChange(listener: () => void): () => void
}
