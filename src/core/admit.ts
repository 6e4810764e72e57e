import type {
  Blocked,
  Device,
  FirmwareImage,
  UpgradeOperation,
  UpgradePolicy,
  UpgradePolicySpec,
} from '../api/resources.ts'
import { getCondition, isTrue } from './conditions.ts'
import { cut } from './cut.ts'
import { formatDuration, parseDuration } from './duration.ts'
import { imageForBoard, isReadyImage, runsBuild, type BuildWithImages } from './match.ts'
import { operationStem, revisionOf } from './names.ts'
import { isFinished, isHandWritten, isLost, phaseOf, waitsForTurn } from './operation.ts'
import type { BlockedReason } from './reasons.ts'
import { toMs, toTime } from './time.ts'
import { compareVersions } from './versions.ts'

/** Everything about one device that decides whether it may be upgraded, shared limits apart. */
export interface Subject {
  device: Device
  /** Policies that select the device and are not being removed, the owner first; see `owners`. */
  policies: readonly UpgradePolicy[]
  /** The hand-written operation that asks, if it is not the policy that does. */
  request?: UpgradeOperation
  /** The build to get to: the owner's target, or the request's. */
  target: BuildWithImages | undefined
  /** All builds of the category, to find out what the device runs. */
  builds: readonly BuildWithImages[]
  /** Operations of this device. */
  operations: readonly UpgradeOperation[]
  /** What is wrong with its credentials, if anything. */
  credentialsProblem?: string
  /** Another Device with the same address and port. */
  addressTwin?: string
  now: number
}

/** Limits that devices share. Starts are counted when the guard is sent. */
export interface SharedLimits {
  /** Why nothing may start at all. */
  stop?: { reason: 'Halted' | 'LostLimit'; message: string }
  inFlight: { policy: number; all: number; maxAll: number }
  /** When the next start is within the limits per minute, in ms since 1970; undefined: now. */
  nextStartAt?: number
}

/** What each check asks, in the order in which they are asked. */
export const checkTitles = {
  policy: 'a policy selects the device, and runs',
  build: 'the target build can be installed, with one image for its board',
  device: 'the device is not held, pinned to another build, or being removed',
  access: 'it lets us in, and is the device that it was',
  probe: 'it has been reached, and its board is known',
  version: 'the target may be installed over what it runs',
  owner: 'no other policy claims it',
  attempts: 'earlier attempts at this upgrade have ended, and allow another one',
  busy: 'no other upgrade is under way or missing',
  marker: 'it has not fallen back from this very upgrade before',
  reachable: 'it answers',
  slots: 'starts are allowed, and a slot is free',
} as const

export type CheckId = keyof typeof checkTitles

export interface Check {
  id: CheckId
  outcome: 'Passed' | 'Failed' | 'NotReached'
  /** What speaks against it, where it failed. */
  blocked?: Blocked
}

export interface Admission {
  admitted: boolean
  /** The first "no". */
  blocked?: Blocked
  /** Each check in order, so that a person sees how far it got. */
  checks: Check[]
}

const no = (reason: BlockedReason, message: string, until?: number): Blocked => ({
  reason,
  message: cut(message, 1024),
  ...(until === undefined ? {} : { until: toTime(until) }),
})

interface Ranked {
  metadata: { name: string }
  spec: { priority: number }
}

/** Orders policies that select a device: the first owns it, unless the second has the same priority. */
export const byPriority = (a: Ranked, b: Ranked): number =>
  b.spec.priority - a.spec.priority || (a.metadata.name < b.metadata.name ? -1 : 1)

/** The policy that owns a device; undefined where none selects it or two of equal priority do. */
export function ownerOf(policies: readonly UpgradePolicy[]): UpgradePolicy | undefined {
  const [first, second] = policies
  return first && second?.spec.priority !== first.spec.priority ? first : undefined
}

