import type { AnyResource, Key, Kind, KindMap, Manifest } from '../../api/resources.ts'
import { byName, keyString } from '../../core/keys.ts'
import {
  applied,
  created,
  deleting,
  isGone,
  missing,
  requireVersion,
  taken,
  updated,
  withStatus,
} from '../../core/stored-object.ts'
import { toTime } from '../../core/time.ts'
import type { Clock } from '../../ports/clock.ts'
import { compareVersions, type ResourceStore } from '../../ports/resource-store.ts'
import { createWatchLog } from '../watch-log.ts'

/** A store that forgets with its process. `initial` objects are taken as they are, versions and uids included. */
export function createMemoryStore(options: { clock: Clock; initial?: readonly AnyResource[] }): ResourceStore {
  const { clock, initial = [] } = options
  const objects = new Map<string, AnyResource>()
  let version = 0
  let uids = 0
  for (const object of initial) {
    objects.set(idOf(object.kind, object.metadata), structuredClone(object))
    const { resourceVersion } = object.metadata
    if (compareVersions(resourceVersion, String(version)) > 0) version = Number(resourceVersion)
  }
  const log = createWatchLog(String(version))

  const stamp = () => ({
    resourceVersion: String(version + 1),
    uid: `memory-${version + 1}-${(uids += 1)}`,
    time: toTime(clock.now()),
  })
  const keep = (type: 'Added' | 'Modified', object: AnyResource): void => {
    version += 1
    objects.set(idOf(object.kind, object.metadata), object)
    log.append({ type, object })
  }
  const drop = (object: AnyResource): void => {
    version += 1
    objects.delete(idOf(object.kind, object.metadata))
    const metadata = { ...object.metadata, resourceVersion: String(version) }
    log.append({ type: 'Deleted', object: { ...object, metadata } as AnyResource })
  }
  const stored = (object: AnyResource): AnyResource => {
    const before = objects.get(idOf(object.kind, object.metadata))
    if (!before) throw missing(object)
    return before
  }
  const create = <K extends Kind>(manifest: Manifest<K>): KindMap[K] => {
    if (objects.has(idOf(manifest.kind, manifest.metadata))) throw taken(manifest)
    const object = structuredClone(created(manifest, stamp()))
    keep('Added', object)
    return structuredClone(object)
  }
  const change = <R extends AnyResource>(before: AnyResource, next: AnyResource | undefined): R => {
    if (!next) return structuredClone(before) as R
    const copy = structuredClone(next)
    if (isGone(copy)) drop(copy)
    else keep('Modified', copy)
    return structuredClone(copy) as R
  }

  return {
    async get<K extends Kind>(kind: K, key: Key) {
      return structuredClone(objects.get(idOf(kind, key))) as KindMap[K] | undefined
    },
    async list<K extends Kind>(kind: K, { namespace }: { namespace?: string } = {}) {
      const items = [...objects.values()]
        .filter((object) => object.kind === kind && (namespace === undefined || object.metadata.namespace === namespace))
        .toSorted(byName)
      return { items: structuredClone(items) as KindMap[K][], resourceVersion: String(version) }
    },
    watch: (watchOptions) => log.watch(watchOptions),
    async create(manifest) {
      return create(manifest)
    },
    async apply(manifest) {
      const before = objects.get(idOf(manifest.kind, manifest.metadata))
      return before ? change(before, applied(before, manifest, String(version + 1))) : create(manifest)
    },
    async update(object) {
      const before = stored(object)
      return change(before, updated(before, object, String(version + 1)))
    },
    async saveStatus(object) {
      const before = stored(object)
      return change(before, withStatus(before, object, String(version + 1)))
    },
    async delete(kind, key, { resourceVersion } = {}) {
      const before = objects.get(idOf(kind, key))
      if (!before) return
      if (resourceVersion !== undefined) requireVersion(before, resourceVersion)
      if (before.metadata.finalizers?.length) {
        const next = deleting(before, stamp())
        if (next) keep('Modified', structuredClone(next))
      } else drop(before)
    },
  }
}

const idOf = (kind: Kind, key: Key): string => `${kind}/${keyString(key)}`
