import type { Kind } from '../api/resources.ts'
import { ReflashError } from '../core/errors.ts'
import { compareVersions, type WatchEvent } from '../ports/resource-store.ts'

type Change = Exclude<WatchEvent, { type: 'Bookmark' }>

/** The latest changes of a store, for watches: bounded, so a watcher that is too slow has to list again. */
export interface WatchLog {
  append(change: Change): void
  /** Every change after `from`, a bookmark at the version where the past ends, then what comes. */
  watch(options: { kinds: readonly Kind[]; from: string; signal: AbortSignal }): AsyncIterable<WatchEvent>
}

/** `latest` is the version at which the log begins: what came before it is not known. */
export function createWatchLog(latest: string, capacity = 10_000): WatchLog {
  const changes: Change[] = []
  // Place of changes[0] in the history of this process.
  let firstPlace = 0
  let oldest = latest
  let newest = latest
  let wake = Promise.withResolvers<void>()

  const expired = (from: string): ReflashError =>
    new ReflashError('Expired', `changes after version ${from} are not kept any more; list again`)

  return {
    append(change) {
      changes.push(change)
      newest = change.object.metadata.resourceVersion
      if (changes.length > capacity + capacity / 4) {
        const dropped = changes.splice(0, changes.length - capacity)
        firstPlace += dropped.length
        oldest = dropped.at(-1)!.object.metadata.resourceVersion
      }
      wake.resolve()
      wake = Promise.withResolvers<void>()
    },
    async *watch({ kinds, from, signal }) {
      if (compareVersions(from, oldest) < 0) throw expired(from)
      const wanted = new Set<string>(kinds)
      let place = firstPlace + changes.findIndex(({ object }) => compareVersions(object.metadata.resourceVersion, from) > 0)
      if (place < firstPlace) place = firstPlace + changes.length
      let caughtUp = false
      while (!signal.aborted) {
        if (place < firstPlace) throw expired(from)
        const change = changes[place - firstPlace]
        if (change) {
          place += 1
          if (wanted.has(change.object.kind)) yield { ...change, object: structuredClone(change.object) }
        } else if (!caughtUp) {
          caughtUp = true
          yield { type: 'Bookmark', resourceVersion: newest }
        } else await nextChange(wake.promise, signal)
      }
    },
  }
}

async function nextChange(change: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>()
  const onAbort = (): void => aborted.resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  await Promise.race([change, aborted.promise])
  signal.removeEventListener('abort', onAbort)
}
