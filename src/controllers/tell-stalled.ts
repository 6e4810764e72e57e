import type { AnyResource } from '../api/resources.ts'
import { getCondition } from '../core/conditions.ts'
import { keyOf } from '../core/keys.ts'
import type { EventSink } from '../ports/event-sink.ts'
import type { Change } from './fleet.ts'

/** Warns whenever an object comes to need a person, or needs one for another reason. Operations say so in their phases. */
export function tellStalled({ type, object, before }: Change, events: EventSink): void {
  if (type === 'Deleted' || object.kind === 'UpgradeOperation') return
  const now = stalledBecause(object)
  if (!now) return
  const earlier = before && stalledBecause(before)
  if (earlier?.reason === now.reason && earlier.message === now.message) return
  events.emit({ type: 'Warning', kind: object.kind, object: keyOf(object), ...now })
}

function stalledBecause({ status }: AnyResource): { reason: string; message: string } | undefined {
  const condition = getCondition(status.conditions, 'Stalled')
  return condition?.status === 'True' ? { reason: condition.reason, message: condition.message } : undefined
}
