import { scheduler } from 'node:timers/promises'
import type { Clock } from '../ports/clock.ts'
import type { ApiObject, Collection, CollectionChange } from './collection.ts'
import type { Presentation } from './presentation.ts'
import { expired } from './resource-refusals.ts'
import type { TextStream } from './text-stream.ts'

export interface WatchedView {
  collection: Collection
  /** Undefined: all. */
  namespace: string | undefined
  /** The object as this client may see it. */
  show: (object: ApiObject) => ApiObject
  /** Whether an object, as it is shown, is asked for. */
  matches: (shown: ApiObject) => boolean
  presentation: Presentation
}

export interface WatchStart {
  /** What is after this version is sent; undefined for the present. */
  version: number | undefined
  /** Whether the present state comes first, as additions. */
  sendsInitial: boolean
  marksInitialEnd: boolean
  bookmarks: boolean
  timeoutMs: number
}

const bookmarkEveryMs = 60_000
/** Changes, or objects at the start, that are made a text at once: it is in memory until it is taken. */
const batch = 20

/**
 * Sends what a collection holds, and then each change, until the time is up or the stream's signal is aborted. All that is
 * remembered is one version: who reads slowly falls out of the history at some point, and is told so.
 */
export async function watchCollection(
  view: WatchedView,
  start: WatchStart,
  { stream, clock }: { stream: TextStream; clock: Clock },
): Promise<void> {
  const { collection, presentation } = view
  let bell = Promise.withResolvers<void>()
  const ring = (): void => bell.resolve()
  let isOver = stream.signal.aborted
  let bookmarkIsDue = false
  const end = (): void => {
    isOver = true
    ring()
  }
  const remindOfBookmark = (): (() => void) =>
    clock.after(bookmarkEveryMs, () => {
      bookmarkIsDue = true
      ring()
    })
  const stopListening = collection.onChange(ring)
  const cancelEnd = clock.after(start.timeoutMs, end)
  let cancelBookmark = start.bookmarks ? remindOfBookmark() : (): void => undefined
  stream.signal.addEventListener('abort', end, { once: true })

  let version: number
  try {
    version = await sendStart(view, start, { stream, isOver: () => isOver })
    while (!isOver) {
      // A new bell before looking: what happens from here on is heard.
      bell = Promise.withResolvers()
      const changes = collection.since(version, batch)
      if (changes === 'Expired' || version > collection.version()) {
        await stream.write(errorLine(version, collection.version()))
        return
      }
      const isComplete = changes.length < batch
      // As far as the collection is: then a quiet one is never too old.
      version = isComplete ? collection.version() : changes.at(-1)!.version
      const text = changes.map((change) => changeLine(view, change)).join('')
      if (text !== '') await stream.write(text)
      else if (!isComplete) await scheduler.yield()
      else if (bookmarkIsDue) {
        bookmarkIsDue = false
        cancelBookmark = remindOfBookmark()
        await stream.write(bookmarkLine(presentation, version))
      } else await bell.promise
    }
  } finally {
    stopListening()
    cancelEnd()
    cancelBookmark()
    stream.signal.removeEventListener('abort', end)
  }
  if (start.bookmarks) await stream.write(bookmarkLine(presentation, version))
}

/** Sends the present state if that is asked for, and comes back with the version from which to go on. */
async function sendStart(
  view: WatchedView,
  start: WatchStart,
  { stream, isOver }: { stream: TextStream; isOver: () => boolean },
): Promise<number> {
  const { collection, presentation } = view
  const present = collection.version()
  // Who asks for the state first is told the present, whatever version it knew.
  if (!start.sendsInitial) return start.version || present
  const objects = collection.list(view.namespace)
  for (let index = 0; index < objects.length && !isOver(); index += batch) {
    const lines = objects.slice(index, index + batch).map((object) => {
      const shown = view.show(object)
      return view.matches(shown) ? eventLine('ADDED', presentation.watched(shown)) : ''
    })
    const text = lines.join('')
    await (text === '' ? scheduler.yield() : stream.write(text))
  }
  if (start.marksInitialEnd && start.bookmarks && !isOver()) {
    const annotations = { 'k8s.io/initial-events-end': 'true' }
    await stream.write(bookmarkLine(presentation, present, { annotations }))
  }
  return present
}

/** What this client hears of a change: for one that selects, an object comes when it begins to match and goes when it ceases. */
function changeLine(view: WatchedView, { type, object, before }: CollectionChange): string {
  const { namespace, presentation, show, matches } = view
  if (namespace !== undefined && object.metadata.namespace !== namespace) return ''
  const shown = show(object)
  const matched = type !== 'ADDED' && matches(before ? show(before) : shown)
  if (type === 'DELETED') return matched ? eventLine('DELETED', presentation.watched(shown)) : ''
  if (matches(shown)) return eventLine(matched ? 'MODIFIED' : 'ADDED', presentation.watched(shown))
  if (!matched || !before) return ''
  const { resourceVersion } = object.metadata
  const last = show(before)
  const gone = { ...last, metadata: { ...last.metadata, resourceVersion } }
  return eventLine('DELETED', presentation.watched(gone))
}

const eventLine = (type: string, object: string): string => `{"type":"${type}","object":${object}}\n`

const bookmarkLine = (presentation: Presentation, version: number, more: object = {}): string =>
  eventLine('BOOKMARK', presentation.bookmark({ resourceVersion: String(version), ...more }))

const errorLine = (version: number, current: number): string =>
  eventLine('ERROR', JSON.stringify(expired(version, current)))
