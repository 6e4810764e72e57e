import { objectSchema } from '../api/crd.ts'
import { kinds } from '../api/kinds.ts'
import type { AnyResource, Kind } from '../api/resources.ts'
import { group, version, type KindInfo } from '../api/schema.ts'
import { hasCode } from '../core/errors.ts'
import { keyOf, keyString } from '../core/keys.ts'
import type { Clock } from '../ports/clock.ts'
import type { ResourceStore, WatchEvent } from '../ports/resource-store.ts'
import type { ApiObject, Collection, CollectionChange, ResourceInfo } from './collection.ts'
import { createKeptCollection, type HistoryLimits, type KeptCollection } from './kept-collection.ts'

export interface ResourceCollections {
  /** One for each kind of ours, in the order of the registry. */
  all: readonly Collection[]
  of(kind: Kind): Collection
  /** Resolves when everything has been read for the first time. */
  ready: Promise<void>
  /** Whether everything has been read at least once; before that the collections are empty. */
  loaded(): boolean
  /** Whether the collections follow the store now. */
  synced(): boolean
}

/** A store that cannot be read is asked again after this. */
const retryMs = 1000

/**
 * What the store holds, in memory and followed by one subscription however many readers there are. It ends with the
 * signal. `onError` hears of a store that could not be read; it is tried again.
 */
export function createResourceCollections(
  store: ResourceStore,
  options: {
    clock: Clock
    signal: AbortSignal
    history?: HistoryLimits
    onError?: (error: unknown) => void
  },
): ResourceCollections {
  const { clock, signal, history, onError = () => undefined } = options
  let seen = 0
  let following = false
  const kept = new Map<Kind, KeptCollection>(
    kinds.map((info) => [info.kind, createKeptCollection(resourceInfo(info), () => seen, history)]),
  )
  const { promise: ready, resolve: markReady } = Promise.withResolvers<void>()

  const onEvent = (event: WatchEvent): void => {
    if (event.type === 'Bookmark') return
    const at = Number(event.object.metadata.resourceVersion)
    // The version first: a listener that is told of a change may ask how far that is.
    seen = Math.max(seen, at)
    const collection = kept.get(event.object.kind)!
    collection.apply({ type: changeTypes[event.type], object: asApi(event.object), version: at })
    collection.tell()
  }

  /** Reads all of it, then follows; comes back only by an error or when the signal is aborted. */
  const follow = async (): Promise<void> => {
    const snapshot = await takeLists(store)
    for await (const event of store.watch({ kinds: allKinds, from: snapshot.from, signal })) {
      if (following) onEvent(event)
      else if (event.type !== 'Bookmark') snapshot.take(event)
      else {
        const at = Number(event.resourceVersion)
        for (const [kind, collection] of kept) replace(collection, snapshot.objects(kind), seen, at)
        seen = at
        following = true
        for (const collection of kept.values()) collection.tell()
        markReady()
      }
    }
  }

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await follow()
      } catch (error) {
        if (signal.aborted) return
        if (!hasCode(error, 'Expired')) onError(error)
      } finally {
        following = false
      }
      await clock.sleep(retryMs, signal).catch(() => undefined)
    }
  }
  void run()

  return {
    all: Array.from(kept.values(), ({ collection }) => collection),
    of: (kind) => kept.get(kind)!.collection,
    ready,
    loaded: () => seen > 0,
    synced: () => following,
  }
}

const allKinds = kinds.map(({ kind }) => kind)
const changeTypes = { Added: 'ADDED', Modified: 'MODIFIED', Deleted: 'DELETED' } as const

/** A resource is what the API shows; only its type says less. */
const asApi = (object: AnyResource): ApiObject => object as unknown as ApiObject

const resourceInfo = (info: KindInfo): ResourceInfo => ({
  group,
  version,
  kind: info.kind,
  plural: info.plural,
  singular: info.singular,
  shortNames: info.shortNames,
  categories: ['reflash'],
  namespaced: true,
  columns: info.columns,
  description: info.description,
  schema: objectSchema(info),
})

/**
 * One list a kind. They are taken one after the other, so the watch starts from the first of them, and only when its past
 * has been taken in as well is all of it the state at one version.
 */
async function takeLists(store: ResourceStore) {
  let from: string | undefined
  const lists = new Map<Kind, Map<string, AnyResource>>()
  for (const kind of allKinds) {
    const { items, resourceVersion } = await store.list(kind)
    from ??= resourceVersion
    lists.set(kind, new Map(items.map((item) => [keyString(keyOf(item)), item])))
  }
  return {
    from: from!,
    take({ type, object }: Exclude<WatchEvent, { type: 'Bookmark' }>): void {
      const list = lists.get(object.kind)!
      const key = keyString(keyOf(object))
      if (type === 'Deleted') list.delete(key)
      else list.set(key, object)
    },
    objects: (kind: Kind): ApiObject[] => Array.from(lists.get(kind)!.values(), asApi),
  }
}

/** Brings a collection from the version `seen` to these objects, which are the state at `at`. */
function replace(kept: KeptCollection, objects: ApiObject[], seen: number, at: number): void {
  if (seen === 0 || at < seen) return kept.reset(objects, at)
  const { collection } = kept
  const changes: { type: CollectionChange['type']; object: ApiObject; version: number }[] = []
  const versions = new Set<number>()
  const present = new Set<string>()
  for (const object of objects) {
    const { namespace = '', name, resourceVersion } = object.metadata
    present.add(`${namespace}/${name}`)
    const known = collection.get({ namespace, name })
    if (known?.metadata.resourceVersion === resourceVersion) continue
    versions.add(Number(resourceVersion))
    changes.push({ type: 'ADDED', object, version: Number(resourceVersion) })
  }
  // Each deletion had a version of its own that nobody saw: any that is free stands for it.
  let free = at
  for (const object of collection.list()) {
    const { namespace = '', name } = object.metadata
    if (present.has(`${namespace}/${name}`)) continue
    while (versions.has(free)) free -= 1
    const metadata = { ...object.metadata, resourceVersion: String(free) }
    changes.push({ type: 'DELETED', object: { ...object, metadata }, version: free })
    free -= 1
  }
  for (const change of changes.toSorted((a, b) => a.version - b.version)) kept.apply(change)
}
