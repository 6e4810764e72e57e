import type { Build, FirmwareImage, FirmwareImageStatus, Key } from '../api/resources.ts'
import { folderAnnotation, sourceErrorOf } from '../core/annotations.ts'
import { removeCondition, setCondition } from '../core/conditions.ts'
import { messageOf, ReflashError } from '../core/errors.ts'
import { imageReadiness } from '../core/image-readiness.ts'
import { keyOf } from '../core/keys.ts'
import { holdsSlot } from '../core/operation.ts'
import { sameValue } from '../core/same-value.ts'
import type { StoredImage } from '../ports/image-store.ts'
import { dropFinalizer, ensureFinalizer, inUseFinalizer } from './finalizers.ts'
import { done, type Ports, type Requeue } from './ports.ts'

/** A missing or unreachable file may come: it is looked for again after this. */
const retryMs = 30_000
const defaultRecheckMs = 10 * 60_000
/** How often it is asked whether one that is to go is still needed. */
const leavingMs = 1000

/** Fetches and checks the file of one image, and says which boards may get it. */
export async function reconcileImage(key: Key, ports: Ports, signal: AbortSignal): Promise<Requeue> {
  let image = ports.fleet.get('FirmwareImage', key)
  if (!image) return done
  if (image.metadata.deletionTimestamp) return leave(image, ports, signal)
  image = await ensureFinalizer(image, inUseFinalizer, ports)
  if (image.status.observedGeneration !== image.metadata.generation) {
    image = await ports.store.saveStatus({ ...image, status: loading(image, ports) })
  }
  const fetched = await judge(image, ports, signal)
  const { imageRecheckMs = defaultRecheckMs } = ports.settings
  return { after: fetched instanceof ReflashError && fetched.recoverable ? retryMs : imageRecheckMs }
}

/** One that is to go stays while an operation in flight needs it, and its file may have gone before it. */
async function leave(image: FirmwareImage, ports: Ports, signal: AbortSignal): Promise<Requeue> {
  if (isNeeded(image, ports)) {
    const isHere = ports.fleet.hasFetched(keyOf(image), image.status.sha256 ?? '')
    if (!isHere) await judge(image, ports, signal)
    return { after: leavingMs }
  }
  await dropFinalizer(image, inUseFinalizer, ports)
  ports.fleet.noteFetched(keyOf(image), undefined)
  return done
}

/** Fetches the file, and writes what the image is with it. */
async function judge(image: FirmwareImage, ports: Ports, signal: AbortSignal): Promise<Fetched> {
  const { namespace } = image.metadata
  const fetched = await fetchFile(image, ports, signal)
  ports.fleet.noteFetched(keyOf(image), fetched instanceof ReflashError ? undefined : fetched.sha256)
  const build = ports.fleet.get('Build', { namespace, name: image.spec.buildRef.name })
  const last = judgements.get(image)
  if (last && last.fetched === fetched && last.build === build) return fetched
  const status = statusOf(image, readinessOf(image, fetched, build), fetched, ports)
  if (sameValue(status, image.status)) judgements.set(image, { fetched, build })
  else await ports.store.saveStatus({ ...image, status })
  return fetched
}

/** What the status of an image, as it is, was made of: where file and build are still the same, it is right. */
const judgements = new WeakMap<FirmwareImage, { fetched: Fetched; build: Build | undefined }>()

/** While an operation in flight needs the file, it stays. */
const isNeeded = (image: FirmwareImage, { fleet }: Ports): boolean =>
  [...fleet.unfinished()].some(
    (operation) =>
      operation.metadata.namespace === image.metadata.namespace &&
      operation.status.image?.name === image.metadata.name &&
      holdsSlot(operation),
  )

type Readiness =
  | { ready: true; boards: readonly string[] }
  | { ready: false; reason: string; message: string }

/** The file, or why there is none. */
type Fetched = StoredImage | ReflashError

