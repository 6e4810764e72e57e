import type { ModelSummary, PolicyStatus } from '../api/status-api.ts'
import type { Device } from '../api/resources.ts'
import type { Assessment } from '../core/assess.ts'
import { getCondition } from '../core/conditions.ts'
import { keyOf, keyString } from '../core/keys.ts'
import { phaseOf } from '../core/operation.ts'
import type { Clock } from '../ports/clock.ts'
import { addFailing, type FailingDevices, failingDevices } from './failing-devices.ts'
import type { Fleet } from './fleet.ts'

/** What a fleet says of itself is bounded: a device invents as many names as it likes. */
const maxModels = 500
const maxReleases = 100
const rest = 'other'
const unknown = 'unknown'

export type Counter = Map<string, number>

/** One device that is off its target, as it was judged. */
export interface OffTarget {
  namespace: string
  name: string
  assessment: Assessment
}

export interface PolicyModel extends Omit<PolicyStatus['models'][number], 'model' | 'failing' | 'more'> {
  trouble: FailingDevices
}

export type ModelCounts = Omit<ModelSummary, 'running'> & { running: Counter }

/** What one pass over the fleet finds in one namespace. */
export interface NamespaceCounts {
  devices: number
  reachable: Counter
  upToDate: Counter
  /** Reasons of devices off their target, those that only wait for a slot apart. */
  blocked: Counter
  /** Devices that nothing but a slot, or a stop of all starts, keeps from being upgraded. */
  candidates: number
  byPhase: Counter
  /** By category and model. */
  models: Map<string, ModelCounts>
  /** By name of the policy, then by model. */
  policies: Map<string, Map<string, PolicyModel>>
  /** In no order. */
  offTarget: OffTarget[]
}

export interface FleetCounts {
  /** The version of the store that this was counted at. */
  resourceVersion: string
  namespaces: ReadonlyMap<string, NamespaceCounts>
}

/** A fleet that changes all the time is counted at most this often. */
const recountMs = 1000

/**
 * Counts the fleet when asked, but not again before something has changed and a second has passed: one pass over
 * devices and operations a second at most, however many ask, and nothing while nobody does.
 */
export function createFleetCounter(fleet: Fleet, clock: Pick<Clock, 'monotonic'>): () => FleetCounts {
  let counts: FleetCounts | undefined
  let countedTurns = 0
  let countedAt = 0
  return () => {
    const isOld = fleet.turns() !== countedTurns && clock.monotonic() - countedAt >= recountMs
    if (!counts || isOld) {
      countedTurns = fleet.turns()
      countedAt = clock.monotonic()
      counts = countFleet(fleet)
    }
    return counts
  }
}

/** One pass over all devices and operations. */
export function countFleet(fleet: Fleet): FleetCounts {
  const namespaces = new Map<string, NamespaceCounts>()
  const of = (namespace: string): NamespaceCounts => {
    let counts = namespaces.get(namespace)
    if (!counts) namespaces.set(namespace, (counts = noCounts()))
    return counts
  }
  for (const device of fleet.all('Device')) {
    const assessment = fleet.assessment(keyString(keyOf(device)))
    if (assessment) countDevice(device, assessment, of(device.metadata.namespace))
  }
  for (const operation of fleet.all('UpgradeOperation'))
    add(of(operation.metadata.namespace).byPhase, phaseOf(operation))
  return { resourceVersion: fleet.latestVersion(), namespaces }
}

const noCounts = (): NamespaceCounts => ({
  devices: 0,
  reachable: new Map(),
  upToDate: new Map(),
  blocked: new Map(),
  candidates: 0,
  byPhase: new Map(),
  models: new Map(),
  policies: new Map(),
  offTarget: [],
})

export const add = (counter: Counter, name: string, count = 1): unknown =>
  counter.set(name, (counter.get(name) ?? 0) + count)

/** The name itself while there is room for it. */
const bounded = (known: ReadonlyMap<string, unknown>, name: string, max: number): string =>
  known.has(name) || known.size < max ? name : rest

export const modelOf = ({ status }: Device): string => status.model ?? status.board ?? unknown

function countDevice(device: Device, assessment: Assessment, counts: NamespaceCounts): void {
  const { conditions } = device.status
  counts.devices += 1
  add(counts.reachable, getCondition(conditions, 'Reachable')?.status ?? 'Unknown')
  add(counts.upToDate, getCondition(conditions, 'UpToDate')?.status ?? 'Unknown')
  if (assessment.blocked) add(counts.blocked, assessment.blocked.reason)
  else if (assessment.candidate) counts.candidates += 1
  if (assessment.blocked || assessment.candidate)
    counts.offTarget.push({
      namespace: device.metadata.namespace,
      name: device.metadata.name,
      assessment,
    })
  countModel(device, assessment, counts)
  countPolicies(device, assessment, counts)
}

function countModel(device: Device, assessment: Assessment, { models }: NamespaceCounts): void {
  const { status, spec } = device
  const category = spec.categoryRef.name
  const ownKey = `${category}\0${modelOf(device)}`
  const isKnown = models.has(ownKey) || models.size < maxModels
  const model = isKnown ? modelOf(device) : rest
  const key = `${category}\0${model}`
  let summary = models.get(key)
  if (!summary) models.set(key, (summary = { category, model, total: 0, upToDate: 0, running: new Map() }))
  summary.total += 1
  if (assessment.onTarget) summary.upToDate += 1
  const build = assessment.onTarget ? assessment.desired : assessment.running[0]
  const running = build ?? status.osIdentifier ?? unknown
  add(summary.running, bounded(summary.running, running, maxReleases))
}

function countPolicies(device: Device, assessment: Assessment, { policies }: NamespaceCounts): void {
  for (const [policy, names] of assessment.counts) {
    let models = policies.get(policy)
    if (!models) policies.set(policy, (models = new Map()))
    const model = bounded(models, modelOf(device), maxModels)
    let counts = models.get(model)
    if (!counts)
      models.set(
        model,
        (counts = { matched: 0, onTarget: 0, inFlight: 0, failed: 0, trouble: failingDevices() }),
      )
    counts.matched += 1
    if (names.includes('onTarget')) counts.onTarget += 1
    if (names.includes('inFlight')) counts.inFlight += 1
    if (names.includes('failed')) counts.failed += 1
    const isFirst = assessment.owner === undefined || assessment.owner === policy
    if (isFirst && assessment.blocked) addFailing(counts.trouble, device.metadata.name, assessment.blocked)
  }
}
