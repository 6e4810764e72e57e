import { kinds } from '../api/kinds.ts'
import { formatPath } from '../api/problem.ts'
import type { Key, Kind, Manifest } from '../api/resources.ts'
import { changeProblems } from '../api/validate.ts'
import { folderAnnotation, sourceAnnotation, sourceErrorAnnotation } from '../core/annotations.ts'
import { keyOf } from '../core/keys.ts'
import { sameValue } from '../core/same-value.ts'
import type { EventSink } from '../ports/event-sink.ts'
import type { DeclaredStore } from '../ports/resource-store.ts'
import { deviceFinalizer, inUseFinalizer, operationFinalizer } from './finalizers.ts'

/** One object as a directory declares it. */
export interface Declared {
  manifest: Manifest
  /** Folder of its file, relative to the directory. */
  folder: string
  /** Why its file, as it is now, is not the one in force. */
  staleBecause?: string
}

/** What the directory declares at one instant. */
export interface DeclaredRevision {
  label?: string
  /** By kind, namespace and name. */
  objects: ReadonlyMap<string, Declared>
  /** Declared in a form that cannot be accepted, and why: neither taken up nor removed. */
  spoiled: ReadonlyMap<string, string>
  /** Some file could not be read: what is not declared may still be wanted. */
  incomplete: boolean
  /** The directory is gone or empty. */
  vanished: boolean
}

const suspiciousShare = 0.1
const suspiciousCount = 5

const finalizerOf: Partial<Record<Kind, string>> = {
  Device: deviceFinalizer,
  UpgradeOperation: operationFinalizer,
  Build: inUseFinalizer,
  FirmwareImage: inUseFinalizer,
}

/** Brings revisions of a directory into the store, writing only what differs from the revision before. */
export interface DirectorySync {
  /** Resolves when the store holds the revision. */
  take(revision: DeclaredRevision): Promise<void>
  /** An object has left the store: if it is still declared, the revision in force brings it back. */
  restore(id: string): Promise<void>
}

