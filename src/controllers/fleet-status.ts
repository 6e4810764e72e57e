import type { Key, UpgradePolicy } from '../api/resources.ts'
import type {
  BlockedDevices,
  DeviceStatus,
  FleetStatus,
  ModelSummary,
  PolicyStatus,
  PolicySummary,
} from '../api/status-api.ts'
import type { SharedLimits } from '../core/admit.ts'
import { countNames } from '../core/assess.ts'
import { getCondition } from '../core/conditions.ts'
import { byName, keyOf, keyString } from '../core/keys.ts'
import type { Clock } from '../ports/clock.ts'
import { deviceStatus } from './device-status.ts'
import { shownFailing } from './failing-devices.ts'
import {
  add,
  createFleetCounter,
  type Counter,
  type FleetCounts,
  type ModelCounts,
  type NamespaceCounts,
  type OffTarget,
} from './fleet-counts.ts'
import type { Fleet } from './fleet.ts'
import type { Governor } from './governor.ts'
import { whyNotNow } from './why-not-now.ts'

/** Which namespaces somebody may see. */
export type Namespaces = 'All' | ReadonlySet<string>

export interface BlockedQuery {
  namespaces: Namespaces
  reason?: string
  /** A policy that selects the device. */
  policy?: string
  /** Devices after this one, by namespace and name. */
  after?: Key
  limit: number
}

/** One page of devices off their target, and the last of it where there are more. */
export type BlockedPage = Omit<BlockedDevices, 'continue'> & { last?: Key }

/** Where the fleet stands, counted for whoever asks. */
export interface StatusReader {
  /** O(namespaces, policies and models), and at most once a second O(devices and operations). */
  fleet(namespaces: Namespaces): Promise<FleetStatus>
  policy(key: Key): PolicyStatus | undefined
  /** O(1) in the fleet: the device is judged anew. */
  device(key: Key): Promise<DeviceStatus | undefined>
  /** O(devices off their target), sorted once for each count. */
  blocked(query: BlockedQuery): Promise<BlockedPage>
}

export function createStatusReader(parts: {
  fleet: Fleet
  governor: Governor
  clock: Pick<Clock, 'monotonic'>
  /** Of Reflash. */
  version: string
}): StatusReader {
  const { fleet, governor, clock, version } = parts
  const count = createFleetCounter(fleet, clock)
  const sorted = new WeakMap<FleetCounts, OffTarget[]>()
  const offTarget = (counts: FleetCounts): OffTarget[] => {
    let devices = sorted.get(counts)
    if (!devices) {
      devices = [...counts.namespaces.values()].flatMap((namespace) => namespace.offTarget).toSorted(byKey)
      sorted.set(counts, devices)
    }
    return devices
  }

  return {
    async fleet(namespaces) {
      const stop = await governor.stop()
      const counts = count()
      const seen = visible(counts, namespaces)
      return {
        resourceVersion: counts.resourceVersion,
        version,
        devices: devicesOf(seen, stop),
        operations: operationsOf(seen, fleet, namespaces),
        governor: governorOf(fleet, governor, stop),
        policies: [...fleet.all('UpgradePolicy')]
          .filter(({ metadata }) => mayRead(namespaces, metadata.namespace))
          .toSorted(byName)
          .map((policy) => summaryOf(policy, fleet)),
        models: modelsOf(seen),
      }
    },
    policy(key) {
      const policy = fleet.get('UpgradePolicy', key)
      if (!policy) return undefined
      const counts = count()
      const models = counts.namespaces.get(key.namespace)?.policies.get(key.name) ?? new Map<string, never>()
      return {
        resourceVersion: counts.resourceVersion,
        ...summaryOf(policy, fleet),
        models: [...models]
          .toSorted(([a], [b]) => compareText(a, b))
          .map(([model, { trouble, ...numbers }]) => ({ model, ...numbers, ...shownFailing(trouble) })),
      }
    },
    async device(key) {
      const device = fleet.get('Device', key)
      if (!device) return undefined
      const stop = await governor.stop()
      return deviceStatus(device, fleet, { stop, maxInFlight: governor.settings.maxInFlight })
    },
    async blocked({ namespaces, reason, policy, after, limit }) {
      const stop = await governor.stop()
      const counts = count()
      const items: BlockedDevices['items'] = []
      for (const { namespace, name, assessment } of offTarget(counts)) {
        if (!mayRead(namespaces, namespace)) continue
        if (after && byKey({ namespace, name }, after) <= 0) continue
        if (policy !== undefined && !assessment.counts.has(policy)) continue
        const why = whyNotNow(assessment, stop)
        if (!why || (reason !== undefined && why.reason !== reason)) continue
        // One more than fits tells that there is another page.
        if (items.length === limit) {
          const last = items.at(-1)!
          return {
            resourceVersion: counts.resourceVersion,
            items,
            last: { namespace: last.namespace, name: last.name },
          }
        }
        const { desired } = assessment
        items.push({ namespace, name, ...(desired === undefined ? {} : { target: desired }), ...why })
      }
      return { resourceVersion: counts.resourceVersion, items }
    },
  }
}

