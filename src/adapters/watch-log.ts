import type { AnyResource, Kind } from '../api/resources.ts'
import { ReflashError } from '../core/errors.ts'

/** One change of one object, as it was stored. Versions of consecutive changes are consecutive numbers. */
export interface Change {
  type: 'Added' | 'Modified' | 'Deleted'
  kind: Kind
  version: number
  /** The object after the change, as JSON. */
  text: string
}

export type WatchEvent =
  | { type: Change['type']; object: AnyResource }
  /** Everything up to this version has been delivered. */
  | { type: 'Bookmark'; resourceVersion: string }

/** The latest changes of a store, for watches: bounded, so a watcher that is too slow has to list again. */
export interface WatchLog {
  append(change: Change): void
  /**
   * Every change after `from`, once and in order, then as it happens; a bookmark whenever there is nothing more to
   * deliver. @throws ReflashError `Expired` when `from` is older than what is kept.
   */
  watch(options: { kinds: readonly Kind[]; from: string; signal: AbortSignal }): AsyncIterable<WatchEvent>
  /** Ends all watches. */
  close(): void
}

export interface WatchLogLimits {
  changes: number
  /** Length of all kept texts together. */
  characters: number
}

const defaultLimits: WatchLogLimits = {
  // An hour of a fleet of 10,000 devices that are probed every 15 minutes is four times this; a watcher lags by seconds.
  changes: 10_000,
  // Room for that many devices of ordinary size, whatever the size of one.
  characters: 32 * 1024 * 1024,
}

/** `latest` is the version at which the log begins: what came before it is not known. */
export function createWatchLog(latest: number, limits: WatchLogLimits = defaultLimits): WatchLog {
  let changes: Change[] = []
  let characters = 0
  let newest = latest
  let closed = false
  let wake = Promise.withResolvers<void>()
  /** The version after which every change is kept. */
  const oldest = (): number => newest - changes.length

  /** Drops a fifth at a time, so that appending does not cost work that grows with the log. */
  const trim = (): void => {
    if (changes.length <= limits.changes && characters <= limits.characters) return
    let kept = 0
    let keptCharacters = 0
    for (const { text } of changes.toReversed()) {
      keptCharacters += text.length
      if (kept >= limits.changes * 0.8 || keptCharacters > limits.characters * 0.8) break
      kept += 1
    }
    changes = changes.slice(changes.length - kept)
    characters = changes.reduce((sum, { text }) => sum + text.length, 0)
  }
  const wakeAll = (): void => {
    wake.resolve()
    wake = Promise.withResolvers<void>()
  }

  return {
    append(change) {
      changes.push(change)
      characters += change.text.length
      newest = change.version
      trim()
      wakeAll()
    },
    async *watch({ kinds, from, signal }) {
      const wanted = new Set<Kind>(kinds)
      let seen = parseVersion(from)
      if (seen > newest) throw expired(`version ${from} is not of this state`)
      let told = -1
      while (!signal.aborted && !closed) {
        if (seen < oldest()) throw expired(`changes after version ${seen} are not kept any more`)
        const change = changes[seen - oldest()]
        if (change) {
          seen = change.version
          if (wanted.has(change.kind)) {
            yield { type: change.type, object: JSON.parse(change.text) as AnyResource }
          }
        } else if (told === seen) {
          await either(wake.promise, signal)
        } else {
          told = seen
          yield { type: 'Bookmark', resourceVersion: String(seen) }
        }
      }
    },
    close() {
      closed = true
      wakeAll()
    },
  }
}

const expired = (why: string): ReflashError => new ReflashError('Expired', `${why}: list again`)

function parseVersion(text: string): number {
  if (/^(0|[1-9]\d*)$/.test(text)) return Number(text)
  throw new ReflashError(
    'Invalid',
    `resourceVersion must be a decimal number, found ${JSON.stringify(text).slice(0, 100)}`,
  )
}

/** Resolves with the promise or with the abort, whichever comes first. */
async function either(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>()
  const onAbort = (): void => aborted.resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  await Promise.race([promise, aborted.promise])
  signal.removeEventListener('abort', onAbort)
}
