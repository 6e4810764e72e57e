import { scheduler } from 'node:timers/promises'
import type { ApiObject } from './collection.ts'
import { firstIndex } from './kept-collection.ts'
import type { Continuation } from './read-options.ts'
import type { WatchedView } from './watch.ts'

/** Objects looked at before other work gets a turn. */
const slice = 100

/** A page of a list: its objects as they are shown, and where the next one begins. */
export interface Page {
  objects: readonly ApiObject[]
  /** The version at which the list began. */
  version: number
  next: Continuation | undefined
  /** How many come after this page; not known where there is a selector. */
  remaining: number | undefined
}

/** At most `limit` objects after the continuation. The state is that of the call; to be looked through takes some turns. */
export async function takePage(
  { collection, namespace, show, matches }: WatchedView,
  options: { limit: number; continuation: Continuation | undefined; isSelecting: boolean },
): Promise<Page> {
  const { limit, continuation, isSelecting } = options
  const all = collection.list(namespace)
  const version = continuation?.version ?? collection.version()
  const objects: ApiObject[] = []
  let index = continuation ? placeAfter(all, continuation.after) : 0
  let last: ApiObject | undefined
  for (let looked = 1; index < all.length; index += 1, looked += 1) {
    if (looked % slice === 0) await scheduler.yield()
    const shown = show(all[index]!)
    if (!matches(shown)) continue
    if (objects.length === limit) break
    objects.push(shown)
    last = shown
  }
  if (index >= all.length || !last) return { objects, version, next: undefined, remaining: undefined }
  const { namespace: of = '', name } = last.metadata
  return {
    objects,
    version,
    next: { version, after: { namespace: of, name } },
    remaining: isSelecting ? undefined : all.length - index,
  }
}

const placeAfter = (objects: readonly ApiObject[], after: { namespace: string; name: string }): number =>
  firstIndex(objects.length, (index) => {
    const { namespace = '', name } = objects[index]!.metadata
    return namespace === after.namespace ? name > after.name : namespace > after.namespace
  })

/** The whole list as JSON, in pieces. The state is that of the call. */
export function listTexts({ collection, namespace, show, matches, presentation }: WatchedView): {
  texts: AsyncGenerator<string>
  /** How many objects are looked through. */
  size: number
} {
  const objects = collection.list(namespace)
  const start = presentation.listStart({ resourceVersion: String(collection.version()) })

  async function* write(): AsyncGenerator<string> {
    let separator = ''
    yield start
    for (let index = 0; index < objects.length; index += slice) {
      if (index > 0) await scheduler.yield()
      let text = ''
      for (const object of objects.slice(index, index + slice)) {
        const shown = show(object)
        if (!matches(shown)) continue
        text += separator + presentation.item(shown)
        separator = ','
      }
      if (text !== '') yield text
    }
    yield ']}\n'
  }

  return { texts: write(), size: objects.length }
}
