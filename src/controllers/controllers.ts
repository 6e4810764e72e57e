import { kinds } from '../api/kinds.ts'
import type { AnyResource, Device, Key, Kind, UpgradeOperation } from '../api/resources.ts'
import { isTrue } from '../core/conditions.ts'
import { parseDuration } from '../core/duration.ts'
import { messageOf, ReflashError } from '../core/errors.ts'
import { keyOf, keyString, parseKey } from '../core/keys.ts'
import { isFinished, isFlashing, isLost, phaseOf } from '../core/operation.ts'
import { sameValue } from '../core/same-value.ts'
import { noMetrics, type Metrics } from '../ports/metrics.ts'
import type { ResourceStore } from '../ports/resource-store.ts'
import { categoryKeyOf, deviceKeyOf, policyKeyOf, type Change, type Fleet } from './fleet.ts'
import { pruneDevice } from './history.ts'
import type { Ports, Requeue } from './ports.ts'
import { reconcileBuild, reconcileCategory } from './reconcile-build.ts'
import { reconcileDevice, settleDelayMs } from './reconcile-device.ts'
import { reconcileImage } from './reconcile-image.ts'
import { reconcileOperation } from './reconcile-operation.ts'
import { reconcilePolicyStatus } from './reconcile-policy.ts'
import { reconcileRollout } from './reconcile-rollout.ts'
import { defaultPolicySettings } from '../api/defaults.ts'
import { pruneTombstones } from './tombstones.ts'
import { tellChange } from './tell-changes.ts'
import { observeQueue } from './queue-metrics.ts'
import { standAside } from './stand-aside.ts'
import { createWorkQueue, type WorkQueue } from './work-queue.ts'

/** A burst of changes to one category is judged once. */
const assessDelayMs = 50
/** Status of a policy is written at most this often. */
const statusDelayMs = 500
/** Old history and unused images cost nothing but room. */
const choresEveryMs = 60 * 60_000
const choresKey = 'all/chores'
/** A step under way may end within this when the process is stopped. */
const stopDrainMs = 5000
/** Devices judged before other work gets a turn. */
const assessChunk = 500

export interface Concurrency {
  devices: number
  operations: number
  images: number
}

export interface Controllers {
  /** Brings what the store holds into the fleet until the signal is aborted. Changes nothing. */
  follow(signal: AbortSignal): Promise<void>
  /** Resolves when the fleet has been read from the store for the first time. */
  ready: Promise<void>
  /** Works, from when the fleet has been read until the signal is aborted. Resolves when everything has stopped. Once only. */
  work(signal: AbortSignal): Promise<void>
  /** Follows and works. */
  run(signal: AbortSignal): Promise<void>
  /** Keys that are being worked on or are due now, probes apart: in a large fleet one is always under way. */
  busy(): number
  /** Devices that could not be logged in to with one of these Secrets, as `namespace/name`, are asked again at once. */
  onSecrets(changed: ReadonlySet<string>): void
}

