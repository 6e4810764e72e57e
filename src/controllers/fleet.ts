import { kinds } from '../api/kinds.ts'
import type {
  AnyResource,
  Build,
  CountName,
  Device,
  FirmwareImage,
  Key,
  Kind,
  KindMap,
  UpgradeOperation,
  UpgradePolicy,
} from '../api/resources.ts'
import { byPriority, type SharedLimits, type Subject } from '../core/admit.ts'
import { assess, type Assessment } from '../core/assess.ts'
import { getCondition } from '../core/conditions.ts'
import { hasCode } from '../core/errors.ts'
import { endpoint } from '../core/endpoint.ts'
import { keyOf, keyString } from '../core/keys.ts'
import { holdsSlot, isFinished, isFlashing, phaseOf, waitsForTurn } from '../core/operation.ts'
import type { BuildWithImages } from '../core/match.ts'
import { matchesSelector } from '../core/selector.ts'
import { nextStartAt } from '../core/start-rate.ts'
import { requireVersion } from '../core/stored-object.ts'
import { toMs } from '../core/time.ts'
import type { Clock } from '../ports/clock.ts'
import {
  compareVersions,
  type DeclaredStore,
  type ResourceStore,
  type StoreEvent,
} from '../ports/resource-store.ts'
import { createCandidates, type Candidates } from './candidates.ts'

export interface Change {
  type: 'Added' | 'Modified' | 'Deleted'
  object: AnyResource
  before?: AnyResource
}

const startWindowMs = 60_000
/** Ends that an answer still on its way may be older than. */
const maxEnds = 10_000

/** A set of objects for each key of an index; empty sets are dropped. */
class Index<T extends AnyResource> {
  readonly #sets = new Map<string, Map<string, T>>()

