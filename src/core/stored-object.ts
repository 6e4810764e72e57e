import type { AnyResource, Kind, KindMap, Manifest } from '../api/resources.ts'
import { ReflashError } from './errors.ts'
import { sameValue } from './same-value.ts'

/** What every store makes of a write: the rules of metadata, apart from where objects are kept. */
export interface Stamp {
  resourceVersion: string
  uid: string
  /** RFC 3339. */
  time: string
}

const idOf = (object: { kind: string; metadata: { namespace: string; name: string } }): string =>
  `${object.kind} ${object.metadata.namespace}/${object.metadata.name}`

export function created<K extends Kind>(manifest: Manifest<K>, stamp: Stamp): KindMap[K] {
  const { labels, annotations, finalizers, name, namespace } = manifest.metadata
  return {
    apiVersion: manifest.apiVersion,
    kind: manifest.kind,
    metadata: {
      name,
      namespace,
      uid: stamp.uid,
      resourceVersion: stamp.resourceVersion,
      generation: 1,
      creationTimestamp: stamp.time,
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
      ...(finalizers?.length ? { finalizers } : {}),
    },
    spec: manifest.spec,
    status: {},
  } as unknown as KindMap[K]
}

/** The object with labels, annotations and spec of the manifest; undefined when nothing changes. */
export function applied(before: AnyResource, manifest: Manifest, resourceVersion: string): AnyResource | undefined {
  const { labels, annotations } = manifest.metadata
  const next = replaced(before, { labels, annotations, finalizers: before.metadata.finalizers, spec: manifest.spec })
  return next && stamped(next, resourceVersion)
}

/** The object with the metadata and spec of another; undefined when nothing changes. @throws ReflashError `Conflict`. */
export function updated(before: AnyResource, object: AnyResource, resourceVersion: string): AnyResource | undefined {
  requireVersion(before, object.metadata.resourceVersion)
  const { labels, annotations, finalizers } = object.metadata
  const next = replaced(before, { labels, annotations, finalizers, spec: object.spec })
  return next && stamped(next, resourceVersion)
}

/** The object with the status of another; undefined when nothing changes. @throws ReflashError `Conflict`. */
export function withStatus(before: AnyResource, object: AnyResource, resourceVersion: string): AnyResource | undefined {
  requireVersion(before, object.metadata.resourceVersion)
  if (sameValue(before.status, object.status)) return undefined
  return stamped({ ...before, status: object.status } as AnyResource, resourceVersion)
}

/** The object marked as going; undefined when it already is. */
export function deleting(before: AnyResource, { resourceVersion, time }: Stamp): AnyResource | undefined {
  if (before.metadata.deletionTimestamp) return undefined
  const metadata = { ...before.metadata, deletionTimestamp: time }
  return stamped({ ...before, metadata } as AnyResource, resourceVersion)
}

/** Whether the last finalizer of an object that is going has gone. */
export const isGone = ({ metadata }: AnyResource): boolean =>
  metadata.deletionTimestamp !== undefined && !metadata.finalizers?.length

/** @throws ReflashError `Conflict` when somebody has changed the object meanwhile. */
export function requireVersion(before: AnyResource, resourceVersion: string): void {
  if (before.metadata.resourceVersion === resourceVersion) return
  throw new ReflashError(
    'Conflict',
    `${idOf(before)} is at version ${before.metadata.resourceVersion}, not ${resourceVersion}: read it again`,
  )
}

export const missing = (object: { kind: string; metadata: { namespace: string; name: string } }): ReflashError =>
  new ReflashError('NotFound', `${idOf(object)} does not exist`)

export const taken = (manifest: Manifest): ReflashError =>
  new ReflashError('AlreadyExists', `${idOf(manifest)} exists already`)

type Replacement = Partial<Record<'labels' | 'annotations', Record<string, string> | undefined>> & {
  finalizers: string[] | undefined
  spec: unknown
}

function replaced(before: AnyResource, { labels, annotations, finalizers, spec }: Replacement): AnyResource | undefined {
  const specChanged = !sameValue(before.spec, spec)
  const metadata = { ...before.metadata }
  set(metadata, 'labels', labels && Object.keys(labels).length > 0 ? labels : undefined)
  set(metadata, 'annotations', annotations && Object.keys(annotations).length > 0 ? annotations : undefined)
  set(metadata, 'finalizers', finalizers?.length ? finalizers : undefined)
  if (!specChanged && sameValue(before.metadata, metadata)) return undefined
  if (specChanged) metadata.generation += 1
  return { ...before, metadata, spec } as AnyResource
}

function set<T extends object, F extends keyof T>(object: T, field: F, value: T[F] | undefined): void {
  if (value === undefined) delete object[field]
  else object[field] = value
}

const stamped = (object: AnyResource, resourceVersion: string): AnyResource =>
  ({ ...object, metadata: { ...object.metadata, resourceVersion } }) as AnyResource