async function fetchFile(image: FirmwareImage, ports: Ports, signal: AbortSignal): Promise<Fetched> {
  const { source, sha256 } = image.spec
  const folder = image.metadata.annotations?.[folderAnnotation]
  const manifestFolder = folder === undefined ? undefined : ports.settings.folderOf?.(folder)
  try {
    return await ports.images.fetch(
      {
        ...(manifestFolder === undefined ? {} : { manifestFolder }),
        ...(source.path === undefined ? {} : { path: source.path }),
        ...(source.url === undefined ? {} : { url: source.url }),
        ...(sha256 === undefined ? {} : { sha256 }),
      },
      signal,
    )
  } catch (error) {
    if (error instanceof ReflashError) return error
    throw error
  }
}

function readinessOf({ spec }: FirmwareImage, fetched: Fetched, build: Build | undefined): Readiness {
  if (fetched instanceof ReflashError)
    return { ready: false, reason: fetched.code, message: messageOf(fetched) }
  if (build) return imageReadiness({ image: spec, build: build.spec }, fetched)
  return { ready: false, reason: 'NotFound', message: `build ${spec.buildRef.name} does not exist` }
}

const loading = (image: FirmwareImage, { clock }: Ports): FirmwareImageStatus => {
  const condition = {
    reason: 'Loading',
    message: 'the file is being fetched and checked',
    observedGeneration: image.metadata.generation,
  }
  const conditions = setCondition(
    removeCondition(image.status.conditions, 'Stalled'),
    { type: 'Ready', status: 'Unknown', ...condition },
    clock.now(),
  )
  return {
    conditions: setCondition(conditions, { type: 'Reconciling', status: 'True', ...condition }, clock.now()),
  }
}

function statusOf(
  image: FirmwareImage,
  readiness: Readiness,
  fetched: Fetched,
  { clock }: Ports,
): FirmwareImageStatus {
  const now = clock.now()
  const observedGeneration = image.metadata.generation
  let conditions = image.status.conditions ?? []
  const set = (type: string, status: 'True' | 'False', reason: string, message: string): void => {
    conditions = setCondition(conditions, { type, status, reason, message, observedGeneration }, now)
  }
  // What still holds is not taken away first: it would seem to have begun just now, and be written each time.
  const setOrRemove = (type: string, why: { reason: string; message: string } | undefined): void => {
    if (why) set(type, 'True', why.reason, why.message)
    else conditions = removeCondition(conditions, type)
  }
  if (readiness.ready) {
    set('Ready', 'True', 'ImageReady', `for ${readiness.boards.join(', ')}`)
    set('Unsigned', 'True', 'NoSignaturePolicy', 'nothing but its digest vouches for this image')
  } else set('Ready', 'False', readiness.reason, readiness.message)
  // A server that does not answer needs no person: it is asked again.
  const isAskedAgain = !readiness.ready && readiness.reason === 'FetchFailed'
  setOrRemove('Reconciling', isAskedAgain ? { reason: 'Loading', message: readiness.message } : undefined)
  const sourceError = sourceErrorOf(image)
  const trouble = readiness.ready || isAskedAgain ? undefined : readiness
  setOrRemove('Stalled', sourceError ? { reason: 'Invalid', message: sourceError } : trouble)
  const stored = fetched instanceof ReflashError ? undefined : fetched
  return {
    observedGeneration,
    ...(stored ? { sha256: stored.sha256, size: stored.sizeBytes } : {}),
    ...(readiness.ready ? { boards: [...readiness.boards] } : {}),
    ...(stored?.metadata ? { metadata: metadataOf(stored.metadata) } : {}),
    conditions,
  }
}

/** What an image says of itself, as far as it does. */
const metadataOf = (
  metadata: NonNullable<StoredImage['metadata']>,
): NonNullable<FirmwareImageStatus['metadata']> => ({
  compatVersion: metadata.compatVersion,
  ...(metadata.distribution === undefined ? {} : { distribution: metadata.distribution }),
  ...(metadata.version === undefined ? {} : { version: metadata.version }),
  ...(metadata.revision === undefined ? {} : { revision: metadata.revision }),
  ...(metadata.target === undefined ? {} : { target: metadata.target }),
  ...(metadata.board === undefined ? {} : { board: metadata.board }),
})
