import type { Key } from '../api/resources.ts'
import { ReflashError } from '../core/errors.ts'
import { statusError, type Status } from './status-error.ts'
import type { Included } from './table.ts'
import { quoted } from '../core/printable.ts'

/** Where a list goes on: after this key, in a list that began at this version. */
export interface Continuation {
  version: number
  after: Key
}

export interface ListOptions {
  type: 'list'
  /** Undefined: everything. */
  limit: number | undefined
  continuation: Continuation | undefined
  /** At least this version, or exactly it. */
  version: number | undefined
  isExact: boolean
}

export interface WatchOptions {
  type: 'watch'
  /** Undefined or 0: from the present state. */
  version: number | undefined
  /** Whether the present state comes first, as additions. */
  sendsInitial: boolean
  /** Whether the client asked for the state first, and is told where it ends. */
  marksInitialEnd: boolean
  bookmarks: boolean
  timeoutMs: number
}

export interface ReadLimits {
  maxPage: number
  maxWatchMs: number
}

/** The query of a list or watch, or why it is refused. @throws ReflashError `Invalid` for what is malformed. */
export function readOptions(query: URLSearchParams, limits: ReadLimits): ListOptions | WatchOptions | Status {
  return asksToWatch(query) ? watchOptions(query, limits) : listOptions(query, limits)
}

/** Whether a list is to go on with what changes. */
export const asksToWatch = (query: URLSearchParams): boolean => flag(query, 'watch')

function listOptions(query: URLSearchParams, { maxPage }: ReadLimits): ListOptions | Status {
  const version = readVersion(query)
  const match = text(query, 'resourceVersionMatch')
  const token = text(query, 'continue')
  const limit = number(query, 'limit') ?? 0
  if (query.has('sendInitialEvents')) return invalid('sendInitialEvents is forbidden for list')
  if (match !== undefined) {
    if (version === undefined)
      return invalid('resourceVersionMatch is forbidden unless resourceVersion is provided')
    if (token !== undefined) return invalid('resourceVersionMatch is forbidden when continue is provided')
    if (match !== 'Exact' && match !== 'NotOlderThan')
      return invalid('resourceVersionMatch must be Exact or NotOlderThan')
    if (match === 'Exact' && version === 0) return invalid('resourceVersion 0 has no Exact match')
  }
  if (token !== undefined && version !== undefined && version > 0) {
    throw new ReflashError('Invalid', 'resourceVersion is not allowed together with continue')
  }
  return {
    type: 'list',
    limit: limit === 0 ? undefined : Math.min(limit, maxPage),
    continuation: token === undefined ? undefined : readContinuation(token),
    version,
    isExact: match === 'Exact',
  }
}

function watchOptions(query: URLSearchParams, { maxWatchMs }: ReadLimits): WatchOptions | Status {
  const version = readVersion(query)
  const match = text(query, 'resourceVersionMatch')
  const asksInitial = query.has('sendInitialEvents')
  const initial = flag(query, 'sendInitialEvents')
  if (asksInitial && match !== 'NotOlderThan')
    return invalid('sendInitialEvents requires resourceVersionMatch to be NotOlderThan')
  if (!asksInitial && match !== undefined)
    return invalid('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided')
  const timeoutMs = (number(query, 'timeoutSeconds') ?? 0) * 1000
  return {
    type: 'watch',
    version,
    sendsInitial: asksInitial ? initial : version === undefined || version === 0,
    marksInitialEnd: initial,
    bookmarks: flag(query, 'allowWatchBookmarks'),
    timeoutMs: timeoutMs === 0 ? maxWatchMs : Math.min(timeoutMs, maxWatchMs),
  }
}

/** The version that the client asks for. @throws ReflashError `Invalid`. */
export const readVersion = (query: URLSearchParams): number | undefined => number(query, 'resourceVersion')

/** What rows carry. @throws ReflashError `Invalid`. */
export function includedObject(query: URLSearchParams): Included {
  const value = text(query, 'includeObject') ?? 'Metadata'
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value
  throw new ReflashError('Invalid', 'includeObject must be None, Metadata or Object')
}

/** `?limit=` and the like: an empty value is none. */
const text = (query: URLSearchParams, name: string): string | undefined => query.get(name) || undefined

/** As Kubernetes reads them: a name without a value is true. */
function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)?.toLowerCase()
  return value !== undefined && value !== 'false' && value !== '0'
}

function number(query: URLSearchParams, name: string): number | undefined {
  const value = text(query, name)
  if (value === undefined) return undefined
  if (/^(0|[1-9]\d{0,14})$/.test(value)) return Number(value)
  throw new ReflashError('Invalid', `${name} must be a whole number, found ${quoted(value, 40)}`)
}

const invalid = (message: string): Status =>
  statusError(422, 'Invalid', `ListOptions.meta.k8s.io "" is invalid: ${message}`, {
    group: 'meta.k8s.io',
    kind: 'ListOptions',
  })

export const continuationText = ({ version, after }: Continuation): string =>
  Buffer.from(`${version}/${after.namespace}/${after.name}`).toString('base64url')

/** @throws ReflashError `Invalid`. */
function readContinuation(token: string): Continuation {
  const decoded = Buffer.from(token, 'base64url').toString()
  const found = /^(?<version>0|[1-9]\d{0,14})\/(?<namespace>[^/]*)\/(?<name>[^/]+)$/.exec(decoded)?.groups
  if (!found) throw new ReflashError('Invalid', 'continue is not what a page of a list ended with')
  return {
    version: Number(found['version']),
    after: { namespace: found['namespace']!, name: found['name']! },
  }
}