/** The map of the system: one queue per kind, and which change makes which key look again. */
export function createControllers(
  ports: Ports,
  concurrency: Concurrency,
  metrics: Metrics = noMetrics,
): Controllers {
  const { fleet, events } = ports
  let isStopping = false
  const onError = (controller: string) => (key: string, error: unknown) =>
    events.emit({ type: 'Bug', controller, key, error })
  const queueOf = (
    name: string,
    workers: number,
    reconcile: (key: Key, ports: Ports, signal: AbortSignal) => Promise<Requeue>,
  ): WorkQueue =>
    createWorkQueue({
      name,
      concurrency: workers,
      clock: ports.clock,
      random: ports.random,
      process: (key, signal) => reconcile(parseKey(key), ports, signal),
      onError: onError(name),
      observer: observeQueue({ name, concurrency: workers }, metrics, ports.clock),
    })

  const reconcileOne: Parameters<typeof standAside>[0] = (key, _, signal, onWritten) =>
    reconcileOperation(key, ports, signal, { onWritten, isStopping: () => isStopping })

  const queues = {
    Category: queueOf('category', 1, reconcileCategory),
    Build: queueOf('build', 1, reconcileBuild),
    FirmwareImage: queueOf('image', concurrency.images, reconcileImage),
    Device: queueOf('device', concurrency.devices, reconcileDevice),
    UpgradePolicy: queueOf('policy', 1, writePolicyStatus),
    UpgradeOperation: queueOf('operation', concurrency.operations, standAside(reconcileOne)),
  } satisfies Record<Kind, WorkQueue>
  const rollouts = queueOf('rollout', 1, reconcileRollout)
  const assessments = queueOf('assessment', 1, (category) => assessCategory(keyString(category)))
  const history = queueOf('history', 1, async (key) => {
    await pruneDevice(key, ports)
    return {}
  })
  const chores = queueOf('chores', 1, doChores)
  const all = [...Object.values(queues), rollouts, assessments, history, chores]

  /** Judges every device of a category again, in turns, and lets those look again whose standing changed. */
  async function assessCategory(category: string): Promise<Requeue> {
    let judged = 0
    for (const device of fleet.devicesOf(category)) {
      const id = keyString(keyOf(device))
      if (fleet.reassess(id))
        queues.Device.add(id, fleet.assessment(id)?.candidate ? { after: settleDelayMs } : {})
      judged += 1
      if (judged % assessChunk === 0) await ports.clock.sleep(0)
    }
    for (const policy of fleet.policiesOf(category)) wakePolicy(keyString(keyOf(policy)))
    for (const operation of fleet.unfinished()) {
      if (categoryOfOperation(operation, fleet) === category)
        queues.UpgradeOperation.add(keyString(keyOf(operation)))
    }
    return {}
  }

  /** Counts that are about to be made anew say nothing: a build that has just become Ready looks like one that is not. */
  async function writePolicyStatus(key: Key): Promise<Requeue> {
    const policy = fleet.get('UpgradePolicy', key)
    const category = policy && categoryKeyOf(policy)
    if (category !== undefined && assessments.has(category)) return { after: assessDelayMs }
    return reconcilePolicyStatus(key, ports)
  }

  function wakePolicy(policy: string): void {
    wakeRollout(policy)
    queues.UpgradePolicy.add(policy, { after: statusDelayMs })
  }

  function wakeRollout(policy: string): void {
    if ((fleet.candidates(policy)?.size ?? 0) > 0) rollouts.add(policy)
  }

  /** A slot has come free: whoever waits for one may try again. */
  function wakeWaiting(): void {
    for (const operation of fleet.waiting()) queues.UpgradeOperation.add(keyString(keyOf(operation)))
    for (const policy of fleet.all('UpgradePolicy')) wakeRollout(keyString(keyOf(policy)))
  }

  function onDevice(change: Change & { object: Device }): void {
    const { type, object, before } = change
    const id = keyString(keyOf(object))
    const old = before as Device | undefined
    const claimMoved = old?.status.operationRef?.name !== object.status.operationRef?.name
    if (!old || claimMoved || declaredChange(old, object)) queues.Device.add(id)
    if (type === 'Deleted' || !sameValue(old?.spec.addresses, object.spec.addresses)) wakeTwins(object)
    wakeOperations(id, old?.status.lastProbeTime !== object.status.lastProbeTime)
    wakePoliciesOf(change)
  }

  /** Those that count it; when it goes or is declared anew, also those that may count it no more. */
  function wakePoliciesOf({ type, object, before }: Change & { object: Device }): void {
    for (const policy of fleet.assessment(keyString(keyOf(object)))?.counts.keys() ?? [])
      wakePolicy(`${object.metadata.namespace}/${policy}`)
    if (!before || (type !== 'Deleted' && !declaredChange(before, object))) return
    for (const policy of fleet.policiesOf(categoryKeyOf(before)!)) wakePolicy(keyString(keyOf(policy)))
  }

  /** Operations under way look again; one whose device is Lost does when that has answered. */
  function wakeOperations(device: string, answered: boolean): void {
    for (const operation of fleet.operationsOf(device)) {
      // While it reboots only an answer is news: a knock has its time.
      const waits = isFlashing(phaseOf(operation))
      const looks = answered ? !isFinished(operation) || isLost(operation) : !isFinished(operation) && !waits
      if (looks) queues.UpgradeOperation.add(keyString(keyOf(operation)))
    }
  }

  function wakeTwins(device: Device): void {
    const twin = fleet.twinOf(device)
    if (twin !== undefined && fleet.reassess(twin)) queues.Device.add(twin)
  }

  function onOperation({ type, object, before }: Change & { object: UpgradeOperation }): void {
    const id = keyString(keyOf(object))
    const old = before as UpgradeOperation | undefined
    const device = deviceKeyOf(object)
    if (type !== 'Deleted' && (!old || declaredChange(old, object))) queues.UpgradeOperation.add(id)
    queues.Device.add(device, { after: settleDelayMs })
    const freed =
      old !== undefined &&
      !isFinished(old) &&
      (type === 'Deleted' || isFinished(object) || object.status.phase === 'Queued')
    if (freed) {
      wakeWaiting()
      history.add(device)
    }
    const policy = policyKeyOf(object)
    if (policy) wakePolicy(policy)
  }

  function onCategorised(object: AnyResource): void {
    const category =
      object.kind === 'Category'
        ? keyString(keyOf(object))
        : object.kind === 'FirmwareImage'
          ? categoryOfImage(object, fleet)
          : categoryKeyOf(object)
    if (category !== undefined) assessments.add(category, { after: assessDelayMs })
  }

  function onChange(change: Change): void {
    const { type, object, before } = change
    tellChange(change, events)
    const key = keyString(keyOf(object))
    if (object.kind === 'Device') return onDevice({ ...change, object })
    if (object.kind === 'UpgradeOperation') return onOperation({ ...change, object })
    const declared = !before || type === 'Deleted' || declaredChange(before, object)
    if (declared && type !== 'Deleted') queues[object.kind].add(key)
    if (declared) wakeReferrers(object, key)
    if (object.kind === 'FirmwareImage')
      queues.Build.add(`${object.metadata.namespace}/${object.spec.buildRef.name}`)
    // The status of a policy decides nothing.
    if (declared || object.kind !== 'UpgradePolicy') onCategorised(object)
  }

  /** The file of an image has come, and whoever waits for it may go on; or it is gone, and is fetched again. */
  function onFetched(image: Key, isFetched: boolean): void {
    if (!isFetched) {
      // A turn that has just failed to fetch it tries again in its own time.
      if (!queues.FirmwareImage.isWorkingOn(keyString(image))) queues.FirmwareImage.add(keyString(image))
      return
    }
    for (const operation of fleet.unfinished())
      if (!isFlashing(phaseOf(operation))) queues.UpgradeOperation.add(keyString(keyOf(operation)))
  }

  /** What refers to a build or a category looks again when that comes, goes or changes. */
  function wakeReferrers({ kind }: AnyResource, key: string): void {
    if (kind === 'Build')
      for (const image of fleet.imagesOf(key)) queues.FirmwareImage.add(keyString(keyOf(image)))
    if (kind !== 'Category') return
    for (const build of fleet.buildsOf(key)) queues.Build.add(keyString(keyOf(build)))
    for (const device of fleet.devicesOf(key)) queues.Device.add(keyString(keyOf(device)))
  }

  let markReady = (): void => {}
  const ready = new Promise<void>((resolve) => {
    markReady = resolve
  })

  const follow = (signal: AbortSignal): Promise<void> => followStore(ports, signal, markReady)

  async function work(signal: AbortSignal): Promise<void> {
    const stopped = aborted(signal)
    await Promise.race([ready, stopped])
    if (signal.aborted) return
    chores.add(choresKey, { after: choresEveryMs })
    for (const kind of allKinds) for (const object of fleet.list(kind)) onChange({ type: 'Added', object })
    const listening = [fleet.onChange(onChange), fleet.onFetched(onFetched)]
    await stopped
    isStopping = true
    for (const stopListening of listening) stopListening()
    // Who has lost the lead ends before the next one begins: nothing is drained then.
    const drainMs = signal.reason instanceof ReflashError ? 0 : stopDrainMs
    await Promise.all(all.map((queue) => queue.stop({ drainMs })))
  }

  return {
    ready,
    busy: () => all.reduce((sum, queue) => sum + (queue === queues.Device ? 0 : queue.depth()), 0),
    onSecrets(changed) {
      for (const device of fleet.all('Device')) {
        const { credentialsRef, jumpHost } = device.spec
        const refs = jumpHost ? [credentialsRef, jumpHost.credentialsRef] : [credentialsRef]
        const concerned = refs.some(({ name }) => changed.has(`${device.metadata.namespace}/${name}`))
        const id = keyString(keyOf(device))
        // Who is being asked right now may fail by the old one, and has not said so yet.
        const mayHaveFailed = isTrue(device.status.conditions, 'Stalled') || queues.Device.isWorkingOn(id)
        if (!concerned || !mayHaveFailed) continue
        fleet.wantProbe(id)
        queues.Device.add(id)
      }
    },
    follow,
    work,
    async run(signal) {
      const failed = new AbortController()
      const working = work(AbortSignal.any([signal, failed.signal]))
      try {
        await follow(signal)
      } finally {
        failed.abort()
        await working
      }
    },
  }
}

