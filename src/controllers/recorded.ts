import type { Key, Kind, Phase } from '../api/resources.ts'
import { eventReasons, isEventReason, type EventReason } from '../core/event-reasons.ts'
import { messageOf } from '../core/errors.ts'
import { parseKey } from '../core/keys.ts'
import type { FleetEvent } from '../ports/event-sink.ts'

/** What is worth an event in `kubectl describe`, and of which object; without one it is of the fleet as a whole. */
export interface Recordable {
  type: 'Normal' | 'Warning'
  reason: string
  message: string
  about?: { kind: Kind; key: Key }
}

/** The events to record for what a controller emits; progress and log lines are for the live feed alone. */
export function recordablesOf(event: FleetEvent): Recordable[] {
  switch (event.type) {
    case 'Phase':
      return [ofOperation(event), ...ofDevice(event)]
    case 'Warning':
    case 'Info': {
      const { kind, object, reason, message } = event
      const type = event.type === 'Warning' ? 'Warning' : 'Normal'
      return [{ type, reason, message, ...(kind && object ? { about: { kind, key: object } } : {}) }]
    }
    case 'Bug': {
      const about = aboutBug(event)
      const message = `${event.controller}: ${messageOf(event.error)}`
      return [{ type: 'Warning', reason: 'InternalError', message, ...(about ? { about } : {}) }]
    }
    case 'Progress':
    case 'Log':
      return []
  }
}

type PhaseEvent = FleetEvent & { type: 'Phase' }

/** Why an operation is in the queue again, where that deserves a look. */
const setbacks = new Set(['Retrying', 'Unreachable'])

function ofOperation(event: PhaseEvent): Recordable {
  const { phase, reason = '', operation } = event
  const isSetback = phase === 'Queued' && setbacks.has(reason)
  const word = isSetback && isEventReason(reason) ? reason : phase
  return {
    type: isSetback || phase === 'Failed' ? 'Warning' : 'Normal',
    reason: word,
    message: wordsOf(event) || eventReasons[word],
    about: { kind: 'UpgradeOperation', key: operation },
  }
}

/** With the failure class first, so that it can be seen and searched for. */
const wordsOf = ({ failureClass, message }: PhaseEvent): string =>
  failureClass === undefined ? message : `${failureClass}: ${message}`

const ofDeviceByPhase: Partial<Record<Phase, { type: Recordable['type']; reason: EventReason }>> = {
  Connecting: { type: 'Normal', reason: 'UpgradeStarted' },
  Flashing: { type: 'Normal', reason: 'FlashStarted' },
  Succeeded: { type: 'Normal', reason: 'UpgradeSucceeded' },
  Failed: { type: 'Warning', reason: 'UpgradeFailed' },
  Cancelled: { type: 'Normal', reason: 'UpgradeCancelled' },
}

/** What the device itself should tell of its operation: when it began, when it was flashed, and how it ended. */
function ofDevice(event: PhaseEvent): Recordable[] {
  const { phase, before, failureClass, operation, device } = event
  const told = ofDeviceByPhase[phase]
  // A new message is no new phase, and a connection after a pause no new beginning.
  if (!told || before === phase || (phase === 'Connecting' && before !== 'Queued')) return []
  const message = wordsOf(event)
  return [
    {
      ...told,
      ...(failureClass === 'Lost' ? { reason: 'UpgradeLost' } : {}),
      message: `operation ${operation.name}${message === '' ? '' : `: ${message}`}`,
      about: { kind: 'Device', key: device },
    },
  ]
}

/** The kinds whose keys the queues of this name hold. */
const kindOfController: Readonly<Record<string, Kind>> = {
  category: 'Category',
  assessment: 'Category',
  build: 'Build',
  image: 'FirmwareImage',
  device: 'Device',
  history: 'Device',
  policy: 'UpgradePolicy',
  rollout: 'UpgradePolicy',
  operation: 'UpgradeOperation',
}

function aboutBug({ controller, key }: FleetEvent & { type: 'Bug' }): Recordable['about'] {
  const kind = kindOfController[controller]
  return kind && { kind, key: parseKey(key) }
}
