import { kinds } from '../api/kinds.ts'
import type { Condition, Device, Phase, UpgradePolicyStatus } from '../api/resources.ts'
import type { SharedLimits } from '../core/admit.ts'
import { countNames } from '../core/assess.ts'
import { getCondition } from '../core/conditions.ts'
import { keyOf, keyString } from '../core/keys.ts'
import { holdsSlot, phaseOf } from '../core/operation.ts'
import { printable } from '../core/printable.ts'
import { toMs } from '../core/time.ts'
import { transitions } from '../core/transitions.ts'
import type { Clock } from '../ports/clock.ts'
import type { Sample } from '../ports/metrics.ts'
import type { Fleet } from './fleet.ts'
import type { Governor } from './governor.ts'
import { reasonNow } from './why-not-now.ts'

/** Combinations of model and version that are shown one by one: what devices say must not fill a database. */
const maxVersions = 500
const maxFactLength = 64

const policyPhases = [
  'Planned',
  'Progressing',
  'Waiting',
  'Paused',
  'Aborted',
  'Converged',
] as const satisfies readonly NonNullable<UpgradePolicyStatus['phase']>[]
const openPhases = Object.entries(transitions).flatMap(([phase, next]) =>
  next.length === 0 ? [] : [phase as Phase],
)
const stopReasons = ['Halted', 'LostLimit'] as const

/** What the gauges of the fleet are read from. */
export interface FleetReading {
  fleet: Fleet
  governor: Governor
  clock: Clock
  /** Whether every device gets series of its own. */
  perDevice: boolean
}

/** The gauges of the whole fleet at this moment: one pass over its devices, policies and open operations. */
export async function readFleet(reading: FleetReading): Promise<Sample[]> {
  const { fleet, governor, perDevice } = reading
  const stop = await governor.stop()
  return [
    ...kinds.map(({ kind }): Sample => ({
      name: 'reflash_objects',
      labels: { kind },
      value: fleet.size(kind),
    })),
    ...deviceSamples(fleet, stop),
    ...(perDevice ? [...fleet.all('Device')].flatMap(samplesOfDevice) : []),
    ...policySamples(fleet),
    ...operationSamples(reading),
    ...governorSamples(reading, stop),
  ]
}

/** Counts label sets that all have the same names, in the same order. */
function createTally<L extends Record<string, string>>() {
  const counts = new Map<string, { labels: L; value: number }>()
  return {
    add(labels: L, by = 1): void {
      const key = Object.values(labels).join('\n')
      const entry = counts.get(key)
      if (entry) entry.value += by
      else counts.set(key, { labels, value: by })
    },
    all: (): { labels: L; value: number }[] => [...counts.values()],
  }
}

const statusOf = (conditions: readonly Condition[] | undefined, type: string): string =>
  getCondition(conditions, type)?.status ?? 'Unknown'

/** What a device says of itself, made safe and short. */
const fact = (text: string | undefined): string => printable(text ?? 'unknown', maxFactLength)
const modelOf = ({ status }: Device): string => fact(status.model ?? status.board)
/** The build that it runs, else what it says that it runs. */
const versionOf = ({ status }: Device): string =>
  fact(status.buildRef?.name ?? status.release?.version ?? status.osIdentifier)

function deviceSamples(fleet: Fleet, stop: SharedLimits['stop']): Sample[] {
  const standing = createTally<{ namespace: string; category: string; up_to_date: string; reason: string }>()
  const reachable = createTally<{ namespace: string; category: string; reachable: string }>()
  const versions = createTally<VersionLabels>()
  for (const device of fleet.all('Device')) {
    const { metadata, spec, status } = device
    const place = { namespace: metadata.namespace, category: spec.categoryRef.name }
    standing.add({
      ...place,
      up_to_date: statusOf(status.conditions, 'UpToDate'),
      reason: reasonNow(device, stop) ?? '',
    })
    reachable.add({ ...place, reachable: statusOf(status.conditions, 'Reachable') })
    versions.add({ ...place, model: modelOf(device), version: versionOf(device) })
  }
  return [
    ...standing.all().map((count): Sample => ({ name: 'reflash_devices', ...count })),
    ...reachable.all().map((count): Sample => ({ name: 'reflash_devices_reachable', ...count })),
    ...foldRare(versions.all()).map((count): Sample => ({ name: 'reflash_device_versions', ...count })),
  ]
}

