import type { Device, DeviceStatus, Key, UpgradeOperation } from '../api/resources.ts'
import { sourceErrorOf } from '../core/annotations.ts'
import { backoff, jittered } from '../core/backoff.ts'
import { getCondition, setCondition } from '../core/conditions.ts'
import { withFailedProbe, withProbe } from '../core/device-facts.ts'
import { parseDuration } from '../core/duration.ts'
import { hasCode, messageOf, ReflashError } from '../core/errors.ts'
import { isSameIdentity } from '../core/identity.ts'
import { keyOf, keyString } from '../core/keys.ts'
import { isFinished, isFlashing, phaseOf } from '../core/operation.ts'
import { sameValue } from '../core/same-value.ts'
import { toMs } from '../core/time.ts'
import type { Session } from '../ports/connector.ts'
import type { Upgrader } from '../ports/upgrader.ts'
import { openSession, readCredentials, upgraderOf } from './device-session.ts'
import { withAssessment } from './device-standing.ts'
import { deviceFinalizer, dropFinalizer, ensureFinalizer } from './finalizers.ts'
import { done, type Ports, type Requeue } from './ports.ts'
import { keepTombstone, recallTombstone } from './tombstones.ts'

const probeConnectMs = 45_000
const probeCommandMs = 30_000
const jitterShare = 0.1
/** An operation claims its device within this, which tells where it stands as well: then it needs no write of its own. */
export const settleDelayMs = 2000
/** Without a policy nobody says how to treat a device that does not answer. */
const defaultRecheck = { recheck: '10m', maxRecheck: '12h' }

/** Keeps one device known: probes it when that is due (or as told), frees stale claims, and writes where it stands. */
export async function reconcileDevice(
  key: Key,
  ports: Ports,
  signal: AbortSignal,
  { probe: mayProbe }: { probe?: boolean } = {},
): Promise<Requeue> {
  let device = ports.fleet.get('Device', key)
  if (!device) return done
  if (device.metadata.deletionTimestamp) return remove(device, ports)
  device = await ensureFinalizer(device, deviceFinalizer, ports)
  if (device.status.identity === undefined) device = await recallTombstone(device, ports)
  const claim = await claimOf(device, ports)
  let status = { ...device.status }
  if (isFree(claim) && (mayProbe ?? isToBeAsked(claim, device, ports)))
    status = await probe(device, ports, signal)
  if (claim === 'Stale') delete status.operationRef
  status = await withReferences({ ...device, status }, ports)
  // What it could not be asked without is there by now.
  const mended = isUnready(device.status) && !isUnready(status)
  if (mended && status.nextProbeTime === device.status.nextProbeTime) delete status.nextProbeTime
  const now = ports.clock.now()
  // Judged with what was just read, not with what the fleet still remembers.
  const assessment = ports.fleet.overlay({ ...device, status })
  if (!assessment) return done
  status = withAssessment({ ...device, status }, assessment, now)
  status.observedGeneration = device.metadata.generation
  const nextMs = mended ? 1 : claim === 'Ending' ? settleDelayMs : untilNext(status, now)
  return { after: (await tellStatus(device, status, ports)) ? nextMs : Math.min(settleDelayMs, nextMs) }
}

/**
 * Writes a status that is new. Returns false when it does not tell how the device is judged by now: nobody else will, as
 * whoever judged it anew meanwhile compares with that judgement and not with what is written.
 */
async function tellStatus(device: Device, status: DeviceStatus, ports: Ports): Promise<boolean> {
  if (sameValue(status, device.status)) return true
  const { fleet, clock, store } = ports
  await store.saveStatus({ ...device, status })
  const key = keyOf(device)
  const known = fleet.get('Device', key)
  const assessment = fleet.assessment(keyString(key))
  if (!known || !assessment) return true
  return sameValue(withAssessment(known, assessment, clock.now()), known.status)
}

const isUnready = ({ conditions }: DeviceStatus): boolean =>
  getCondition(conditions, 'Ready')?.status === 'False'

type Claim = 'None' | 'Held' | 'Ending' | 'Stale'

const isFree = (claim: Claim): boolean => claim === 'None' || claim === 'Stale'

