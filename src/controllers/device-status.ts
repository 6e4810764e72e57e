import type { Device, UpgradeOperation } from '../api/resources.ts'
import type { DeviceStatus } from '../api/status-api.ts'
import { admit, admitOperation, checkTitles, type SharedLimits } from '../core/admit.ts'
import { keyOf, keyString } from '../core/keys.ts'
import { runsBuild } from '../core/match.ts'
import { isFinished, isHandWritten, phaseOf } from '../core/operation.ts'
import type { Fleet } from './fleet.ts'
import { subjectOf } from './observe-operation.ts'

/** Shared limits that no policy sets. */
export interface CommonLimits {
  stop: SharedLimits['stop']
  maxInFlight: number
}

/**
 * Why one device is not upgraded now: each admission check in order, asked of the very function that admits. A device on
 * its target is asked nothing.
 */
export function deviceStatus(device: Device, fleet: Fleet, limits: CommonLimits): DeviceStatus {
  const { metadata, status } = device
  const assessment = fleet.assessment(keyString(keyOf(device)))
  const unfinished = [...fleet.operationsOf(keyString(keyOf(device)))].filter(
    (operation) => !isFinished(operation),
  )
  const request = unfinished.find((operation) => isHandWritten(operation) && phaseOf(operation) === 'Queued')
  const subject = request ? subjectOf(request, device, { fleet }) : fleet.subject(device)
  const onTarget = subject.target !== undefined && runsBuild(status, subject.target)
  const { admitted, checks } = onTarget
    ? { admitted: false, checks: [] }
    : judge(device, request, { fleet, limits })
  const operation = status.operationRef?.name ?? (request ?? unfinished[0])?.metadata.name
  const target = subject.target?.build.metadata.name ?? assessment?.desired
  return {
    resourceVersion: metadata.resourceVersion,
    namespace: metadata.namespace,
    name: metadata.name,
    ...defined({
      model: status.model,
      board: status.board,
      running: assessment?.running[0] ?? status.osIdentifier,
      target,
      policy: assessment?.owner,
      operation,
      lastProbeTime: status.lastProbeTime,
    }),
    onTarget,
    admitted,
    checks: checks.map(({ id, outcome, blocked }) => ({
      id,
      title: checkTitles[id],
      outcome,
      ...blocked,
    })),
  }
}

function judge(
  device: Device,
  request: UpgradeOperation | undefined,
  { fleet, limits: { stop, maxInFlight } }: { fleet: Fleet; limits: CommonLimits },
) {
  const subject = fleet.subject(device)
  const limits: SharedLimits = {
    ...(stop ? { stop } : {}),
    inFlight: fleet.inFlight(subject.policies[0], maxInFlight),
  }
  return request
    ? admitOperation(request, subjectOf(request, device, { fleet }), limits)
    : admit(subject, limits)
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Without the fields that are undefined. */
const defined = <T extends object>(fields: T): Defined<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
