import { kindInfo } from '../../api/kinds.ts'
import type { AnyResource, Key, Kind, KindMap, Manifest } from '../../api/resources.ts'
import { apiVersion } from '../../api/schema.ts'
import { hasCode } from '../../core/errors.ts'
import { missing, taken } from '../../core/stored-object.ts'
import type { Clock, Random } from '../../ports/clock.ts'
import { compareVersions, type ResourceStore, type StoreEvent } from '../../ports/resource-store.ts'
import { failureOf, isAbsent } from './api-failure.ts'
import { followKind, type RawEvent, type RawObject } from './follow-kind.ts'
import { mergeStreams } from './merge-streams.ts'
import type { ApiAnswer, Transport } from './transport.ts'
import { createWholeKind } from './whole-kind.ts'

export interface KubernetesStoreOptions {
  transport: Transport
  clock: Clock
  random: Random
  /** Undefined: all of them. */
  namespaces: readonly string[] | undefined
  /** Of every list and watch; empty for all objects. */
  labelSelector?: string
}

/** Owns the fields of a status, whoever of us wrote them last. */
const fieldManager = 'reflash'
const applyType = 'application/apply-patch+yaml'
const mergeType = 'application/merge-patch+json'

/**
 * The store contract over the API server of a cluster. Status is written by server-side apply, finalizers by a patch of
 * nothing else; a spec is only ever written when an operation is made.
 */
export function createKubernetesStore(options: KubernetesStoreOptions): ResourceStore {
  const { transport, clock, random, namespaces, labelSelector = '' } = options

  const collection = (kind: Kind, namespace: string | undefined): string =>
    `/apis/${apiVersion}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${kindInfo(kind).plural}`
  const place = (kind: Kind, { namespace, name }: Key): string => `${collection(kind, namespace)}/${name}`
  const idOf = ({ kind, metadata }: { kind: Kind; metadata: Key }): string =>
    `${kind} ${metadata.namespace}/${metadata.name}`

  /** @throws ReflashError what the answer means, unless it is a success. */
  const require = (answer: ApiAnswer, what: string): RawObject => {
    const failure = failureOf(answer, what)
    if (failure) throw failure
    return answer.body as RawObject
  }
  const patch = async <R extends AnyResource>(
    object: R,
    part: { path: string; query?: Record<string, string>; contentType: string; body: object },
  ): Promise<R> => {
    const answer = await transport.request({ method: 'PATCH', ...part })
    if (isAbsent(answer)) throw missing(object)
    return toResource(object.kind, require(answer, idOf(object))) as R
  }

  /** Every object of a kind at one path, page by page. */
  const listAt = async <K extends Kind>(
    kind: K,
    namespace: string | undefined,
  ): Promise<{ items: KindMap[K][]; resourceVersion: string }> => {
    const path = collection(kind, namespace)
    const { signal, abort } = abortable()
    try {
      for await (const event of followKind({ transport, clock, random, path, labelSelector, signal })) {
        if (event.type === 'Interrupted') throw event.error
        if (event.type !== 'Listed') continue
        const items = event.objects.map((object) => toResource(kind, object) as KindMap[K])
        return { items, resourceVersion: event.resourceVersion }
      }
      throw new Error(`nothing was said of ${path}`)
    } finally {
      abort()
    }
  }

  return {
    async get<K extends Kind>(kind: K, key: Key) {
      const answer = await transport.request({ method: 'GET', path: place(kind, key) })
      if (isAbsent(answer)) return undefined
      return toResource(kind, require(answer, idOf({ kind, metadata: key }))) as KindMap[K]
    },

    async list<K extends Kind>(kind: K, { namespace }: { namespace?: string } = {}) {
      const wanted = namespace === undefined ? (namespaces ?? [undefined]) : [namespace]
      const lists = await Promise.all(wanted.map((each) => listAt(kind, each)))
      const items = lists.flatMap((list) => list.items).toSorted(byKey)
      // The oldest: all of them show every change up to it.
      return {
        items,
        resourceVersion: lists.map((list) => list.resourceVersion).toSorted(compareVersions)[0]!,
      }
    },

    follow({ kinds, signal }) {
      const places = namespaces ?? [undefined]
      const sources = kinds.flatMap((kind) => {
        const whole = createWholeKind(kind, places.length)
        const toEvent = (event: RawEvent, place: string): StoreEvent | undefined =>
          whole(asStoreEvent(kind, event), place)
        return places.map((namespace) => (stop: AbortSignal) => {
          const path = collection(kind, namespace)
          const events = followKind({ transport, clock, random, path, labelSelector, signal: stop })
          return mapped(events, (event) => toEvent(event, path))
        })
      })
      return mergeStreams<StoreEvent>(sources, signal)
    },

    async create<K extends Kind>(manifest: Manifest<K>) {
      const { kind, metadata } = manifest
      const answer = await transport.request({
        method: 'POST',
        path: collection(kind, metadata.namespace),
        query: { fieldManager },
        body: manifest,
      })
      const failure = failureOf(answer, idOf(manifest))
      if (hasCode(failure, 'AlreadyExists')) throw taken(manifest)
      return toResource(kind, require(answer, idOf(manifest))) as KindMap[K]
    },

    setFinalizers: (object, finalizers) => {
      const { resourceVersion } = object.metadata
      return patch(object, {
        path: place(object.kind, object.metadata),
        query: { fieldManager },
        contentType: mergeType,
        body: { metadata: { resourceVersion, finalizers } },
      })
    },

    saveStatus: (object) => {
      const { kind, status, metadata } = object
      const { name, namespace, resourceVersion } = metadata
      return patch(object, {
        path: `${place(kind, metadata)}/status`,
        query: { fieldManager, force: 'true' },
        contentType: applyType,
        body: {
          apiVersion,
          kind,
          // Without the version an apply overwrites whatever has come between.
          metadata: { name, namespace, resourceVersion },
          // Of an empty status the server would make null, and then refuse that.
          ...(Object.keys(status).length === 0 ? {} : { status }),
        },
      })
    },

    async delete(kind, key, { resourceVersion } = {}) {
      const answer = await transport.request({
        method: 'DELETE',
        path: place(kind, key),
        body: {
          kind: 'DeleteOptions',
          apiVersion: 'v1',
          ...(resourceVersion === undefined ? {} : { preconditions: { resourceVersion } }),
        },
      })
      if (!isAbsent(answer)) require(answer, idOf({ kind, metadata: key }))
    },
  }
}

