import type { UpgradeOperationStatus } from '../api/resources.ts'
import { isSameIdentity } from './identity.ts'
import type { Probe } from './probe.ts'

/** What was known before the flash, and what the flash was to bring. */
export interface Expectation {
  bootIdBefore: string
  identity: string | undefined
  from: NonNullable<UpgradeOperationStatus['from']>
  to: NonNullable<UpgradeOperationStatus['to']>
}

export type Verdict =
  /** A new boot, and the target release was read back. */
  | { kind: 'Succeeded'; message: string }
  | { kind: 'RolledBack'; message: string }
  | { kind: 'WrongVersion'; message: string }
  /** Still the boot in which the flash was decided on. */
  | { kind: 'SameBoot' }
  /** Somebody else answers at the address: says nothing about our device. */
  | { kind: 'OtherDevice'; message: string }

/** Whether what a device reports is the release that the flash was to bring. */
export function isRelease(probe: Pick<Probe, 'osIdentifier' | 'release'>, to: Expectation['to']): boolean {
  if (to.revision !== undefined) return probe.release.revision === to.revision
  return to.osIdentifier !== undefined && probe.osIdentifier === to.osIdentifier
}

/** Judges a flash from a probe over a new connection: boot id first, then release. The flash's own words do not count. */
export function judge(expected: Expectation, probe: Probe): Verdict {
  if (expected.identity !== undefined && !isSameIdentity(probe.identity, expected.identity)) {
    return {
      kind: 'OtherDevice',
      message: `another device answers at this address: ${probe.identity} instead of ${expected.identity}`,
    }
  }
  if (probe.bootId === expected.bootIdBefore) return { kind: 'SameBoot' }
  if (isRelease(probe, expected.to)) {
    return { kind: 'Succeeded', message: `runs ${probe.osIdentifier} since a new boot` }
  }
  const before = expected.from
  if (probe.release.revision === before.revision && probe.osIdentifier === before.osIdentifier) {
    return {
      kind: 'RolledBack',
      message: `rebooted, but still runs ${probe.osIdentifier}: the flash failed or the device fell back`,
    }
  }
  return {
    kind: 'WrongVersion',
    message: `runs ${probe.osIdentifier}, expected ${expected.to.osIdentifier ?? expected.to.revision ?? 'another release'}`,
  }
}
