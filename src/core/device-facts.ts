import type { Device, DeviceStatus } from '../api/resources.ts'
import { removeCondition, setCondition } from './conditions.ts'
import type { Probe } from './probe.ts'
import { toTime } from './time.ts'

const defined = <T extends object>(value: T): { [K in keyof T]-?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never

/** A device's status after a probe that answered: facts replaced, host keys pinned at first sight. */
export function withProbe(
  device: Device,
  probe: Probe,
  { hostKeys, now, nextProbeMs }: { hostKeys: readonly string[]; now: number; nextProbeMs: number },
): DeviceStatus {
  const { status, spec } = device
  const observedGeneration = device.metadata.generation
  // No keys are no pins: an empty list would never be filled.
  const pins = [status.hostKeys, spec.hostKeys ? undefined : hostKeys].find((keys) => keys && keys.length > 0)
  const kept = { ...status }
  delete kept.lastFlash
  delete kept.failedProbes
  const conditions = setCondition(
    removeCondition(status.conditions, 'Stalled'),
    {
      type: 'Reachable',
      status: 'True',
      reason: 'Answered',
      message: 'answered the last probe',
      observedGeneration,
    },
    now,
  )
  return {
    ...kept,
    ...defined({
      osIdentifier: probe.osIdentifier,
      release: defined(probe.release),
      board: probe.board,
      model: probe.model,
      bootId: probe.bootId,
      compatVersion: probe.compatVersion,
      lastFlash: probe.lastFlash,
    }),
    ...(pins ? { hostKeys: [...pins] } : {}),
    identity: probe.identity,
    lastProbeTime: toTime(now),
    nextProbeTime: toTime(now + nextProbeMs),
    conditions,
  }
}

/** A device's status after a probe that failed: what was known stays known. */
export function withFailedProbe(
  device: Device,
  failure: { message: string; stalled?: 'AuthFailed' | 'HostKeyChanged' | 'IdentityChanged' | 'Unsupported' },
  { now, nextProbeMs }: { now: number; nextProbeMs: number },
): DeviceStatus {
  const { status } = device
  const observedGeneration = device.metadata.generation
  const { message, stalled } = failure
  let conditions = setCondition(
    status.conditions,
    { type: 'Reachable', status: 'Unknown', reason: 'NotAnswering', message, observedGeneration },
    now,
  )
  conditions = stalled
    ? setCondition(
        conditions,
        { type: 'Stalled', status: 'True', reason: stalled, message, observedGeneration },
        now,
      )
    : conditions
  return {
    ...status,
    failedProbes: (status.failedProbes ?? 0) + 1,
    nextProbeTime: toTime(now + nextProbeMs),
    conditions,
  }
}
