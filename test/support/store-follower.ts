import type { Kind } from '../../src/api/resources.ts'
import type { ResourceStore, StoreEvent } from '../../src/ports/resource-store.ts'

export type StoreList = StoreEvent & { type: 'Listed' }
export type StoreChange = StoreEvent & { type: 'Added' | 'Modified' | 'Deleted' }

export const isChange = (event: StoreEvent): event is StoreChange =>
  event.type === 'Added' || event.type === 'Modified' || event.type === 'Deleted'

/** Somebody who follows a store, and remembers everything that it was told. */
export interface Follower {
  events(): readonly StoreEvent[]
  lists(): StoreList[]
  /** The latest list of a kind that was listed. */
  list(kind: Kind): StoreList
  changes(): StoreChange[]
  /** Resolves when the events so far are enough. @throws whatever ended the following before that. */
  until(enough: (events: readonly StoreEvent[]) => boolean): Promise<void>
  /** Resolves when each kind has been listed. */
  listed(): Promise<void>
  /** All changes so far, as soon as there is one such. */
  changesUntil(isLast: (change: StoreChange) => boolean): Promise<StoreChange[]>
  /** Resolves when it has ended. */
  stop(): Promise<void>
}

export function followStore(store: ResourceStore, kinds: readonly Kind[]): Follower {
  const controller = new AbortController()
  const seen: StoreEvent[] = []
  let bell = Promise.withResolvers<void>()
  const ring = (): void => {
    bell.resolve()
    bell = Promise.withResolvers()
  }
  let ended: Error | undefined
  const reading = (async () => {
    try {
      for await (const event of store.follow({ kinds, signal: controller.signal })) {
        seen.push(event)
        ring()
      }
      ended = new Error('the store has ended what it tells')
    } catch (error) {
      ended = error as Error
    }
    ring()
  })()
  const lists = (): StoreList[] => seen.filter((event) => event.type === 'Listed')
  const changes = (): StoreChange[] => seen.filter(isChange)
  const until: Follower['until'] = async (enough) => {
    while (!enough(seen)) {
      if (ended) throw ended
      await bell.promise
    }
  }
  return {
    events: () => seen,
    lists,
    list: (kind) => lists().findLast((event) => event.kind === kind)!,
    changes,
    until,
    listed: () => until(() => new Set(lists().map(({ kind }) => kind)).size === kinds.length),
    async changesUntil(isLast) {
      await until(() => changes().some(isLast))
      return changes()
    },
    async stop() {
      controller.abort()
      await reading
    },
  }
}