// A type, since an interface is no Record.
type VersionLabels = { namespace: string; category: string; model: string; version: string }
type VersionCount = { labels: VersionLabels; value: number }

/** Keeps the most frequent label sets; the others of each category become one. */
function foldRare(counts: VersionCount[]): VersionCount[] {
  if (counts.length <= maxVersions) return counts
  const nameOf = ({ labels }: VersionCount): string => `${labels.model}\n${labels.version}`
  const byCount = counts.toSorted((a, b) => b.value - a.value || (nameOf(a) < nameOf(b) ? -1 : 1))
  const rest = createTally<VersionLabels>()
  for (const { labels, value } of byCount.slice(maxVersions)) {
    rest.add({ ...labels, model: 'other', version: 'other' }, value)
  }
  return [...byCount.slice(0, maxVersions), ...rest.all()]
}

function samplesOfDevice(device: Device): Sample[] {
  const { metadata, spec, status } = device
  const labels = { namespace: metadata.namespace, name: metadata.name }
  const info: Sample = {
    name: 'reflash_device_info',
    labels: {
      ...labels,
      category: spec.categoryRef.name,
      model: modelOf(device),
      version: versionOf(device),
      target: status.desiredBuildRef?.name ?? '',
    },
    value: 1,
  }
  if (status.lastProbeTime === undefined) return [info]
  const seen = toMs(status.lastProbeTime) / 1000
  return [info, { name: 'reflash_device_last_seen_timestamp_seconds', labels, value: seen }]
}

function policySamples(fleet: Fleet): Sample[] {
  return [...fleet.all('UpgradePolicy')].flatMap((object) => {
    const { namespace, name: policy } = object.metadata
    const counts = fleet.counts(keyString(keyOf(object)))
    return [
      ...policyPhases.map((phase): Sample => ({
        name: 'reflash_policy_phase',
        labels: { namespace, policy, phase },
        value: object.status.phase === phase ? 1 : 0,
      })),
      ...countNames.map((state): Sample => ({
        name: 'reflash_policy_devices',
        labels: { namespace, policy, state },
        value: counts.get(state) ?? 0,
      })),
    ]
  })
}

function operationSamples({ fleet, clock }: FleetReading): Sample[] {
  const byPhase = new Map(openPhases.map((phase) => [phase, 0]))
  const now = clock.now()
  let oldest = now
  for (const operation of fleet.unfinished()) {
    const phase = phaseOf(operation)
    byPhase.set(phase, byPhase.get(phase)! + 1)
    const begun = operation.status.times?.Connecting
    if (begun !== undefined && holdsSlot(operation)) oldest = Math.min(oldest, toMs(begun))
  }
  return [
    ...[...byPhase].map(([phase, value]): Sample => ({
      name: 'reflash_operations',
      labels: { phase },
      value,
    })),
    { name: 'reflash_oldest_operation_in_flight_seconds', labels: {}, value: (now - oldest) / 1000 },
  ]
}

function governorSamples({ fleet, governor }: FleetReading, stop: SharedLimits['stop']): Sample[] {
  const { maxInFlight, maxStartsPerMinute } = governor.settings
  return [
    { name: 'reflash_governor_in_flight', labels: {}, value: fleet.allSlotsUsed() },
    { name: 'reflash_governor_max_in_flight', labels: {}, value: maxInFlight },
    { name: 'reflash_governor_starts_last_minute', labels: {}, value: fleet.startsLastMinute() },
    { name: 'reflash_governor_max_starts_per_minute', labels: {}, value: maxStartsPerMinute },
    ...stopReasons.map((reason): Sample => ({
      name: 'reflash_governor_stopped',
      labels: { reason },
      value: stop?.reason === reason ? 1 : 0,
    })),
  ]
}