/** Whoever left a stale claim may have left more behind on the device. */
const isToBeAsked = (claim: Claim, device: Device, ports: Ports): boolean =>
  claim === 'Stale' || isProbeDue(device, ports)

/**
 * A claim is stale when its operation is gone or finished, and ends while this process may still have a session for it:
 * that the end is stored can be read before the write comes back.
 */
async function claimOf(device: Device, { fleet, store }: Ports): Promise<Claim> {
  const name = device.status.operationRef?.name
  if (name === undefined) return 'None'
  const key = { namespace: device.metadata.namespace, name }
  const known = fleet.get('UpgradeOperation', key)
  if (known && !isFinished(known)) return 'Held'
  if (fleet.isAtWork(key)) return 'Ending'
  // Word of the operation may be on its way yet: a claim is only taken from one that the store itself knows no more.
  const operation = await store.get('UpgradeOperation', key)
  return operation && !isFinished(operation) ? 'Held' : 'Stale'
}

function isProbeDue(device: Device, ports: Ports): boolean {
  const { clock, fleet, settings } = ports
  const { status, metadata } = device
  const id = keyString(keyOf(device))
  if (status.observedGeneration !== metadata.generation || fleet.isProbeWanted(id)) return true
  if (settings.probesSince !== undefined && !fleet.wasAsked(id)) {
    // What an earlier run put off is asked all the same.
    if (!status.lastProbeTime || toMs(status.lastProbeTime) < settings.probesSince) return true
  }
  if (status.nextProbeTime === undefined) return true
  const waitMs = toMs(status.nextProbeTime) - clock.now()
  // No wait is that long: the time was agreed on before the wall clock was set back.
  return waitMs <= 0 || waitMs > longestWaitMs(device, ports)
}

const longestWaitMs = (device: Device, ports: Ports): number =>
  2 * Math.max(ports.settings.probeIntervalMs, parseDuration(ownersOffline(device, ports).maxRecheck))

async function probe(device: Device, ports: Ports, signal: AbortSignal): Promise<DeviceStatus> {
  const { clock, random, settings } = ports
  ports.fleet.noteAsked(keyString(keyOf(device)))
  try {
    const upgrader = upgraderOf(device, ports)
    const session = await openSession(device, { deadlineMs: probeConnectMs, urgent: false }, ports, signal)
    try {
      const found = await upgrader.probe(session, { commandMs: probeCommandMs }, signal)
      if (!acceptsIdentity(device, found.identity)) {
        throw new ReflashError(
          'IdentityChanged',
          `another device answers at ${session.address}: ${found.identity} instead of ${device.status.identity}; list its host key in spec.hostKeys to accept it`,
        )
      }
      if (found.leftovers && !(await isClaimedMeanwhile(device, ports)))
        await clearLeftovers(upgrader, session, signal)
      return withProbe(device, found, {
        hostKeys: session.hostKeys,
        now: clock.now(),
        nextProbeMs: jittered(settings.probeIntervalMs, jitterShare, random()),
      })
    } finally {
      await session.close()
    }
  } catch (error) {
    if (!(error instanceof ReflashError)) throw error
    return failedProbe(device, error, ports)
  }
}

/** What cannot be cleared away now is found by the next probe. */
async function clearLeftovers(upgrader: Upgrader, session: Session, signal: AbortSignal): Promise<void> {
  try {
    await upgrader.abandon({ keepImage: false, commandMs: probeCommandMs }, session, signal)
  } catch (error) {
    if (signal.aborted || !(error instanceof ReflashError)) throw error
  }
}

/** What lies on a device that has been claimed since is no leftover, whoever claimed it. */
async function isClaimedMeanwhile(device: Device, { store }: Ports): Promise<boolean> {
  const now = await store.get('Device', keyOf(device))
  const holder = now?.status.operationRef?.name
  return holder !== undefined && holder !== device.status.operationRef?.name
}

function acceptsIdentity({ spec, status, metadata }: Device, identity: string): boolean {
  if (status.identity === undefined || isSameIdentity(status.identity, identity)) return true
  return spec.hostKeys !== undefined && status.observedGeneration !== metadata.generation
}