  of(key: string): IterableIterator<T> {
    return (this.#sets.get(key) ?? new Map<string, T>()).values()
  }

  *all(): Generator<IterableIterator<T>> {
    for (const set of this.#sets.values()) yield set.values()
  }

  size(key: string): number {
    return this.#sets.get(key)?.size ?? 0
  }

  put(key: string, object: T): void {
    let set = this.#sets.get(key)
    if (!set) this.#sets.set(key, (set = new Map()))
    set.set(keyString(keyOf(object)), object)
  }

  drop(key: string, object: T): void {
    const set = this.#sets.get(key)
    set?.delete(keyString(keyOf(object)))
    if (set?.size === 0) this.#sets.delete(key)
  }
}

/**
 * The whole fleet as last read from the store, indexed so that no event costs work that grows with the fleet. It holds
 * nothing that a restart would lose, apart from slots and starts that are reserved, what this very process is at work on,
 * whom it has asked, which images it has fetched, and when it wrote what.
 */
export class Fleet {
  readonly #clock: Clock
  readonly #objects = new Map<Kind, Map<string, AnyResource>>(kinds.map(({ kind }) => [kind, new Map()]))
  readonly #devicesOf = new Index<Device>()
  readonly #devicesAt = new Index<Device>()
  readonly #buildsOf = new Index<Build>()
  readonly #policiesOf = new Index<UpgradePolicy>()
  readonly #imagesOf = new Index<FirmwareImage>()
  readonly #operationsOf = new Index<UpgradeOperation>()
  readonly #unfinished = new Map<string, UpgradeOperation>()
  readonly #slots = new Map<string, Set<string>>()
  /** Queued operations that may leave the queue as soon as there is a slot. */
  readonly #ready = new Index<UpgradeOperation>()
  readonly #failed = new Index<UpgradeOperation>()
  readonly #allSlots = new Set<string>()
  /** When each was made, in monotonic ms, as all that is measured here; one that is held is still to be made. */
  readonly #starts = new Map<string, { at: number | 'Held'; policy: string }>()
  readonly #assessments = new Map<string, Assessment>()
  readonly #counts = new Map<string, Map<CountName, number>>()
  /** Devices that this process has asked, whether they answered or not. */
  readonly #asked = new Set<string>()
  readonly #wanted = new Set<string>()
  /** Operations that this process has a turn on, and with it perhaps a session. */
  readonly #atWork = new Set<string>()
  /** Digests of the files that this process has fetched, by image. */
  readonly #fetched = new Map<string, string>()
  readonly #fetchListeners = new Set<(image: Key, isFetched: boolean) => void>()
  /** Since when each flash under way is known, by the clock that nobody sets. */
  readonly #flashingSince = new Map<string, number>()
  readonly #writtenAt = new WeakMap<AnyResource, number>()
  readonly #candidates = new Map<string, Candidates>()
  /** Per category, until a build, an image or a policy changes: devices are judged in thousands, these change rarely. */
  readonly #buildsCache = new Map<string, BuildWithImages[]>()
  readonly #policiesCache = new Map<string, UpgradePolicy[]>()
  readonly #listeners = new Set<(change: Change) => void>()
  /** Uids of objects that have gone. */
  readonly #ended = new Set<string>()
  #latest = '0'
  #turns = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Calls back after each change; the returned function ends that. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get<K extends Kind>(kind: K, key: Key): KindMap[K] | undefined {
    return this.#objects.get(kind)!.get(keyString(key)) as KindMap[K] | undefined
  }

  all<K extends Kind>(kind: K): IterableIterator<KindMap[K]> {
    return this.#objects.get(kind)!.values() as IterableIterator<KindMap[K]>
  }

  /** A list of its own, for whoever changes the fleet while going through it. */
  list<K extends Kind>(kind: K): KindMap[K][] {
    return [...this.all(kind)]
  }

  size(kind: Kind): number {
    return this.#objects.get(kind)!.size
  }

  /** The latest version of the store that anything in here has. */
  latestVersion = (): string => this.#latest
  /** Another number after each change, and after each judgement. */
  turns = (): number => this.#turns

  devicesOf = (category: string): IterableIterator<Device> => this.#devicesOf.of(category)
  policiesOf = (category: string): IterableIterator<UpgradePolicy> => this.#policiesOf.of(category)
  buildsOf = (category: string): IterableIterator<Build> => this.#buildsOf.of(category)
  imagesOf = (build: string): IterableIterator<FirmwareImage> => this.#imagesOf.of(build)
  operationsOf = (device: string): IterableIterator<UpgradeOperation> => this.#operationsOf.of(device)
  unfinished = (): IterableIterator<UpgradeOperation> => this.#unfinished.values()
  assessment = (device: string): Assessment | undefined => this.#assessments.get(device)
  candidates = (policy: string): Candidates | undefined => this.#candidates.get(policy)
  counts = (policy: string): ReadonlyMap<CountName, number> => this.#counts.get(policy) ?? new Map()

  /** Takes in one object as the store has it; older versions than the known one are ignored. */
  apply(type: Change['type'], object: AnyResource): void {
    const objects = this.#objects.get(object.kind)!
    const id = keyString(keyOf(object))
    const before = objects.get(id)
    if (type === 'Deleted') this.#noteEnd(object)
    if (this.#isOld(type, object, before)) return
    this.#turns += 1
    if (compareVersions(object.metadata.resourceVersion, this.#latest) > 0)
      this.#latest = object.metadata.resourceVersion
    if (object.kind === 'Build' || object.kind === 'FirmwareImage') this.#buildsCache.clear()
    if (object.kind === 'UpgradePolicy') this.#policiesCache.clear()
    if (before) this.#unindex(before)
    if (type === 'Deleted') objects.delete(id)
    else {
      objects.set(id, object)
      this.#index(object)
    }
    if (object.kind === 'Device') {
      if (type === 'Deleted') this.#forget(id)
      else this.#judge(id, object)
    }
    if (object.kind === 'UpgradeOperation') {
      if (type === 'Deleted') this.#flashingSince.delete(id)
      else this.#countStart(object, before as UpgradeOperation | undefined)
      this.#judgeDeviceOf(object)
    }
    for (const listener of this.#listeners) {
      listener({ type, object, ...(before ? { before } : {}) })
    }
  }

  /** Whether it tells nothing new of its object. */
  #isOld(type: Change['type'], { metadata }: AnyResource, before: AnyResource | undefined): boolean {
    const { uid, resourceVersion } = metadata
    const age = before ? compareVersions(resourceVersion, before.metadata.resourceVersion) : 1
    // Word of an object's end may come when another of its name is known already.
    if (type === 'Deleted') return !before || age < 0
    // An answer to a read or a write may come later than word of the end, and nothing would end it once more.
    return age <= 0 || this.#ended.has(uid)
  }

  #noteEnd({ metadata }: AnyResource): void {
    this.#ended.add(metadata.uid)
    if (this.#ended.size > maxEnds) this.#ended.delete(this.#ended.values().next().value!)
  }

  /** Takes in what the store tells of itself. */
  applyEvent(event: StoreEvent): void {
    if (event.type === 'Listed') this.replace(event)
    else if ('object' in event) this.apply(event.type, event.object)
  }

  /** Takes in all objects of a kind as they were at one version. */
  replace(list: { kind: Kind; objects: readonly AnyResource[]; resourceVersion: string }): void {
    const present = new Set(list.objects.map((object) => keyString(keyOf(object))))
    for (const known of this.list(list.kind)) {
      // What is younger than the list may well be missing in it.
      const isOlder = compareVersions(known.metadata.resourceVersion, list.resourceVersion) <= 0
      if (isOlder && !present.has(keyString(keyOf(known)))) this.apply('Deleted', known)
    }
    for (const object of list.objects) this.apply('Added', object)
  }

  #index(object: AnyResource): void {
    const category = categoryKeyOf(object)
    const { namespace } = object.metadata
    switch (object.kind) {
      case 'Device':
        this.#devicesOf.put(category!, object)
        for (const address of object.spec.addresses) this.#devicesAt.put(endpoint(object, address), object)
        break
      case 'Build':
        this.#buildsOf.put(category!, object)
        break
      case 'UpgradePolicy':
        this.#policiesOf.put(category!, object)
        break
      case 'FirmwareImage':
        this.#imagesOf.put(`${namespace}/${object.spec.buildRef.name}`, object)
        break
      case 'UpgradeOperation':
        this.#operationsOf.put(deviceKeyOf(object), object)
        this.#countOperation(object)
        break
      case 'Category':
        break
    }
  }

  #unindex(object: AnyResource): void {
    const category = categoryKeyOf(object)
    const { namespace } = object.metadata
    switch (object.kind) {
      case 'Device':
        this.#devicesOf.drop(category!, object)
        for (const address of object.spec.addresses) this.#devicesAt.drop(endpoint(object, address), object)
        break
      case 'Build':
        this.#buildsOf.drop(category!, object)
        break
      case 'UpgradePolicy':
        this.#policiesOf.drop(category!, object)
        break
      case 'FirmwareImage':
        this.#imagesOf.drop(`${namespace}/${object.spec.buildRef.name}`, object)
        break
      case 'UpgradeOperation': {
        this.#operationsOf.drop(deviceKeyOf(object), object)
        const id = keyString(keyOf(object))
        this.#unfinished.delete(id)
        this.#ready.drop(policyKeyOf(object), object)
        this.#failed.drop(policyKeyOf(object), object)
        this.releaseSlot(object)
        break
      }
      case 'Category':
        break
    }
  }

  #countOperation(operation: UpgradeOperation): void {
    const id = keyString(keyOf(operation))
    if (!isFinished(operation)) this.#unfinished.set(id, operation)
    if (!isFlashing(phaseOf(operation))) this.#flashingSince.delete(id)
    else if (!this.#flashingSince.has(id)) this.#flashingSince.set(id, this.#clock.monotonic())
    if (holdsSlot(operation)) this.reserveSlot(operation)
    const policy = policyKeyOf(operation)
    if (waitsForTurn(operation)) this.#ready.put(policy, operation)
    if (operation.status.phase === 'Failed') this.#failed.put(policy, operation)
  }

  /** Counts a start when the store first tells of it: what it tells again may look younger, by a wall clock set back. */
  #countStart(operation: UpgradeOperation, before: UpgradeOperation | undefined): void {
    const flashed = operation.status.times?.Flashing
    if (!flashed || flashed === before?.status.times?.Flashing) return
    if (toMs(flashed) <= this.#clock.now() - startWindowMs) return
    const id = startId(operation, toMs(flashed))
    // One that is held counts from when it was made, which is later than it was decided on.
    if (!this.#starts.has(id))
      this.#starts.set(id, { at: this.#measured(toMs(flashed)), policy: policyKeyOf(operation) })
  }

  /**
   * A wall time in monotonic ms, as both clocks show it now: when the wall clock jumps later, it stays where it is. One
   * that lies ahead is of before the wall clock was set back, and this process began: nobody knows how long before.
   */
  #measured = (wallMs: number): number => this.#clock.monotonic() - Math.max(0, this.#clock.now() - wallMs)

  /** Counts an operation against the limits from now on, before the write that says so has come back. */
  reserveSlot(operation: UpgradeOperation): void {
    const id = keyString(keyOf(operation))
    const policy = policyKeyOf(operation)
    let slots = this.#slots.get(policy)
    if (!slots) this.#slots.set(policy, (slots = new Set()))
    slots.add(id)
    this.#allSlots.add(id)
  }

  releaseSlot(operation: UpgradeOperation): void {
    const id = keyString(keyOf(operation))
    const policy = policyKeyOf(operation)
    const slots = this.#slots.get(policy)
    slots?.delete(id)
    if (slots?.size === 0) this.#slots.delete(policy)
    this.#allSlots.delete(id)
  }

  hasSlot = (operation: UpgradeOperation): boolean => this.#allSlots.has(keyString(keyOf(operation)))
  slotsUsed = (policy: string): number => this.#slots.get(policy)?.size ?? 0
  allSlotsUsed = (): number => this.#allSlots.size

  /** Operations of a policy that wait for a slot and for nothing else. */
  queuedNow(policy: string): number {
    return this.#ready.size(policy)
  }

  /** Queued operations of any policy, or of none, that wait for nothing but a slot. */
  *waiting(): Generator<UpgradeOperation> {
    for (const operations of this.#ready.all()) yield* operations
  }

  /** Failed operations of a policy whose devices are still off the target. */
  failuresOf(policy: string): UpgradeOperation[] {
    return [...this.#failed.of(policy)].filter(
      (operation) => this.assessment(deviceKeyOf(operation))?.onTarget === false,
    )
  }

  /**
   * Keeps a start that `operation` is to make at `at`, in ms since 1970: it counts against the limits until it has been made
   * or is given back, however long an upload takes before it.
   */
  holdStart(operation: UpgradeOperation, at: number): StartId {
    const id = startId(operation, at)
    this.#starts.set(id, { at: 'Held', policy: policyKeyOf(operation) })
    return id
  }

  /** A start that was held is made now: it counts for a minute from here, and not from when it was decided on. */
  makeStart(id: StartId): void {
    const start = this.#starts.get(id)
    if (start) start.at = this.#clock.monotonic()
  }

  giveStartBack(id: StartId): void {
    this.#starts.delete(id)
  }

  /** Starts made in the last minute, of all policies and of none. */
  startsLastMinute(): number {
    const now = this.#clock.monotonic()
    let starts = 0
    for (const { at } of this.#starts.values()) if (at !== 'Held' && now - at < startWindowMs) starts += 1
    return starts
  }

  /**
   * When the next start is within both limits, in ms since 1970; undefined: now. `except` is held by whoever asks. Looks
   * at one minute's starts and at those that are held.
   */
  nextStart(
    policy: UpgradePolicy | undefined,
    maxAllPerMinute: number,
    except?: StartId,
  ): number | undefined {
    const now = this.#clock.monotonic()
    const all: number[] = []
    const own: number[] = []
    const policyKey = policy ? keyString(keyOf(policy)) : ''
    for (const [id, start] of this.#starts) {
      // One that is held may be made at any time from now on.
      const at = start.at === 'Held' ? now : start.at
      if (now - at >= startWindowMs) this.#starts.delete(id)
      else if (id !== except) {
        all.push(at)
        if (start.policy === policyKey) own.push(at)
      }
    }
    const times = [
      nextStartAt(all, maxAllPerMinute, now),
      policy ? nextStartAt(own, policy.spec.limits.startsPerMinute, now) : undefined,
    ].filter((time) => time !== undefined)
    return times.length === 0 ? undefined : this.#clock.now() + Math.max(...times) - now
  }

  inFlight(policy: UpgradePolicy | undefined, maxAll: number): SharedLimits['inFlight'] {
    return { policy: policy ? this.slotsUsed(keyString(keyOf(policy))) : 0, all: this.#allSlots.size, maxAll }
  }

  /** The file of an image is in the cache of this process; undefined: it is not, or not any more. */
  noteFetched(image: Key, sha256: string | undefined): void {
    const id = keyString(image)
    if (this.#fetched.get(id) === sha256) return
    if (sha256 === undefined) this.#fetched.delete(id)
    else this.#fetched.set(id, sha256)
    for (const listener of this.#fetchListeners) listener(image, sha256 !== undefined)
  }

  /** Whether this process has the file, which another one may have found to be Ready. */
  hasFetched = (image: Key, sha256: string): boolean => this.#fetched.get(keyString(image)) === sha256

  /** Calls back whenever a file has come or is found to be gone. Returns a function that ends that. */
  onFetched(listener: (image: Key, isFetched: boolean) => void): () => void {
    this.#fetchListeners.add(listener)
    return () => this.#fetchListeners.delete(listener)
  }

  beginTurn(operation: Key): void {
    this.#atWork.add(keyString(operation))
  }

  endTurn(operation: Key): void {
    this.#atWork.delete(keyString(operation))
  }

  /** Whether this process has a turn on an operation right now. */
  isAtWork = (operation: Key): boolean => this.#atWork.has(keyString(operation))

  buildWithImages(key: Key): BuildWithImages | undefined {
    const build = this.get('Build', key)
    return build && { build, images: [...this.imagesOf(keyString(key))] }
  }

  /** Everything that decides about a device. */
  subject(device: Device): Subject {
    const category = categoryKeyOf(device)!
    const { namespace } = device.metadata
    const labels = device.metadata.labels ?? {}
    const policies = this.#livePolicies(category).filter((policy) =>
      matchesSelector(policy.spec.selector, labels),
    )
    const targetName = policies[0]?.spec.target.buildRef.name
    const builds = this.#buildsWithImages(category)
    const target =
      builds.find(({ build }) => build.metadata.name === targetName) ??
      (targetName === undefined ? undefined : this.buildWithImages({ namespace, name: targetName }))
    const ready = getCondition(device.status.conditions, 'Ready')
    const twin = this.twinOf(device)
    return {
      device,
      policies,
      target,
      builds,
      operations: [...this.operationsOf(keyString(keyOf(device)))],
      now: this.#clock.now(),
      ...(ready?.status === 'False' && ready.reason === 'NotFound'
        ? { credentialsProblem: ready.message }
        : {}),
      ...(twin === undefined ? {} : { addressTwin: twin }),
    }
  }

  #buildsWithImages(category: string): BuildWithImages[] {
    let builds = this.#buildsCache.get(category)
    if (!builds) {
      builds = [...this.buildsOf(category)].map((build) => ({
        build,
        images: [...this.imagesOf(keyString(keyOf(build)))],
      }))
      this.#buildsCache.set(category, builds)
    }
    return builds
  }

  /** Policies of a category that are not being removed, the highest priority first. */
  #livePolicies(category: string): UpgradePolicy[] {
    let policies = this.#policiesCache.get(category)
    if (!policies) {
      policies = [...this.policiesOf(category)]
        .filter((policy) => !policy.metadata.deletionTimestamp)
        .toSorted(byPriority)
      this.#policiesCache.set(category, policies)
    }
    return policies
  }

  /** Name of another Device at the same address and port, if there is one. */
  twinOf(device: Device): string | undefined {
    if (device.spec.jumpHost) return undefined
    for (const address of device.spec.addresses) {
      if (this.#devicesAt.size(endpoint(device, address)) < 2) continue
      for (const other of this.#devicesAt.of(endpoint(device, address))) {
        if (other.metadata.uid !== device.metadata.uid && !other.spec.jumpHost) return keyString(keyOf(other))
      }
    }
    return undefined
  }

  /** Remembers that this process has just written an object, for as long as nobody else does. */
  noteWritten({ kind, metadata }: AnyResource): void {
    const held = this.get(kind, metadata)
    if (held?.metadata.resourceVersion === metadata.resourceVersion)
      this.#writtenAt.set(held, this.#clock.monotonic())
  }

  /** How long ago that was, in ms; Infinity where somebody else wrote it last, or an earlier run. */
  sinceWritten = (object: AnyResource): number =>
    this.#clock.monotonic() - (this.#writtenAt.get(object) ?? -Infinity)

  /** How long the flash of an operation has been watched here, in ms; 0 where none is under way. */
  flashWatchedMs(operation: UpgradeOperation): number {
    const since = this.#flashingSince.get(keyString(keyOf(operation)))
    return since === undefined ? 0 : this.#clock.monotonic() - since
  }

  /** Asks a device at its next turn, whatever the time that was agreed on. */
  wantProbe = (device: string): unknown => this.#wanted.add(device)
  isProbeWanted = (device: string): boolean => this.#wanted.has(device)
  noteAsked(device: string): void {
    this.#wanted.delete(device)
    this.#asked.add(device)
  }

  wasAsked = (device: string): boolean => this.#asked.has(device)

  /** Judges a device as it is about to be written. Undefined when it is known no more: nothing would end what is counted. */
  overlay(device: Device): Assessment | undefined {
    const known = this.get('Device', device.metadata)
    return known?.metadata.uid === device.metadata.uid
      ? this.#judge(keyString(keyOf(device)), device)
      : undefined
  }

  /** Judges a device again. Returns whether anything visible changed. */
  reassess(id: string): boolean {
    const device = this.#objects.get('Device')!.get(id) as Device | undefined
    if (!device) return false
    const before = this.#assessments.get(id)
    const after = this.#judge(id, device)
    return !before || visible(before) !== visible(after)
  }

  /** Judges a device, and moves its share of the counts. */
  #judge(id: string, device: Device): Assessment {
    const before = this.#assessments.get(id)
    const after = assess(this.subject(device))
    this.#turns += 1
    this.#assessments.set(id, after)
    const { namespace } = device.metadata
    this.#count(namespace, before, -1)
    this.#count(namespace, after, 1)
    const oldOwner = before?.candidate ? before.owner : undefined
    const newOwner = after.candidate ? after.owner : undefined
    if (oldOwner !== undefined && oldOwner !== newOwner)
      this.#candidates.get(`${namespace}/${oldOwner}`)?.remove(id)
    if (newOwner !== undefined) {
      const policy = `${namespace}/${newOwner}`
      let candidates = this.#candidates.get(policy)
      if (!candidates) this.#candidates.set(policy, (candidates = createCandidates()))
      candidates.add(id, after.candidate!.revision)
    }
    return after
  }

  #judgeDeviceOf(operation: UpgradeOperation): void {
    const id = deviceKeyOf(operation)
    const device = this.#objects.get('Device')!.get(id) as Device | undefined
    if (device) this.#judge(id, device)
  }

  #forget(id: string): void {
    this.#asked.delete(id)
    this.#wanted.delete(id)
    const before = this.#assessments.get(id)
    if (!before) return
    const namespace = id.slice(0, id.indexOf('/'))
    this.#count(namespace, before, -1)
    if (before.owner !== undefined) this.#candidates.get(`${namespace}/${before.owner}`)?.remove(id)
    this.#assessments.delete(id)
  }

  #count(namespace: string, assessment: Assessment | undefined, delta: 1 | -1): void {
    for (const [policy, names] of assessment?.counts ?? []) {
      const key = `${namespace}/${policy}`
      let counts = this.#counts.get(key)
      if (!counts) this.#counts.set(key, (counts = new Map()))
      for (const name of names) counts.set(name, (counts.get(name) ?? 0) + delta)
    }
  }
}

const visible = ({ running, desired, owner, onTarget, blocked, candidate }: Assessment): string =>
  JSON.stringify([running, desired, owner, onTarget, blocked, candidate])

/** One start of one operation. */
export type StartId = string
const startId = (operation: UpgradeOperation, at: number): StartId => `${keyString(keyOf(operation))}@${at}`

/** Key of the category that an object belongs to; undefined for kinds that belong to none directly. */
export function categoryKeyOf(object: AnyResource): string | undefined {
  return object.kind === 'Device' || object.kind === 'Build' || object.kind === 'UpgradePolicy'
    ? `${object.metadata.namespace}/${object.spec.categoryRef.name}`
    : undefined
}

export const deviceKeyOf = (operation: UpgradeOperation): string =>
  `${operation.metadata.namespace}/${operation.spec.deviceRef.name}`

/** Key of the policy that made an operation; '' for one written by hand. */
export const policyKeyOf = (operation: UpgradeOperation): string =>
  operation.spec.policyRef ? `${operation.metadata.namespace}/${operation.spec.policyRef.name}` : ''

/**
 * The store, with every write taken into the fleet before its promise resolves: whoever writes reads its own write, and
 * whoever loses a race reads who has won it. Writes of one object take turns, and one that the fleet knows to come too
 * late is a `Conflict` that the store is not asked about.
 */
export function writeThrough(store: ResourceStore, fleet: Fleet): ResourceStore {
  const underWay = new Map<string, Promise<unknown>>()
  const send = async <R extends AnyResource>(object: R, write: () => Promise<R>): Promise<R> => {
    const { resourceVersion } = object.metadata
    const known = fleet.get(object.kind, object.metadata)
    if (known && compareVersions(known.metadata.resourceVersion, resourceVersion) > 0)
      requireVersion(known, resourceVersion)
    try {
      const written = await write()
      fleet.apply('Modified', written)
      fleet.noteWritten(written)
      return written
    } catch (error) {
      if (hasCode(error, 'Conflict', 'NotFound')) await refresh(object)
      throw error
    }
  }
  const inTurn = async <R extends AnyResource>(object: R, write: () => Promise<R>): Promise<R> => {
    const id = `${object.kind} ${keyString(object.metadata)}`
    for (let other = underWay.get(id); other; other = underWay.get(id)) await other.catch(() => {})
    const turn = send(object, write)
    underWay.set(id, turn)
    try {
      return await turn
    } finally {
      underWay.delete(id)
    }
  }
  // What the store has by now may take a while to be told, and until then every try would lose again.
  const refresh = async ({ kind, metadata }: AnyResource): Promise<void> => {
    const now = await store.get(kind, metadata)
    if (now) return fleet.apply('Modified', now)
    const known = fleet.get(kind, metadata)
    if (known?.metadata.uid === metadata.uid) fleet.apply('Deleted', known)
  }
  return {
    get: (kind, key) => store.get(kind, key),
    list: (kind, options) => store.list(kind, options),
    follow: (options) => store.follow(options),
    async create(manifest) {
      const object = await store.create(manifest)
      fleet.apply('Modified', object)
      return object
    },
    setFinalizers: (object, finalizers) => inTurn(object, () => store.setFinalizers(object, finalizers)),
    saveStatus: (object) => inTurn(object, () => store.saveStatus(object)),
    delete: (kind, key, options) => store.delete(kind, key, options),
  }
}

/** The same for a store whose declared state is written here. */
export const declareThrough = (store: DeclaredStore, fleet: Fleet): DeclaredStore => ({
  ...writeThrough(store, fleet),
  async apply(manifest) {
    const object = await store.apply(manifest)
    fleet.apply('Modified', object)
    return object
  },
})