/** The image of the target for this device: the one that was asked for by name, or the one for its board. */
export function chosenImage(subject: Subject): FirmwareImage | undefined {
  const { device, request, target } = subject
  const board = device.status.board
  if (!target || board === undefined) return undefined
  const wanted = request?.spec.imageRef?.name
  const images = wanted ? target.images.filter((image) => image.metadata.name === wanted) : target.images
  const match = imageForBoard(board, images)
  return match.kind === 'One' ? match.image : undefined
}

/** Names one upgrade of one device, whatever the attempt. */
interface UpgradeStem {
  revision: string
  stem: string
}

/** Revisions by their only image: every device of a build has the same, and asks for it at each judgement. */
const revisions = new WeakMap<FirmwareImage, { of: string; revision: string }>()

function revisionWith(build: string, image: FirmwareImage, sha256: string): string {
  const of = `${build} ${sha256}`
  const known = revisions.get(image)
  if (known?.of === of) return known.revision
  const revision = revisionOf(build, [sha256])
  revisions.set(image, { of, revision })
  return revision
}

/** Made from its build, its image, and the policy's retry token. */
export function upgradeStem(subject: Subject): UpgradeStem | undefined {
  const image = chosenImage(subject)
  if (!image?.status.sha256 || !subject.target) return undefined
  const revision = revisionWith(subject.target.build.metadata.name, image, image.status.sha256)
  const token = subject.policies[0]?.spec.retryToken ?? ''
  return { revision, stem: operationStem(subject.device.metadata.name, revision, token) }
}

/** The device's version, as far as anything knows it: that of the build it runs, else its own release. */
export function currentVersion(subject: Subject): { version?: string; order?: number } {
  const current = subject.builds.find((candidate) => runsBuild(subject.device.status, candidate))?.build
  if (current) return versionOf(current)
  const version = subject.device.status.release?.version
  return version === undefined ? {} : { version }
}

const versionOf = (build: BuildWithImages['build']): { version: string; order?: number } => ({
  version: build.spec.version,
  ...(build.spec.order === undefined ? {} : { order: build.spec.order }),
})

function checkPolicy({ device, policies, request, target }: Subject): Blocked | undefined {
  const policy = policies[0]
  if (!request) {
    if (!policy) return no('NoPolicy', 'no policy selects this device')
    const name = policy.metadata.name
    if (policy.spec.state === 'Plan') return no('PolicyPlanned', `policy ${name} only plans (state: Plan)`)
    if (policy.spec.state === 'Pause') return no('PolicyPaused', `policy ${name} is paused (state: Pause)`)
    if (policy.spec.state === 'Abort') return no('PolicyAborted', `policy ${name} is aborted (state: Abort)`)
  }
  if (!target) {
    return no(
      'PolicyNotReady',
      request
        ? `the build or image of operation ${request.metadata.name} does not exist`
        : `build ${policy!.spec.target.buildRef.name}, the target of policy ${policy!.metadata.name}, does not exist`,
    )
  }
  const category = target.build.spec.categoryRef.name
  if (category !== device.spec.categoryRef.name) {
    // Another purpose on the same board would pass every later check.
    return no(
      'PolicyNotReady',
      `build ${target.build.metadata.name} is of category ${category}, the device of category ${device.spec.categoryRef.name}`,
    )
  }
  return undefined
}