function failedProbe(device: Device, error: ReflashError, ports: Ports): DeviceStatus {
  const { clock, random, settings } = ports
  const offline = ownersOffline(device, ports)
  const stalled = error.recoverable ? undefined : stalledReason(error)
  const nextProbeMs = stalled
    ? jittered(settings.probeIntervalMs, jitterShare, random())
    : backoff({
        attempt: (device.status.failedProbes ?? 0) + 1,
        baseMs: parseDuration(offline.recheck),
        maxMs: parseDuration(offline.maxRecheck),
        random01: random(),
      })
  return withFailedProbe(
    device,
    { message: messageOf(error), ...(stalled ? { stalled } : {}) },
    { now: clock.now(), nextProbeMs },
  )
}

function ownersOffline(device: Device, { fleet }: Ports): { recheck: string; maxRecheck: string } {
  // Right after a start it may have been judged before the policies were known.
  const owner = fleet.assessment(keyString(keyOf(device)))?.owner ?? device.status.policyRef?.name
  const policy = owner && fleet.get('UpgradePolicy', { namespace: device.metadata.namespace, name: owner })
  return policy ? policy.spec.offline : defaultRecheck
}

function stalledReason(
  error: ReflashError,
): 'AuthFailed' | 'HostKeyChanged' | 'IdentityChanged' | 'Unsupported' {
  const { failureClass } = error
  return failureClass === 'AuthFailed' ||
    failureClass === 'HostKeyChanged' ||
    failureClass === 'IdentityChanged'
    ? failureClass
    : 'Unsupported'
}

/** Ready says whether references and credentials are found; a dark router does not make it unready. */
async function withReferences(device: Device, ports: Ports): Promise<DeviceStatus> {
  const { metadata, spec, status } = device
  const problem = await missingReference(device, ports)
  const set = (value: 'True' | 'False', reason: string, message: string) =>
    setCondition(
      status.conditions,
      { type: 'Ready', status: value, reason, message, observedGeneration: metadata.generation },
      ports.clock.now(),
    )
  const twin = ports.fleet.twinOf(device)
  const sourceError = sourceErrorOf(device)
  if (problem) return { ...status, conditions: set('False', 'NotFound', problem) }
  if (twin) return { ...status, conditions: set('False', 'Conflict', `Device ${twin} has the same address`) }
  if (sourceError) return { ...status, conditions: set('False', 'Invalid', sourceError) }
  return { ...status, conditions: set('True', 'Accepted', `accepted; category ${spec.categoryRef.name}`) }
}

async function missingReference(device: Device, ports: Ports): Promise<string | undefined> {
  const { namespace } = device.metadata
  const { categoryRef, credentialsRef, jumpHost, pinnedBuildRef } = device.spec
  if (!ports.fleet.get('Category', { namespace, name: categoryRef.name })) {
    return `category ${categoryRef.name} does not exist`
  }
  if (pinnedBuildRef && !ports.fleet.get('Build', { namespace, name: pinnedBuildRef.name })) {
    return `build ${pinnedBuildRef.name} does not exist`
  }
  try {
    await readCredentials(namespace, credentialsRef.name, ports.secrets)
    if (jumpHost) await readCredentials(namespace, jumpHost.credentialsRef.name, ports.secrets)
  } catch (error) {
    if (hasCode(error, 'CredentialsInvalid')) return error.message
    throw error
  }
  return undefined
}

function untilNext({ nextProbeTime, blocked }: DeviceStatus, now: number): number {
  const times = [nextProbeTime, blocked?.until].filter((time) => time !== undefined).map(toMs)
  const next = Math.min(...times.filter((time) => time > now), now + 24 * 3600_000)
  return Math.max(1, next - now)
}

/** A removed device gets no start and ends a flash in flight; what is known of it is kept for a while. */
async function remove(device: Device, ports: Ports): Promise<Requeue> {
  const operations = [...ports.fleet.operationsOf(keyString(keyOf(device)))]
  const busy = operations.some(
    (operation) => !isFinished(operation) && (isFlashing(phaseOf(operation)) || isOurs(device, operation)),
  )
  if (busy) return { after: 1000 }
  await keepTombstone(device, ports)
  await dropFinalizer(device, deviceFinalizer, ports)
  return done
}

const isOurs = (device: Device, operation: UpgradeOperation): boolean =>
  device.status.operationRef?.name === operation.metadata.name