function abortable(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
const byKey = (a: AnyResource, b: AnyResource): number =>
  byText(a.metadata.namespace, b.metadata.namespace) || byText(a.metadata.name, b.metadata.name)

/** An object of the server as the port has it. Who wrote which field is half of it, and nothing to us. */
function toResource(kind: Kind, raw: RawObject): AnyResource {
  const { managedFields: _managedFields, selfLink: _selfLink, ...metadata } = raw.metadata
  if (Array.isArray(metadata['finalizers']) && metadata['finalizers'].length === 0)
    delete metadata['finalizers']
  return { ...raw, apiVersion, kind, metadata, status: raw['status'] ?? {} } as unknown as AnyResource
}

function asStoreEvent(kind: Kind, event: RawEvent): StoreEvent {
  switch (event.type) {
    case 'Listed':
      return { ...event, kind, objects: event.objects.map((object) => toResource(kind, object)) }
    case 'Bookmark':
    case 'Interrupted':
      return { ...event, kind }
    case 'Added':
    case 'Modified':
    case 'Deleted':
      return { type: event.type, object: toResource(kind, event.object) }
  }
}

/** What `map` makes of each item, but for what it leaves out. */
async function* mapped<T, U>(items: AsyncIterable<T>, map: (item: T) => U | undefined): AsyncGenerator<U> {
  for await (const item of items) {
    const result = map(item)
    if (result !== undefined) yield result
  }
}