export function createDirectorySync(store: DeclaredStore, events: EventSink): DirectorySync {
  // What the store was brought to; undefined until the first revision has been compared with the whole store.
  let applied: Map<string, Declared> | undefined
  let inForce: DeclaredRevision | undefined
  // Left alone while its file cannot be accepted; it goes when the file goes.
  let spoiled: ReadonlySet<string> = new Set()

  async function take(revision: DeclaredRevision): Promise<void> {
    if (revision.vanished) {
      const message = 'the directory is gone or empty; nothing is removed'
      events.emit({ type: 'Warning', reason: 'DirectoryVanished', message })
      return
    }
    inForce = revision
    const next = new Map<string, Declared>()
    for (const [id, declared] of inOrder(revision)) {
      if (!isSame(applied?.get(id), declared)) await applyOne(id, marked(declared))
      next.set(id, declared)
    }
    for (const [id, because] of revision.spoiled) if (!next.has(id)) await markStored(id, because)
    const gone = applied
      ? [...new Set([...applied.keys(), ...spoiled])].filter((id) => isAbsent(revision, id)).map(parseId)
      : await undeclaredIn(revision)
    if (revision.incomplete) {
      // What a broken file declared is unknown, so nothing that is missing counts as removed.
      for (const [id, declared] of applied ?? []) if (!next.has(id)) next.set(id, declared)
      applied = applied ? next : undefined
      return
    }
    warnOfManyDevices(gone, revision)
    for (const { kind, key } of gone) if (await isDeclaredOne(kind, key)) await store.delete(kind, key)
    applied = next
    spoiled = new Set(revision.spoiled.keys())
  }

  async function applyOne(id: string, manifest: Manifest): Promise<void> {
    if (manifest.kind === 'UpgradeOperation') {
      const stored = await store.get('UpgradeOperation', manifest.metadata)
      if (stored && stored.metadata.annotations?.[sourceAnnotation] === undefined) {
        const message = `${id} is the name of an operation that a policy made; rename yours`
        events.emit({
          type: 'Warning',
          kind: manifest.kind,
          object: keyOf(stored),
          reason: 'Conflict',
          message,
        })
        return
      }
      const [change] = stored ? changeProblems(stored, manifest) : []
      if (change) return markStored(id, `${formatPath(change.path)}: ${change.message}`)
    }
    await store.apply(manifest)
  }

  /** What an earlier run took up stays, and says why its file does not count now. */
  async function markStored(id: string, because: string): Promise<void> {
    const { kind, key } = parseId(id)
    if (!kindOrder.has(kind)) return
    const stored = await store.get(kind, key)
    if (stored?.metadata.annotations?.[sourceAnnotation] === undefined) return
    const { apiVersion, metadata, spec } = stored
    const annotations = { ...metadata.annotations, [sourceErrorAnnotation]: because.slice(0, 1000) }
    await store.apply({ apiVersion, kind, metadata: { ...metadata, annotations }, spec } as Manifest)
  }

  /** A policy's operation may have the name of one that a file declared in vain. */
  async function isDeclaredOne(kind: Kind, key: Key): Promise<boolean> {
    const stored = await store.get(kind, key)
    return stored?.metadata.annotations?.[sourceAnnotation] !== undefined
  }

  /** Objects of earlier runs that this revision does not declare any more. */
  async function undeclaredIn(revision: DeclaredRevision): Promise<Gone[]> {
    const gone: Gone[] = []
    for (const { kind } of kinds) {
      for (const { metadata } of (await store.list(kind)).items) {
        if (metadata.annotations?.[sourceAnnotation] === undefined || metadata.deletionTimestamp) continue
        const { namespace, name } = metadata
        if (isAbsent(revision, `${kind}/${namespace}/${name}`)) gone.push({ kind, key: { namespace, name } })
      }
    }
    return gone
  }

  function warnOfManyDevices(gone: Gone[], revision: DeclaredRevision): void {
    const removed = gone.filter(({ kind }) => kind === 'Device').length
    if (removed < suspiciousCount) return
    const left = [...revision.objects.values()].filter(({ manifest }) => manifest.kind === 'Device').length
    if (removed <= suspiciousShare * (removed + left)) return
    const message = `this revision removes ${removed} of ${removed + left} devices`
    events.emit({ type: 'Warning', reason: 'SuspiciousRevision', message })
  }

  return {
    take,
    async restore(id) {
      const declared = inForce?.objects.get(id)
      if (declared) await applyOne(id, marked(declared))
    },
  }
}

const kindOrder = new Map<Kind, number>(kinds.map(({ kind }, index) => [kind, index]))

/** What is referred to comes before what refers to it, so that nothing is missed for a moment. */
const inOrder = ({ objects }: DeclaredRevision): [string, Declared][] =>
  [...objects].toSorted(([, a], [, b]) => kindOrder.get(a.manifest.kind)! - kindOrder.get(b.manifest.kind)!)

const isAbsent = ({ objects, spoiled }: DeclaredRevision, id: string): boolean =>
  !objects.has(id) && !spoiled.has(id)

interface Gone {
  kind: Kind
  key: Key
}

const isSame = (a: Declared | undefined, b: Declared): boolean =>
  a === b ||
  (a !== undefined &&
    sameValue(a.manifest, b.manifest) &&
    a.folder === b.folder &&
    a.staleBecause === b.staleBecause)

function parseId(id: string): Gone {
  const [kind, namespace, name] = id.split('/')
  return { kind: kind as Kind, key: { namespace: namespace!, name: name! } }
}

function marked({ manifest, folder, staleBecause }: Declared): Manifest {
  const finalizer = finalizerOf[manifest.kind]
  return {
    ...manifest,
    metadata: {
      ...manifest.metadata,
      annotations: {
        ...manifest.metadata.annotations,
        [sourceAnnotation]: 'directory',
        ...(manifest.kind === 'FirmwareImage' ? { [folderAnnotation]: folder } : {}),
        ...(staleBecause === undefined ? {} : { [sourceErrorAnnotation]: staleBecause.slice(0, 1000) }),
      },
      ...(finalizer === undefined ? {} : { finalizers: [finalizer] }),
    },
  }
}
