import type { Clock } from '../ports/clock.ts'
import type { Collection } from './collection.ts'
import { jsonResponse } from './json-response.ts'
import { listTexts, takePage } from './list-objects.ts'
import { continuationText, type ListOptions } from './read-options.ts'
import { expired, tooLarge } from './resource-refusals.ts'
import { statusResponse } from './status-error.ts'
import { streamText } from './text-stream.ts'
import type { WatchedView } from './watch.ts'

/** A list of no more objects than this is one text. */
const shortList = 200

/** The list that was asked for, or why there is none. */
export async function answerList(
  view: WatchedView,
  options: ListOptions,
  { request, clock, isSelecting }: { request: Request; clock: Clock; isSelecting: boolean },
): Promise<Response> {
  const { collection, presentation } = view
  const { limit, continuation, version } = options
  const current = collection.version()
  if (version !== undefined && version > current) return statusResponse(tooLarge(version, current))
  const wanted = options.isExact ? version : undefined
  if (wanted !== undefined && wanted !== current) return statusResponse(expired(wanted, current))
  if (continuation && cannotFollow(collection, continuation.version)) {
    return statusResponse(expired(continuation.version, current))
  }
  if (limit !== undefined || continuation) {
    const page = await takePage(view, { limit: limit ?? Infinity, continuation, isSelecting })
    const items = page.objects.map((object) => presentation.item(object))
    const start = presentation.listStart({
      resourceVersion: String(page.version),
      ...(page.next ? { continue: continuationText(page.next) } : {}),
      ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
    })
    return jsonResponse(`${start}${items.join(',')}]}\n`)
  }
  const { texts, size } = listTexts(view)
  if (size <= shortList) {
    let whole = ''
    for await (const text of texts) whole += text
    return jsonResponse(whole)
  }
  if (request.method === 'HEAD') return jsonResponse(null)
  return jsonResponse(
    streamText({ clock, signal: request.signal }, async (stream) => {
      for await (const text of texts) {
        if (stream.signal.aborted) return
        await stream.write(text)
      }
    }),
  )
}

/** Whether the changes since then are not kept, so that nobody could go on from there. */
const cannotFollow = (collection: Collection, version: number): boolean =>
  version > collection.version() || collection.since(version, 0) === 'Expired'