/** Drops images that nothing refers to, old operations, and what is remembered of devices that were removed long ago. */
async function doChores(_key: Key, ports: Ports): Promise<Requeue> {
  const { fleet, images } = ports
  const needed = new Set<string>()
  for (const { status } of fleet.all('FirmwareImage')) if (status.sha256) needed.add(status.sha256)
  for (const { status } of fleet.unfinished()) if (status.image) needed.add(status.image.sha256)
  await images.prune(needed)
  for (const device of new Set(fleet.list('UpgradeOperation').map(deviceKeyOf)))
    await pruneDevice(parseKey(device), ports)
  const kept = fleet.list('UpgradePolicy').map(({ spec }) => parseDuration(spec.history.keepFor))
  await pruneTombstones(Math.max(parseDuration(defaultPolicySettings.history.keepFor), ...kept), ports)
  return { after: choresEveryMs }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })

const allKinds = kinds.map(({ kind }) => kind)

/**
 * Brings everything that the store tells into the fleet. `onLoaded` is called once, when every kind has been read: half a
 * fleet decides wrongly, since a claim whose operation has not been read yet would look stale.
 */
async function followStore(
  { store, fleet, events }: Ports,
  signal: AbortSignal,
  onLoaded: () => void,
): Promise<void> {
  const missing = new Set<Kind>(allKinds)
  for await (const event of store.follow({ kinds: allKinds, signal })) {
    fleet.applyEvent(event)
    if (event.type === 'Listed' && missing.delete(event.kind) && missing.size === 0) onLoaded()
    if (event.type === 'Interrupted') {
      events.emit({ type: 'Warning', reason: 'StoreInterrupted', message: messageOf(event.error) })
    }
  }
}

