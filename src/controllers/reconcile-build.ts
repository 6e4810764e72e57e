import type { Build, BuildStatus, Category, FirmwareImage, Key } from '../api/resources.ts'
import { sourceErrorOf } from '../core/annotations.ts'
import { getCondition, removeCondition, setCondition } from '../core/conditions.ts'
import { keyString } from '../core/keys.ts'
import { isReadyImage } from '../core/match.ts'
import { sameValue } from '../core/same-value.ts'
import { dropFinalizer, ensureFinalizer, inUseFinalizer } from './finalizers.ts'
import { done, type Ports, type Requeue } from './ports.ts'

/** Sums up one build from its images: how many are ready, and what release they carry. */
export async function reconcileBuild(key: Key, ports: Ports): Promise<Requeue> {
  let build = ports.fleet.get('Build', key)
  if (!build) return done
  if (build.metadata.deletionTimestamp) {
    if (isNeeded(build, ports)) return { after: 1000 }
    await dropFinalizer(build, inUseFinalizer, ports)
    return done
  }
  build = await ensureFinalizer(build, inUseFinalizer, ports)
  const status = statusOf(build, [...ports.fleet.imagesOf(keyString(key))], ports)
  if (!sameValue(status, build.status)) await ports.store.saveStatus({ ...build, status })
  return done
}

const isNeeded = (build: Build, { fleet }: Ports): boolean =>
  [...fleet.unfinished()].some(
    (operation) =>
      operation.metadata.namespace === build.metadata.namespace &&
      operation.status.to?.build === build.metadata.name,
  )

function statusOf(build: Build, images: FirmwareImage[], ports: Ports): BuildStatus {
  const now = ports.clock.now()
  const observedGeneration = build.metadata.generation
  const ready = images.filter(isReadyImage)
  const revisions = new Set(
    ready.map((image) => image.status.metadata?.revision).filter((value) => value !== undefined),
  )
  const loading = images.filter(
    (image) => getCondition(image.status.conditions, 'Ready')?.status !== 'False' && !isReadyImage(image),
  )
  let conditions = build.status.conditions
  const set = (type: string, status: 'True' | 'False' | 'Unknown', reason: string, message: string): void => {
    conditions = setCondition(conditions, { type, status, reason, message, observedGeneration }, now)
  }
  const problem = problemOf(build, ports)
  conditions = removeCondition(removeCondition(conditions, 'Stalled'), 'Reconciling')
  const summary = `${ready.length} of ${images.length} images ready`
  if (problem) {
    set('Ready', 'False', problem.reason, problem.message)
    set('Stalled', 'True', problem.reason, problem.message)
  } else if (ready.length > 0) set('Ready', 'True', 'Accepted', summary)
  else if (loading.length > 0) set('Ready', 'Unknown', 'Loading', summary)
  else set('Ready', 'False', 'NoImages', images.length === 0 ? 'no image refers to this build' : summary)
  if (loading.length > 0)
    set('Reconciling', 'True', 'Loading', `${loading.length} images are being fetched and checked`)
  const [revision] = revisions
  const osIdentifier = build.spec.osIdentifier ?? learnedIdentifier(ready)
  return {
    observedGeneration,
    images: ready.length,
    ...(osIdentifier === undefined ? {} : { osIdentifier }),
    ...(revisions.size === 1 && revision !== undefined ? { revision } : {}),
    conditions: conditions ?? [],
  }
}

/** What a device will report, put together as OpenWrt puts its description together. */
function learnedIdentifier(images: FirmwareImage[]): string | undefined {
  for (const { status } of images) {
    const { distribution, version, revision } = status.metadata ?? {}
    if (distribution && version && revision) return `${distribution} ${version} ${revision}`
  }
  return undefined
}

function problemOf(build: Build, { fleet }: Ports): { reason: string; message: string } | undefined {
  const sourceError = sourceErrorOf(build)
  if (sourceError) return { reason: 'Invalid', message: sourceError }
  const { namespace } = build.metadata
  const name = build.spec.categoryRef.name
  if (!fleet.get('Category', { namespace, name }))
    return { reason: 'NotFound', message: `category ${name} does not exist` }
  return undefined
}

/** Accepts one category, or says that nobody knows its devices. */
export async function reconcileCategory(key: Key, ports: Ports): Promise<Requeue> {
  const category = ports.fleet.get('Category', key)
  if (!category) return done
  const status = categoryStatus(category, ports)
  if (!sameValue(status, category.status)) await ports.store.saveStatus({ ...category, status })
  return done
}

function categoryStatus(category: Category, ports: Ports): Category['status'] {
  const now = ports.clock.now()
  const observedGeneration = category.metadata.generation
  const name = category.spec.upgrader
  const sourceError = sourceErrorOf(category)
  const problem = ports.upgraders.has(name)
    ? sourceError && { reason: 'Invalid', message: sourceError }
    : {
        reason: 'NotFound',
        message: `no upgrader is called ${name}; there are: ${[...ports.upgraders.keys()].join(', ')}`,
      }
  let conditions = removeCondition(category.status.conditions, 'Stalled')
  const set = (type: string, status: 'True' | 'False', reason: string, message: string): void => {
    conditions = setCondition(conditions, { type, status, reason, message, observedGeneration }, now)
  }
  if (problem) {
    set('Ready', 'False', problem.reason, problem.message)
    set('Stalled', 'True', problem.reason, problem.message)
  } else set('Ready', 'True', 'Accepted', `devices are upgraded with ${name}`)
  return { observedGeneration, conditions: conditions ?? [] }
}
