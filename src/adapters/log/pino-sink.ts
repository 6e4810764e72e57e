import type { Key, Kind } from '../../api/resources.ts'
import { hasCode } from '../../core/errors.ts'
import { parseKey } from '../../core/keys.ts'
import type { EventSink, FleetEvent } from '../../ports/event-sink.ts'
import { createLog, type Log, type LogFields, type LogOptions } from './log.ts'

const controllerOf = {
  Category: 'category',
  Build: 'build',
  FirmwareImage: 'image',
  Device: 'device',
  UpgradePolicy: 'policy',
  UpgradeOperation: 'operation',
} as const satisfies Record<Kind, string>

/** One JSON line for each event: steps at info (failed ones at error), progress and the device's words at debug. */
export function createLogSink(options: LogOptions): EventSink {
  const log = createLog(options)
  return { emit: (event) => write(event, log) }
}

function write(event: FleetEvent, log: Log): void {
  switch (event.type) {
    case 'Phase': {
      const level = event.phase === 'Failed' ? 'error' : 'info'
      // A phase that has nothing to add still makes a line that can be read.
      log[level](event.message === '' ? event.phase : event.message, {
        ...ofOperation(event),
        phase: event.phase,
      })
      return
    }
    case 'Progress': {
      const { percent, sentBytes, totalBytes } = event
      log.debug('uploading', { ...ofOperation(event), percent, sentBytes, totalBytes })
      return
    }
    case 'Log':
      log.debug(event.line, ofOperation(event))
      return
    case 'Warning':
      log.warn(event.message, { ...ofObject(event), reason: event.reason })
      return
    case 'Info':
      log.info(event.message, { ...ofObject(event), reason: event.reason })
      return
    case 'Bug': {
      const { controller, key, error } = event
      log.error('this is a bug in Reflash', { controller, ...ofKey(key), reason: 'InternalError', error })
    }
  }
}

const ofOperation = ({ operation, device }: { operation: Key; device?: Key }): LogFields => ({
  controller: controllerOf.UpgradeOperation,
  ...operation,
  operation: operation.name,
  ...(device ? { device: device.name } : {}),
})

const ofObject = ({ kind, object }: { kind?: Kind; object?: Key }): LogFields => ({
  ...(kind ? { controller: controllerOf[kind] } : {}),
  ...object,
})

/** Keys of queues are namespace/name; any other is logged as it is. */
function ofKey(key: string): LogFields {
  try {
    return parseKey(key)
  } catch (error) {
    if (hasCode(error, 'Invalid')) return { name: key }
    throw error
  }
}