/** Reads all of the store into the fleet, once. */
export async function loadFleet(store: ResourceStore, fleet: Fleet): Promise<void> {
  for (const kind of allKinds) {
    const { items, resourceVersion } = await store.list(kind)
    fleet.replace({ kind, objects: items, resourceVersion })
  }
}

/** Whether anything changed but the status: spec, labels, annotations, or the wish to delete it. */
function declaredChange(before: AnyResource, after: AnyResource): boolean {
  const a = before.metadata
  const b = after.metadata
  return (
    a.uid !== b.uid ||
    a.generation !== b.generation ||
    a.deletionTimestamp !== b.deletionTimestamp ||
    !sameValue(a.labels, b.labels) ||
    !sameValue(a.annotations, b.annotations)
  )
}

function categoryOfImage(image: AnyResource & { kind: 'FirmwareImage' }, fleet: Fleet): string | undefined {
  const { namespace } = image.metadata
  const build = fleet.get('Build', { namespace, name: image.spec.buildRef.name })
  return build && categoryKeyOf(build)
}

function categoryOfOperation(operation: UpgradeOperation, fleet: Fleet): string | undefined {
  const { namespace } = operation.metadata
  const device = fleet.get('Device', { namespace, name: operation.spec.deviceRef.name })
  return device && categoryKeyOf(device)
}