function checkBuild({ device, request, target }: Subject): Blocked | undefined {
  const { build, images } = target!
  const name = build.metadata.name
  if (build.spec.lifecycle === 'Recalled') {
    return no('BuildRecalled', `build ${name} is recalled: ${build.spec.reason ?? 'no reason given'}`)
  }
  if (build.metadata.deletionTimestamp) return no('BuildNotReady', `build ${name} is being removed`)
  const wanted = request?.spec.imageRef?.name
  const candidates = wanted ? images.filter((image) => image.metadata.name === wanted) : images
  if (!candidates.some(isReadyImage)) {
    return no('BuildNotReady', wanted ? `image ${wanted} is not Ready` : `no image of build ${name} is Ready`)
  }
  const board = device.status.board
  if (board === undefined) return undefined
  const match = imageForBoard(board, candidates)
  if (match.kind === 'None') {
    const unready = unreadyImages(board, candidates)
    // It may well be the one: whether there is none is known when it has been read.
    const reason = unready.some((image) => readinessOf(image).reason === 'Loading')
      ? 'BuildNotReady'
      : 'NoImage'
    return no(reason, `build ${name} has no image for board ${board}${namesOf(unready)}`)
  }
  if (match.kind === 'Ambiguous') {
    return no(
      'AmbiguousImage',
      `build ${name} has ${match.names.length} images for board ${board}: ${match.names.join(', ')}`,
    )
  }
  return undefined
}

const maxNamed = 5

/** The image that is missing may be there, and not be usable. */
const unreadyImages = (board: string, images: readonly FirmwareImage[]): FirmwareImage[] =>
  images.filter((image) => !isReadyImage(image) && (image.spec.boards ?? [board]).includes(board))

const readinessOf = (image: FirmwareImage): { reason: string; message: string } =>
  getCondition(image.status.conditions, 'Ready') ?? { reason: 'Loading', message: 'Loading' }

/** Which those are, and why. */
function namesOf(unready: readonly FirmwareImage[]): string {
  const [only, ...others] = unready
  if (only && others.length === 0) return `; not Ready: ${only.metadata.name} (${readinessOf(only).message})`
  const named = unready
    .slice(0, maxNamed)
    .map((image) => `${image.metadata.name} (${readinessOf(image).reason})`)
  const more = unready.length > maxNamed ? ` and ${unready.length - maxNamed} more` : ''
  return named.length === 0 ? '' : `; not Ready: ${named.join(', ')}${more}`
}

export const isHeld = (device: Device, now: number): boolean =>
  device.spec.hold !== undefined &&
  (device.spec.hold.until === undefined || toMs(device.spec.hold.until) > now)

const stalledReasons = new Set<string>(['AuthFailed', 'HostKeyChanged', 'IdentityChanged', 'Unsupported'])

function checkDevice({ device, target, now }: Subject): Blocked | undefined {
  if (device.metadata.deletionTimestamp) return no('Removed', 'the device is being removed')
  const hold = device.spec.hold
  if (hold && isHeld(device, now)) {
    return no('Held', `held by the operator: ${hold.reason}`, hold.until ? toMs(hold.until) : undefined)
  }
  const pin = device.spec.pinnedBuildRef?.name
  if (pin !== undefined && pin !== target!.build.metadata.name) return no('Pinned', `pinned to build ${pin}`)
  return undefined
}

function checkAccess(subject: Subject): Blocked | undefined {
  if (subject.credentialsProblem) return no('NoCredentials', subject.credentialsProblem)
  if (subject.addressTwin) {
    return no('AddressConflict', `Device ${subject.addressTwin} has the same address; both are left alone`)
  }
  const stalled = getCondition(subject.device.status.conditions, 'Stalled')
  return stalled?.status === 'True' && stalledReasons.has(stalled.reason)
    ? no(stalled.reason as BlockedReason, stalled.message)
    : undefined
}

function checkProbed({ device }: Subject): Blocked | undefined {
  if (device.status.bootId !== undefined && device.status.board !== undefined) return undefined
  const said = getCondition(device.status.conditions, 'Reachable')?.message
  return no('NeverProbed', said ? `never reached: ${said}` : 'not reached yet', nextProbe(device))
}

const nextProbe = (device: Device): number | undefined =>
  device.status.nextProbeTime === undefined ? undefined : toMs(device.status.nextProbeTime)

