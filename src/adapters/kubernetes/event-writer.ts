import { hasCode, messageOf, ReflashError } from '../../core/errors.ts'
import type { RecordedEvent } from '../../ports/event-log.ts'
import { failureOf, isAbsent } from './api-failure.ts'
import { eventCollection, eventObject, eventObjectName, eventSeries } from './event-object.ts'
import type { ApiAnswer, Transport } from './transport.ts'

const limitMs = 10_000

/** Why an event could not be written, and how long the server asks to be left alone. */
export interface WriteFailure {
  error: ReflashError
  retryAfterMs: number
}

/**
 * Writes one state of an event: makes its object, or counts it up. It may be asked again for the same event. Undefined:
 * it is written. `instance` is the name of the pod.
 */
export function createEventWriter(
  transport: Pick<Transport, 'request'>,
  instance: string,
): (event: RecordedEvent, signal: AbortSignal) => Promise<WriteFailure | undefined> {
  const send = async (event: RecordedEvent, signal: AbortSignal): Promise<ApiAnswer> => {
    const path = eventCollection(event.namespace)
    const common = { query: { fieldManager: 'reflash' }, limitMs, signal }
    if (event.count > 1) {
      const answer = await transport.request({
        ...common,
        method: 'PATCH',
        path: `${path}/${eventObjectName(event)}`,
        contentType: 'application/merge-patch+json',
        body: eventSeries(event),
      })
      // The server forgets an event after an hour or so, and one that was dropped never was.
      if (!isAbsent(answer)) return answer
    }
    return transport.request({ ...common, method: 'POST', path, body: eventObject(event, instance) })
  }

  return async (event, signal) => {
    const { kind, namespace, name } = event.regarding
    try {
      const answer = await send(event, signal)
      const error = failureOf(answer, `event of ${kind} ${namespace}/${name}`)
      // It is there when the answer to an earlier try was lost.
      if (!error || hasCode(error, 'AlreadyExists')) return undefined
      return { error, retryAfterMs: answer.retryAfterMs ?? 0 }
    } catch (error) {
      const isKnown = error instanceof ReflashError
      const cause = isKnown
        ? error
        : new ReflashError('ServerUnavailable', messageOf(error), { cause: error })
      return { error: cause, retryAfterMs: 0 }
    }
  }
}