export const mayRead = (namespaces: Namespaces, namespace: string): boolean =>
  namespaces === 'All' || namespaces.has(namespace)

const visible = ({ namespaces: all }: FleetCounts, namespaces: Namespaces): NamespaceCounts[] =>
  [...all].filter(([name]) => mayRead(namespaces, name)).map(([, counts]) => counts)

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
const byKey = (a: Key, b: Key): number => compareText(a.namespace, b.namespace) || compareText(a.name, b.name)

/** The sums of some counters, by name, in the order of names: the same counts are the same text. */
function sum(counters: readonly Counter[]): Record<string, number> {
  const total: Counter = new Map()
  for (const counter of counters) for (const [name, count] of counter) add(total, name, count)
  return Object.fromEntries([...total].toSorted(([a], [b]) => compareText(a, b)))
}

function devicesOf(seen: readonly NamespaceCounts[], stop: SharedLimits['stop']): FleetStatus['devices'] {
  const candidates = seen.reduce((total, counts) => total + counts.candidates, 0)
  const waiting: Counter = new Map(candidates > 0 ? [[stop?.reason ?? 'WaitingForSlot', candidates]] : [])
  return {
    total: seen.reduce((total, counts) => total + counts.devices, 0),
    reachable: sum(seen.map(({ reachable }) => reachable)),
    upToDate: sum(seen.map(({ upToDate }) => upToDate)),
    blocked: sum([...seen.map(({ blocked }) => blocked), waiting]),
  }
}

function operationsOf(
  seen: readonly NamespaceCounts[],
  fleet: Fleet,
  namespaces: Namespaces,
): FleetStatus['operations'] {
  let inFlight = 0
  for (const operation of fleet.unfinished()) {
    if (mayRead(namespaces, operation.metadata.namespace) && fleet.hasSlot(operation)) inFlight += 1
  }
  return { inFlight, byPhase: sum(seen.map(({ byPhase }) => byPhase)) }
}

const governorOf = (
  fleet: Fleet,
  { settings }: Governor,
  stop: SharedLimits['stop'],
): FleetStatus['governor'] => ({
  inFlight: fleet.allSlotsUsed(),
  maxInFlight: settings.maxInFlight,
  startsLastMinute: fleet.startsLastMinute(),
  maxStartsPerMinute: settings.maxStartsPerMinute,
  ...(stop ? { stop } : {}),
})

/** What a person is to read first is said first. */
const tellingConditions = ['Stalled', 'Paused', 'Degraded', 'Converged', 'Ready']

function summaryOf(policy: UpgradePolicy, fleet: Fleet): PolicySummary {
  const { metadata, spec, status } = policy
  const { namespace, name } = metadata
  const telling = tellingConditions
    .map((type) => getCondition(status.conditions, type))
    .find((condition) => condition !== undefined)
  const counts = fleet.counts(keyString(keyOf(policy)))
  return {
    namespace,
    name,
    target: spec.target.buildRef.name,
    state: spec.state,
    ...(status.phase === undefined ? {} : { phase: status.phase }),
    counts: Object.fromEntries(countNames.map((count) => [count, counts.get(count) ?? 0])),
    converged: getCondition(status.conditions, 'Converged')?.status ?? 'Unknown',
    ...(telling ? { message: telling.message } : {}),
  }
}

function modelsOf(seen: readonly NamespaceCounts[]): ModelSummary[] {
  const merged = new Map<string, ModelCounts[]>()
  for (const { models } of seen)
    for (const [key, row] of models) merged.set(key, [...(merged.get(key) ?? []), row])
  return [...merged]
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([, rows]) => ({
      category: rows[0]!.category,
      model: rows[0]!.model,
      total: rows.reduce((total, row) => total + row.total, 0),
      upToDate: rows.reduce((total, row) => total + row.upToDate, 0),
      running: sum(rows.map(({ running }) => running)),
    }))
}