function checkVersion(subject: Subject): Blocked | undefined {
  const { build } = subject.target!
  const rules: Pick<UpgradePolicySpec['target'], 'allowDowngrade' | 'onUnknownVersion'> = subject.request
    ? { allowDowngrade: true, onUnknownVersion: 'Upgrade' }
    : subject.policies[0]!.spec.target
  const current = currentVersion(subject)
  const shown = current.version ?? 'unknown'
  const order = compareVersions(current, versionOf(build))
  const minVersion = build.spec.upgradeFrom?.minVersion
  const hop = minVersion === undefined ? 0 : compareVersions(current, { version: minVersion })
  if ((order === undefined || hop === undefined) && rules.onUnknownVersion === 'Skip') {
    return no(
      'UnknownVersion',
      `version ${shown} cannot be compared with ${order === undefined ? build.spec.version : minVersion}; set target.onUnknownVersion: Upgrade, or order on both builds`,
    )
  }
  if (order !== undefined && order > 0 && !rules.allowDowngrade) {
    return no(
      'Downgrade',
      `runs ${shown}, newer than ${build.spec.version}; set target.allowDowngrade to go back`,
    )
  }
  if (hop !== undefined && hop < 0) {
    return no('HopNotAllowed', `runs ${shown}; ${build.spec.version} can be installed from ${minVersion} on`)
  }
  return undefined
}

function checkOwner({ policies, request, target }: Subject): Blocked | undefined {
  const [first, second] = policies
  if (!first) return undefined
  if (!request) {
    return second?.spec.priority === first.spec.priority
      ? no(
          'PolicyConflict',
          `policies ${first.metadata.name} and ${second.metadata.name} both select it at priority ${first.spec.priority}`,
        )
      : undefined
  }
  const other = first.spec.target.buildRef.name
  return other === target!.build.metadata.name
    ? undefined
    : no(
        'OwnedByPolicy',
        `policy ${first.metadata.name} wants build ${other} on this device; pin the device or exclude it there first`,
      )
}

/** Operations of one upgrade (same device, revision and retry token), latest attempt first. */
export function attemptsOf(stem: string, operations: readonly UpgradeOperation[]): UpgradeOperation[] {
  const suffix = ({ metadata: { name } }: UpgradeOperation): string => name.slice(stem.length)
  const attempt = (operation: UpgradeOperation): number => Number(suffix(operation).slice(1))
  return operations
    .filter((operation) => operation.metadata.name.startsWith(stem) && /^-\d+$/.test(suffix(operation)))
    .toSorted((a, b) => attempt(b) - attempt(a))
}

const finishedAt = (operation: UpgradeOperation): number =>
  toMs(operation.status.times?.[operation.status.phase ?? 'Failed'] ?? operation.metadata.creationTimestamp)

const deviceClasses = new Set<string>(['AuthFailed', 'HostKeyChanged', 'IdentityChanged', 'Unreachable'])

/** What an earlier attempt at this very upgrade says about another one. */
function checkEarlier(operation: UpgradeOperation, { device, policies, now }: Subject): Blocked | undefined {
  const { phase, reason } = operation.status
  const name = operation.metadata.name
  if (!isFinished(operation)) return checkUnfinished(operation, device)
  if (phase === 'Cancelled') {
    return reason === 'CancelRequested'
      ? no('Cancelled', `operation ${name} was cancelled; change retryToken to try again`)
      : undefined
  }
  if (phase === 'Succeeded') {
    return no(
      'AlreadyFlashed',
      `operation ${name} succeeded, but the device runs ${device.status.osIdentifier ?? 'something else'} now; change retryToken to flash it again`,
    )
  }
  return checkFailed(operation, { device, policies, now })
}

function checkUnfinished({ metadata: { name }, status }: UpgradeOperation, device: Device): Blocked {
  // Once it has the device again, it waits no more.
  const waits = status.phase === 'Queued' && device.status.operationRef?.name !== name
  return waits && status.retryTime
    ? no('Retrying', status.message ?? `operation ${name} tries again`, toMs(status.retryTime))
    : no('Upgrading', `operation ${name} is upgrading it`)
}

