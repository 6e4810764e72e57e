import { objectSchema } from '../api/crd.ts'
import { kinds } from '../api/kinds.ts'
import type { AnyResource, Kind } from '../api/resources.ts'
import { group, version, type KindInfo } from '../api/schema.ts'
import type { Clock } from '../ports/clock.ts'
import type { ResourceStore, StoreEvent } from '../ports/resource-store.ts'
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

/** What of a kind is in memory, and how far the store has been seen. */
interface Followed {
  kept: KeptCollection
  version: number
  following: boolean
}

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
  const followed = new Map<Kind, Followed>(
    kinds.map((info) => {
      const entry = { version: 0, following: false }
      const kept = createKeptCollection(resourceInfo(info), () => entry.version, history)
      return [info.kind, Object.assign(entry, { kept })]
    }),
  )
  const all = [...followed.values()]
  const synced = (): boolean => all.every(({ following }) => following)
  const { promise: ready, resolve: markReady } = Promise.withResolvers<void>()

  /** The version first: a listener that is told of a change may ask how far that is. */
  const seen = (entry: Followed, resourceVersion: string): number => {
    const at = Number(resourceVersion)
    entry.version = Math.max(entry.version, at)
    return at
  }

  const onEvent = (event: StoreEvent): void => {
    switch (event.type) {
      case 'Interrupted':
        followed.get(event.kind)!.following = false
        return onError(event.error)
      case 'Bookmark':
        for (const entry of event.kind ? [followed.get(event.kind)!] : all) {
          seen(entry, event.resourceVersion)
          entry.following = true
        }
        if (synced()) markReady()
        return
      case 'Listed': {
        const entry = followed.get(event.kind)!
        const before = entry.version
        const at = seen(entry, event.resourceVersion)
        replace(entry.kept, event.objects.map(asApi), before, at)
        return entry.kept.tell()
      }
      case 'Added':
      case 'Modified':
      case 'Deleted': {
        const entry = followed.get(event.object.kind)!
        const version = seen(entry, event.object.metadata.resourceVersion)
        entry.kept.apply({ type: changeTypes[event.type], object: asApi(event.object), version })
        return entry.kept.tell()
      }
    }
  }

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        for await (const event of store.follow({ kinds: allKinds, signal })) onEvent(event)
      } catch (error) {
        if (signal.aborted) return
        onError(error)
      } finally {
        for (const entry of all) entry.following = false
      }
      await clock.sleep(retryMs, signal).catch(() => undefined)
    }
  }
  void run()

  return {
    all: all.map(({ kept }) => kept.collection),
    of: (kind) => followed.get(kind)!.kept.collection,
    ready,
    loaded: () => all.every(({ version }) => version > 0),
    synced,
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
