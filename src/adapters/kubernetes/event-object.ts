import type { Kind } from '../../api/resources.ts'
import { cutToBytes } from '../../core/cut.ts'
import type { EventReason } from '../../core/event-reasons.ts'
import { eventName, hex8 } from '../../core/names.ts'
import { toMs, toTime } from '../../core/time.ts'
import type { EventSubject, RecordedEvent } from '../../ports/event-log.ts'

const apiVersion = 'events.k8s.io/v1'
/** Who reports, whichever of its instances it is: the FROM column of `kubectl describe`. */
const reportingController = 'reflash.dev/controller'
/** Limits of the API server, which counts bytes. */
const maxNoteBytes = 1024
const maxWordBytes = 128

/** Where events of a namespace are made. */
export const eventCollection = (namespace: string): string =>
  `/apis/${apiVersion}/namespaces/${namespace}/events`

/**
 * Name of the object that shows an event: the same for one event, and another for each other, of any process. kubectl
 * describes events in the order of their names, so it begins with the digits of the record, which ascend with time.
 */
export function eventObjectName({ name, uid, regarding }: RecordedEvent): string {
  const digits = name.slice(name.lastIndexOf('.') + 1)
  return eventName(regarding.name, `${digits}${hex8(uid)}`)
}

/** An event as the API server takes it. `instance` is the name of the pod. */
export const eventObject = (event: RecordedEvent, instance: string): object => ({
  apiVersion,
  kind: 'Event',
  metadata: { namespace: event.namespace, name: eventObjectName(event) },
  eventTime: toMicroTime(event.firstTimestamp),
  ...(event.count > 1 ? eventSeries(event) : {}),
  reportingController,
  // Names of pods differ in their ends.
  reportingInstance: instance.slice(-maxWordBytes),
  action: actionOf(event),
  reason: cutToBytes(event.reason, maxWordBytes),
  regarding: regardingOf(event.regarding),
  note: cutToBytes(event.message, maxNoteBytes),
  type: event.type,
})

/** What changes when an event repeats; nothing else may. */
export const eventSeries = ({ count, lastTimestamp }: RecordedEvent): object => ({
  series: { count, lastObservedTime: toMicroTime(lastTimestamp) },
})

/** RFC 3339 with the six digits of a MicroTime. */
const toMicroTime = (time: string): string => toTime(toMs(time)).replace('Z', '000Z')

const regardingOf = ({ namespace, ...subject }: EventSubject): object => ({
  ...subject,
  ...(namespace === '' ? {} : { namespace }),
})

const actionsByReason = new Map<string, string>(
  Object.entries({
    Blocked: 'Assess',
    UpToDate: 'Assess',
    UpgradeStarted: 'Upgrade',
    FlashStarted: 'Upgrade',
    UpgradeSucceeded: 'Upgrade',
    UpgradeFailed: 'Upgrade',
    UpgradeLost: 'Upgrade',
    UpgradeCancelled: 'Upgrade',
  } satisfies Partial<Record<EventReason, string>>),
)
const actionsByKind = new Map<string, string>(
  Object.entries({
    Category: 'Assess',
    Build: 'Resolve',
    FirmwareImage: 'Inspect',
    Device: 'Probe',
    UpgradePolicy: 'RollOut',
    UpgradeOperation: 'Upgrade',
  } satisfies Record<Kind, string>),
)

/** What was being done to the object, in one word for programs. */
const actionOf = ({ reason, regarding }: RecordedEvent): string =>
  actionsByReason.get(reason) ?? actionsByKind.get(regarding.kind) ?? 'Run'