/** After the flash a failure is final; before it, it depends on who can help. */
function checkFailed(
  operation: UpgradeOperation,
  { device, policies, now }: Pick<Subject, 'device' | 'policies' | 'now'>,
): Blocked | undefined {
  const { failureClass, message = '' } = operation.status
  const name = operation.metadata.name
  if (failureClass && isFlashFailure(failureClass)) {
    return no(failureClass, `operation ${name}: ${message}; change retryToken to flash it again`)
  }
  if (failureClass === 'Rejected' || failureClass === 'Unsupported') {
    return no('Rejected', `operation ${name}: ${message}; change retryToken to try again`)
  }
  if (failureClass && deviceClasses.has(failureClass)) {
    const probed = device.status.lastProbeTime
    return probed && toMs(probed) > finishedAt(operation)
      ? undefined
      : no(failureClass as BlockedReason, message, nextProbe(device))
  }
  const until = finishedAt(operation) + parseDuration(policies[0]?.spec.retry.quarantine ?? '24h')
  // What ended in the future did so before the wall clock was set back.
  return until > now && finishedAt(operation) <= now
    ? no('Quarantined', `operation ${name} used up its attempts: ${message}`, until)
    : undefined
}

const isFlashFailure = (
  failureClass: string,
): failureClass is 'Lost' | 'RolledBack' | 'WrongVersion' | 'Unhealthy' =>
  ['Lost', 'RolledBack', 'WrongVersion', 'Unhealthy'].includes(failureClass)

function checkAttempts(subject: Subject, { upgrade }: Asked): Blocked | undefined {
  if (subject.request || !upgrade) return undefined
  const [latest] = attemptsOf(upgrade.stem, subject.operations)
  return latest && checkEarlier(latest, subject)
}

/** Another operation of this device that is under way, or that left it Lost. */
function checkOthers({ device, request, operations }: Subject): Blocked | undefined {
  const lost = operations.find(
    (operation) =>
      isLost(operation) && operation !== request && !hasAnsweredSince(device, finishedAt(operation)),
  )
  if (lost) {
    return no('Lost', `operation ${lost.metadata.name}: ${lost.status.message ?? 'never came back'}`)
  }
  const holder = device.status.operationRef?.name
  const other = operations.find(
    (operation) =>
      !isFinished(operation) &&
      operation.metadata.name !== request?.metadata.name &&
      (operation.metadata.name === holder || (!request && !isRefused(operation))),
  )
  return other ? no('Upgrading', `operation ${other.metadata.name} is upgrading it`) : undefined
}

function checkMarker(subject: Subject, { upgrade }: Asked): Blocked | undefined {
  const { lastFlash, bootId } = subject.device.status
  // On its target it has not fallen back: somebody else has flashed it under the same name.
  if (!lastFlash || runsBuild(subject.device.status, subject.target!)) return undefined
  const nameOrStem = subject.request?.metadata.name ?? upgrade?.stem
  return markerFellBack(lastFlash, bootId, nameOrStem)
    ? no(
        'RolledBack',
        `the device's own marker says that operation ${lastFlash.operation} flashed it already, and it fell back; change retryToken to flash it again`,
      )
    : undefined
}

function checkReachable({ device }: Subject): Blocked | undefined {
  if (isTrue(device.status.conditions, 'Reachable')) return undefined
  const seen = device.status.lastProbeTime
  return no('Unreachable', seen ? `has not answered since ${seen}` : 'has never answered', nextProbe(device))
}

const passingReasons = new Set(['Retrying', 'Unreachable'])
/** Written by hand, and kept in the queue by more than its turn or the link: a policy must not wait for that. */
const isRefused = (operation: UpgradeOperation): boolean =>
  isHandWritten(operation) &&
  phaseOf(operation) === 'Queued' &&
  !waitsForTurn(operation) &&
  !passingReasons.has(operation.status.reason!)

