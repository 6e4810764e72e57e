import { ServerError, type Api } from './api-client.ts'
import {
  asObject,
  asTable,
  isRecord,
  keyText,
  listMetadata,
  type ReadObject,
  type Table,
  type TableRow,
} from './api-objects.ts'
import { CliError, exitCodes, type CliContext } from './context.ts'
import {
  listObjects,
  listTable,
  selectionQuery,
  tableAccept,
  type Listed,
  type Selection,
} from './list-pages.ts'

const firstPauseMs = 250
const longestPauseMs = 5000
/** The server sends a bookmark each minute. */
const idleMs = 150_000

export interface Change<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  item: T
}

/** How to list one collection, and how to read what a watch of it says. */
export interface Followed<T> {
  list: () => Promise<Listed<readonly T[]>>
  objectOf: (item: T) => ReadObject
  /** The items of the object of a watch event. */
  read: (object: unknown) => readonly T[]
  path: string
  query: Record<string, string>
  accept: string
}

/** Objects of a collection, to be followed. */
export const followedObjects = (api: Api, path: string, selection: Selection): Followed<ReadObject> => ({
  list: () => listObjects(api, path, selection),
  objectOf: (item) => item,
  read: (object) => [asObject(object)],
  path,
  query: selectionQuery(selection),
  accept: 'application/json',
})

/** Rows of a collection, to be followed, with their `whole` objects or without; the columns are told with each list and each event that has them. */
export const followedRows = (
  { api, path, selection, whole }: { api: Api; path: string; selection: Selection; whole: boolean },
  onColumns: (columns: Table['columnDefinitions']) => void,
): Followed<TableRow> => {
  const rowsOf = (table: Table): TableRow[] => {
    if (table.columnDefinitions.length > 0) onColumns(table.columnDefinitions)
    return table.rows
  }
  return {
    list: async () => {
      const { list, resourceVersion } = await listTable(api, path, selection, whole)
      return { list: rowsOf(list), resourceVersion }
    },
    objectOf: (row) => row.object,
    read: (object) => rowsOf(asTable(object)),
    path,
    query: { ...selectionQuery(selection), ...(whole ? { includeObject: 'Object' } : {}) },
    accept: tableAccept,
  }
}

/**
 * The list, then each batch of changes to it, without an end: a broken connection is made again with growing pauses,
 * and where the server has forgotten what happened meanwhile, the list is read again and compared. Ends only by an error that
 * waiting does not cure, or by the signal, which throws its reason. Memory: one item for each object.
 */
export async function* follow<T>(
  api: Api,
  followed: Followed<T>,
  { clock, signal, stderr }: CliContext,
): AsyncGenerator<readonly Change<T>[], never, undefined> {
  const state: State<T> = { known: new Map(), version: undefined, hasListed: false }
  let pauseMs = firstPauseMs
  for (;;) {
    try {
      for await (const changes of listAndWatch(api, followed, state)) {
        pauseMs = firstPauseMs
        yield changes
      }
      // A server that ends each watch at once is not asked without a pause.
      await clock.sleep(firstPauseMs, signal)
    } catch (error) {
      if (signal.aborted || !state.hasListed || !(error instanceof ServerError && error.mayPass)) throw error
      if (pauseMs === firstPauseMs) stderr.write(`${error.message}; trying again\n`)
      await clock.sleep(error.retryAfterMs ?? pauseMs, signal)
      pauseMs = Math.min(longestPauseMs, pauseMs * 2)
    }
  }
}

interface State<T> {
  known: Map<string, T>
  /** Where to go on; undefined to read the list again. */
  version: string | undefined
  hasListed: boolean
}

/** The list, where it is not known, and one watch to its end. */
async function* listAndWatch<T>(
  api: Api,
  followed: Followed<T>,
  state: State<T>,
): AsyncGenerator<readonly Change<T>[], void, undefined> {
  if (state.version === undefined) {
    const { list, resourceVersion } = await followed.list()
    const changes = differences(state.known, list, followed.objectOf)
    state.version = resourceVersion
    state.hasListed = true
    yield changes
  }
  for await (const event of watch(api, followed, state.version)) {
    if (event.type === 'EXPIRED') {
      state.version = undefined
      return
    }
    state.version = event.version ?? state.version
    if (event.type === 'BOOKMARK') continue
    const { type, items } = event
    for (const item of items) {
      const key = keyText(followed.objectOf(item))
      if (type === 'DELETED') state.known.delete(key)
      else state.known.set(key, item)
    }
    yield items.map((item) => ({ type, item }))
  }
}

/** Takes the list in, and says what is new, changed and gone since what was known. */
function differences<T>(
  known: Map<string, T>,
  list: readonly T[],
  objectOf: Followed<T>['objectOf'],
): Change<T>[] {
  const versionOf = (item: T): string | undefined => objectOf(item).metadata.resourceVersion
  const before = new Map(known)
  known.clear()
  const changes: Change<T>[] = []
  for (const item of list) {
    const key = keyText(objectOf(item))
    const old = before.get(key)
    before.delete(key)
    known.set(key, item)
    if (old === undefined) changes.push({ type: 'ADDED', item })
    else if (versionOf(old) !== versionOf(item)) changes.push({ type: 'MODIFIED', item })
  }
  for (const item of before.values()) changes.push({ type: 'DELETED', item })
  return changes
}

type WatchEvent<T> =
  | { type: Change<T>['type']; items: readonly T[]; version: string | undefined }
  | { type: 'BOOKMARK'; version: string | undefined }
  | { type: 'EXPIRED'; version?: never }

/** One watch, to its end. */
async function* watch<T>(
  api: Api,
  followed: Followed<T>,
  version: string,
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  const search = new URLSearchParams({
    ...followed.query,
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: version,
  })
  try {
    for await (const line of api.lines(`${followed.path}?${search.toString()}`, {
      accept: followed.accept,
      idleMs,
    })) {
      if (line.trim() !== '') yield readEvent(followed, line)
    }
  } catch (error) {
    // 504: the server has never heard of that version, since its state is another one or an older copy.
    if (!(error instanceof ServerError && (error.status === 410 || error.status === 504))) throw error
    yield { type: 'EXPIRED' }
  }
}

function readEvent<T>(followed: Followed<T>, line: string): WatchEvent<T> {
  const { type, object } = parseEvent(line)
  if (type === 'ERROR') {
    const { code, message } = isRecord(object) ? object : {}
    throw new ServerError(typeof message === 'string' ? message : 'the watch failed', {
      status: typeof code === 'number' ? code : 500,
    })
  }
  const version = versionOf(object)
  if (type === 'BOOKMARK') return { type, version }
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') {
    return { type, items: followed.read(object), version }
  }
  throw unreadable()
}

const unreadable = (): CliError =>
  new CliError('the server sent a watch event that cannot be read; is it a Reflash?', exitCodes.usage)

function parseEvent(line: string): Record<string, unknown> {
  try {
    const event: unknown = JSON.parse(line)
    if (isRecord(event)) return event
  } catch {
    // Told below, as any other line that is no event.
  }
  throw unreadable()
}

/** Of an object, of a Table, or of the row in it. */
function versionOf(object: unknown): string | undefined {
  const version = listMetadata(object).resourceVersion
  if (typeof version === 'string' && version !== '') return version
  const rows = isRecord(object) ? object['rows'] : undefined
  return Array.isArray(rows) && isRecord(rows[0])
    ? listMetadata(rows[0]['object']).resourceVersion
    : undefined
}
