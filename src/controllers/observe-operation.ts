import { defaultPolicySettings } from '../api/defaults.ts'
import type { Device, UpgradeOperation, UpgradePolicy } from '../api/resources.ts'
import {
  admitOperation,
  chosenImage,
  hasAnsweredSince,
  type Admission,
  type SharedLimits,
  type Subject,
} from '../core/admit.ts'
import {
  isFinished,
  isFlashing,
  isHandWritten,
  isLost,
  lostWatchMs,
  phaseOf,
  type OperationWorld,
  type Outcome,
} from '../core/operation.ts'
import { toMs } from '../core/time.ts'
import { cancelWish } from './cancel-wish.ts'
import type { StartId } from './fleet.ts'
import type { Ports } from './ports.ts'

/**
 * Reads everything that decides the next step of an operation: what costs something when it is asked for, since whoever
 * only looks for a device to come back asks for none of it. To be used before anything is awaited.
 */
export function observe(
  operation: UpgradeOperation,
  ports: Ports,
  turn: {
    stop: SharedLimits['stop']
    outcome: Outcome | undefined
    hasSession: boolean
    heldStart: StartId | undefined
  },
): OperationWorld {
  const { stop, outcome, hasSession, heldStart } = turn
  const { fleet } = ports
  const { namespace } = operation.metadata
  const device = fleet.get('Device', { namespace, name: operation.spec.deviceRef.name })
  const policy = policyOf(operation, device, ports)
  const subject = once(() => device && subjectOf(operation, device, ports))
  const cancel = once(() => cancelWish(operation, ports))
  const admission = once(() => {
    const known = subject()
    if (!known) return refusedFor(operation)
    return admitOperation(operation, known, {
      ...(stop ? { stop } : {}),
      ...(isBeforeStart(operation) ? startLimit(policy, ports, heldStart) : {}),
      inFlight: inFlightWithout(operation, policy, ports),
    })
  })
  const target = once(() => {
    const known = subject()
    return known && targetOf(operation, known)
  })
  return {
    claim: claimOf(operation, device),
    get admission() {
      return admission()
    },
    get cancel() {
      return cancel()
    },
    hasSession,
    ...(outcome ? { outcome } : {}),
    get target() {
      return target()
    },
    get hasImage() {
      const image = phaseOf(operation) === 'Queued' ? target()?.image : operation.status.image
      return image !== undefined && fleet.hasFetched({ namespace, name: image.name }, image.sha256)
    },
    from: device ? factsOf(device) : {},
    identity: device?.status.identity,
    settings: policy?.spec ?? defaultPolicySettings,
    watchedMs: fleet.flashWatchedMs(operation),
    answeredSinceLost: isLost(operation) && hasAnswered(operation, device, ports.clock.now()),
    random01: ports.random(),
  }
}

/** Asks at the first call only. */
function once<T>(ask: () => T): () => T {
  let answer: { value: T } | undefined
  return () => (answer ??= { value: ask() }).value
}

function isBeforeStart(operation: UpgradeOperation): boolean {
  const phase = phaseOf(operation)
  return phase !== 'Queued' && !isFlashing(phase) && !isFinished(operation)
}

/** Only the guard takes a start, and only what stands before it waits for one. */
function startLimit(
  policy: UpgradePolicy | undefined,
  { fleet, governor }: Ports,
  heldStart: StartId | undefined,
) {
  const nextStartAt = fleet.nextStart(policy, governor.settings.maxStartsPerMinute, heldStart)
  return nextStartAt === undefined ? {} : { nextStartAt }
}

/** What a device ran when its upgrade began. */
function factsOf({ status }: Device): OperationWorld['from'] {
  const { buildRef, osIdentifier, release, board } = status
  return {
    ...(buildRef ? { build: buildRef.name } : {}),
    ...(osIdentifier === undefined ? {} : { osIdentifier }),
    ...(release?.revision === undefined ? {} : { revision: release.revision }),
    ...(board === undefined ? {} : { board }),
  }
}

/** The operation's own slot is no obstacle to itself. */
function inFlightWithout(operation: UpgradeOperation, policy: UpgradePolicy | undefined, ports: Ports) {
  const counted = ports.fleet.inFlight(policy, ports.governor.settings.maxInFlight)
  return ports.fleet.hasSlot(operation)
    ? { ...counted, policy: counted.policy - (policy ? 1 : 0), all: counted.all - 1 }
    : counted
}

const refusedFor = (operation: UpgradeOperation): Admission => ({
  admitted: false,
  checks: [],
  blocked: { reason: 'NeverProbed', message: `device ${operation.spec.deviceRef.name} does not exist` },
})

/** Whether a device that was given up has answered since, while anybody still looks. */
function hasAnswered(operation: UpgradeOperation, device: Device | undefined, now: number): boolean {
  const lostAt = toMs(operation.status.times?.Failed ?? operation.metadata.creationTimestamp)
  return device !== undefined && hasAnsweredSince(device, lostAt, now) && now - lostAt < lostWatchMs
}

/** The policy whose limits, retries and timeouts apply: the one that made it, or the device's owner. */
export function policyOf(
  operation: UpgradeOperation,
  device: Device | undefined,
  { fleet }: Ports,
): UpgradePolicy | undefined {
  const name = operation.spec.policyRef?.name ?? (device && fleet.subject(device).policies[0]?.metadata.name)
  return name === undefined
    ? undefined
    : fleet.get('UpgradePolicy', { namespace: operation.metadata.namespace, name })
}

/** The subject of an operation: for one that was written by hand, with the build that it asks for. */
export function subjectOf(
  operation: UpgradeOperation,
  device: Device,
  { fleet }: Pick<Ports, 'fleet'>,
): Subject {
  const subject = fleet.subject(device)
  if (!isHandWritten(operation)) return subject
  const { namespace } = operation.metadata
  const { buildRef, imageRef } = operation.spec
  const image = imageRef && fleet.get('FirmwareImage', { namespace, name: imageRef.name })
  const name = buildRef?.name ?? image?.spec.buildRef.name
  return {
    ...subject,
    request: operation,
    target: name === undefined ? undefined : fleet.buildWithImages({ namespace, name }),
  }
}

function claimOf(operation: UpgradeOperation, device: Device | undefined): OperationWorld['claim'] {
  const holder = device?.status.operationRef?.name
  if (holder === undefined) return 'None'
  return holder === operation.metadata.name ? 'Mine' : 'Other'
}

function targetOf(operation: UpgradeOperation, subject: Subject): OperationWorld['target'] {
  const image = chosenImage(isHandWritten(operation) ? { ...subject, request: operation } : subject)
  const build = subject.target?.build
  if (!image || !build || image.status.sha256 === undefined || image.status.size === undefined)
    return undefined
  const osIdentifier = build.spec.osIdentifier ?? build.status.osIdentifier
  const revision = image.status.metadata?.revision
  return {
    image: { name: image.metadata.name, sha256: image.status.sha256, size: image.status.size },
    to: {
      build: build.metadata.name,
      ...(osIdentifier === undefined ? {} : { osIdentifier }),
      ...(revision === undefined ? {} : { revision }),
    },
  }
}