const hasAnsweredSince = (device: Device, time: number): boolean =>
  device.status.lastProbeTime !== undefined && toMs(device.status.lastProbeTime) > time

/**
 * Whether the marker on a device that is off its target proves that this upgrade was flashed and fell back: it carries
 * the name of the operation (or any attempt of the stem), and the device has booted since.
 */
export function markerFellBack(
  marker: Device['status']['lastFlash'],
  bootId: string | undefined,
  nameOrStem: string | undefined,
): boolean {
  if (!marker || nameOrStem === undefined || marker.bootId === bootId) return false
  return (
    marker.operation === nameOrStem ||
    /^-\d+$/.test(marker.operation.startsWith(nameOrStem) ? marker.operation.slice(nameOrStem.length) : '')
  )
}

function checkSlots(subject: Subject, limits: SharedLimits): Blocked | undefined {
  const policy = subject.policies[0]
  if (limits.stop) return no(limits.stop.reason, limits.stop.message)
  const max = policy?.spec.limits.maxConcurrent
  if (max !== undefined && limits.inFlight.policy >= max) {
    return no('WaitingForSlot', `policy ${policy!.metadata.name} upgrades at most ${max} at once`)
  }
  if (limits.inFlight.all >= limits.inFlight.maxAll) {
    return no('WaitingForSlot', `at most ${limits.inFlight.maxAll} upgrades run at once (--max-in-flight)`)
  }
  if (limits.nextStartAt !== undefined && limits.nextStartAt > subject.now) {
    return no(
      'WaitingForStart',
      `the next start is allowed in ${formatDuration(limits.nextStartAt - subject.now)}`,
      limits.nextStartAt,
    )
  }
  return undefined
}

/** What checks ask for beside the subject. */
interface Asked {
  limits: SharedLimits | undefined
  upgrade: UpgradeStem | undefined
}

type Step = (subject: Subject, asked: Asked) => Blocked | undefined

/** Cheap and stable facts first and shared slots last, so that a blocked device holds no slot. */
const steps: Record<CheckId, Step> = {
  policy: checkPolicy,
  build: checkBuild,
  device: checkDevice,
  access: checkAccess,
  probe: checkProbed,
  version: checkVersion,
  owner: checkOwner,
  attempts: checkAttempts,
  busy: checkOthers,
  marker: checkMarker,
  reachable: checkReachable,
  slots: (subject, { limits }) => limits && checkSlots(subject, limits),
}
const order = Object.keys(checkTitles) as CheckId[]

/**
 * Decides every start. Without `limits` it says whether the device is a candidate, shared slots apart. Whoever knows the
 * subject's `upgrade` already hands it in.
 */
export function admit(
  subject: Subject,
  limits?: SharedLimits,
  upgrade: UpgradeStem | undefined = upgradeStem(subject),
): Admission {
  const checks: Check[] = []
  let blocked: Blocked | undefined
  for (const id of order) {
    if (id === 'slots' && !limits) break
    if (blocked) {
      checks.push({ id, outcome: 'NotReached' })
      continue
    }
    blocked = steps[id](subject, { limits, upgrade })
    checks.push(blocked ? { id, outcome: 'Failed', blocked } : { id, outcome: 'Passed' })
  }
  return { admitted: !blocked, checks, ...(blocked ? { blocked } : {}) }
}

/**
 * Admission of an operation that exists, asked on leaving Queued and again right before the guard: as for its device,
 * except that the operation itself, and what came of its own attempts, is no obstacle.
 */
export function admitOperation(
  operation: UpgradeOperation,
  subject: Subject,
  limits: SharedLimits,
): Admission {
  const others = subject.operations.filter((other) => other.metadata.name !== operation.metadata.name)
  return admit(
    { ...subject, operations: others, ...(isHandWritten(operation) ? { request: operation } : {}) },
    limits,
  )
}
