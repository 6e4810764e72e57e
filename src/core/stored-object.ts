import type { AnyResource, Kind, KindMap, Manifest, ObjectMeta } from '../api/resources.ts'
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
      ...declared({ labels, annotations, finalizers }),
    },
    spec: manifest.spec,
    status: {},
  } as unknown as KindMap[K]
}

/** The object with labels, annotations and spec of the manifest; undefined when nothing changes. */
export function applied(
  before: AnyResource,
  manifest: Manifest,
  resourceVersion: string,
): AnyResource | undefined {
  const { labels, annotations } = manifest.metadata
  const next = replaced(before, {
    labels,
    annotations,
    finalizers: before.metadata.finalizers,
    spec: manifest.spec,
  })
  return next && stamped(next, resourceVersion)
}

/**
 * The object with these finalizers; undefined when nothing changes.
 * @throws ReflashError `Conflict`, and `Invalid` when a finalizer is put on an object that is going.
 */
export function withFinalizers(
  before: AnyResource,
  object: AnyResource,
  finalizers: readonly string[],
  resourceVersion: string,
): AnyResource | undefined {
  requireVersion(before, object.metadata.resourceVersion)
  const added = finalizers.find((finalizer) => !before.metadata.finalizers?.includes(finalizer))
  if (before.metadata.deletionTimestamp !== undefined && added !== undefined) {
    throw new ReflashError(
      'Invalid',
      `${idOf(before)} is being deleted and takes no new finalizer, such as ${added}`,
    )
  }
  const { labels, annotations } = before.metadata
  const next = replaced(before, { labels, annotations, finalizers: [...finalizers], spec: before.spec })
  return next && stamped(next, resourceVersion)
}

/** The object with the status of another; undefined when nothing changes. @throws ReflashError `Conflict`. */
export function withStatus(
  before: AnyResource,
  object: AnyResource,
  resourceVersion: string,
): AnyResource | undefined {
  requireVersion(before, object.metadata.resourceVersion)
  if (sameValue(before.status, object.status)) return undefined
  return stamped({ ...before, status: object.status } as AnyResource, resourceVersion)
}

/** The object as it is reported when it goes at once. */
export const removed = (before: AnyResource, resourceVersion: string): AnyResource =>
  stamped(before, resourceVersion)

/** The object marked as going; undefined when it already is. */
export function deleting(
  before: AnyResource,
  resourceVersion: string,
  time: string,
): AnyResource | undefined {
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

export const missing = (object: {
  kind: string
  metadata: { namespace: string; name: string }
}): ReflashError => new ReflashError('NotFound', `${idOf(object)} does not exist`)

export const taken = (manifest: Manifest): ReflashError =>
  new ReflashError('AlreadyExists', `${idOf(manifest)} exists already`)

interface Declared {
  labels: Record<string, string> | undefined
  annotations: Record<string, string> | undefined
  finalizers: string[] | undefined
}

/** The fields that say something: an empty one is the same as none. */
const declared = ({ labels, annotations, finalizers }: Declared): Partial<ObjectMeta> => ({
  ...(labels && Object.keys(labels).length > 0 ? { labels } : {}),
  ...(annotations && Object.keys(annotations).length > 0 ? { annotations } : {}),
  ...(finalizers && finalizers.length > 0 ? { finalizers } : {}),
})

function replaced(
  before: AnyResource,
  { spec, ...fields }: Declared & { spec: unknown },
): AnyResource | undefined {
  const { labels: _labels, annotations: _annotations, finalizers: _finalizers, ...own } = before.metadata
  const specChanged = !sameValue(before.spec, spec)
  const metadata = { ...own, ...declared(fields) }
  if (!specChanged && sameValue(before.metadata, metadata)) return undefined
  const generation = before.metadata.generation + (specChanged ? 1 : 0)
  return { ...before, metadata: { ...metadata, generation }, spec } as AnyResource
}

const stamped = (object: AnyResource, resourceVersion: string): AnyResource =>
  ({ ...object, metadata: { ...object.metadata, resourceVersion } }) as AnyResource
