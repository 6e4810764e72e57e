import type { ApiObject, Collection, CollectionChange, ResourceInfo } from './collection.ts'
import { createKeptCollection } from './kept-collection.ts'
import type { ResourceCollections } from './resource-collections.ts'

const info: ResourceInfo = {
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  singular: 'namespace',
  shortNames: ['ns'],
  categories: [],
  namespaced: false,
  columns: [{ name: 'Status', jsonPath: '.status.phase', type: 'string' }],
  description: 'A scope for names. There is `default`, and each namespace in which an object is.',
  schema: {
    type: 'object',
    description: 'A scope for names. There is `default`, and each namespace in which an object is.',
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      status: {
        type: 'object',
        properties: {
          phase: { type: 'string', description: 'Active: nothing else happens to a namespace.' },
        },
      },
    },
  },
}

/** Kubernetes always has it, and clients ask for it. */
const always = 'default'

/** The namespaces in which objects are, as `v1` Namespaces. It lives as long as the resources do. */
export function createNamespaceCollection(resources: ResourceCollections): Collection {
  const version = (): number => Math.max(...resources.all.map((collection) => collection.version()))
  const kept = createKeptCollection(info, version)
  /** How many objects are in each. */
  const counts = new Map<string, number>()
  /** How far each collection has been counted. */
  const counted = new Map<Collection, number>()
  let latest = 0

  const recount = (): void => {
    counts.clear()
    const oldest = new Map<string, string | undefined>([[always, undefined]])
    for (const collection of resources.all) {
      counted.set(collection, collection.version())
      for (const { metadata } of collection.list()) {
        const { namespace = '', creationTimestamp } = metadata
        counts.set(namespace, (counts.get(namespace) ?? 0) + 1)
        const known = oldest.get(namespace)
        const isOlder = known === undefined || (creationTimestamp ?? known) < known
        if (isOlder) oldest.set(namespace, creationTimestamp)
      }
    }
    latest = version()
    kept.reset(
      Array.from(oldest, ([name, time]) => namespaceObject(name, { version: latest, time })),
      latest,
    )
  }

  /** False when it came out of order, as after the store had to be read again. */
  const take = ({ type, object, version: at }: CollectionChange): boolean => {
    const { namespace = '', creationTimestamp: time } = object.metadata
    if (type === 'MODIFIED') return true
    const count = (counts.get(namespace) ?? 0) + (type === 'ADDED' ? 1 : -1)
    if (count > 0) counts.set(namespace, count)
    else counts.delete(namespace)
    if (!isNews(namespace, type, count)) return true
    if (at <= latest) return false
    latest = at
    kept.apply({ type, object: namespaceObject(namespace, { version: at, time }), version: at })
    return true
  }

  /** Whether it comes or goes; `default` is always there, and as old as the first object in it. */
  const isNews = (namespace: string, type: CollectionChange['type'], count: number): boolean => {
    if (namespace !== always) return type === 'ADDED' ? count === 1 : count === 0
    const known = kept.collection.get({ namespace: '', name: always })
    return type === 'ADDED' && known?.metadata.creationTimestamp === undefined
  }

  const follow = (collection: Collection): void => {
    const changes = collection.since(counted.get(collection) ?? 0, Number.MAX_SAFE_INTEGER)
    if (changes === 'Expired' || !changes.every(take)) recount()
    else counted.set(collection, changes.at(-1)?.version ?? counted.get(collection)!)
    kept.tell()
  }

  recount()
  for (const collection of resources.all) collection.onChange(() => follow(collection))
  return kept.collection
}

const namespaceObject = (
  name: string,
  { version, time }: { version: number; time: string | undefined },
): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name,
    resourceVersion: String(version),
    ...(time === undefined ? {} : { creationTimestamp: time }),
    labels: { 'kubernetes.io/metadata.name': name },
  },
  status: { phase: 'Active' },
})
