import type { ApiAnswer, ApiRequest } from '../../src/adapters/kubernetes/transport.ts'

interface EventObject {
  metadata: { namespace: string; name: string }
  eventTime: string
  series?: { count: number; lastObservedTime: string }
  reportingController: string
  reportingInstance: string
  action: string
  reason: string
  regarding: { kind: string; namespace?: string; name: string; uid?: string; resourceVersion?: string }
  note: string
  type: string
}

/** What the API server does with Events of `events.k8s.io/v1`, in memory. */
export interface EventsApi {
  request(request: ApiRequest): Promise<ApiAnswer>
  /** Those that are there, in the order of their names. */
  list(): EventObject[]
  /** Forgets all of them, as a server does an hour later. */
  expire(): void
}

export function createEventsApi(): EventsApi {
  const objects = new Map<string, EventObject>()
  return {
    async request({ method, path, body }) {
      const [, namespace, name] =
        /^\/apis\/events\.k8s\.io\/v1\/namespaces\/([^/]+)\/events(?:\/([^/]+))?$/.exec(path)!
      // As it comes over the wire.
      const sent = JSON.parse(JSON.stringify(body)) as Partial<EventObject>
      if (method === 'POST' && name === undefined) {
        const event = sent as EventObject
        if (!isMicroTime(event.eventTime)) return refusal(400, 'BadRequest')
        const key = `${namespace}/${event.metadata.name}`
        if (objects.has(key)) return refusal(409, 'AlreadyExists')
        if (!isValid(event) || event.metadata.namespace !== namespace) return refusal(422, 'Invalid')
        objects.set(key, event)
        return { status: 201, body: event }
      }
      const before = objects.get(`${namespace}/${name}`)
      if (method !== 'PATCH' || !before) return refusal(404, 'NotFound')
      const after = { ...before, ...sent }
      const changed = Object.keys(sent).filter((field) => field !== 'series')
      if (changed.length > 0 || !isValid(after)) return refusal(422, 'Invalid')
      objects.set(`${namespace}/${name}`, after)
      return { status: 200, body: after }
    },
    list: () => [...objects.keys()].toSorted((a, b) => (a < b ? -1 : 1)).map((key) => objects.get(key)!),
    expire: () => objects.clear(),
  }
}

/** A Status, as the server says no. */
export const refusal = (code: number, reason: string, message = `it was ${reason}`): ApiAnswer => ({
  status: code,
  body: { apiVersion: 'v1', kind: 'Status', status: 'Failure', code, reason, message },
})

const isMicroTime = (text: string): boolean => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(text)
const isWithin = (text: string, maxBytes: number, minBytes = 1): boolean => {
  const length = Buffer.byteLength(text)
  return length >= minBytes && length <= maxBytes
}

const isValid = (event: EventObject): boolean =>
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(event.metadata.name) &&
  isWithin(event.metadata.name, 253) &&
  isWithin(event.action, 128) &&
  isWithin(event.reason, 128) &&
  isWithin(event.reportingInstance, 128) &&
  isWithin(event.note, 1024, 0) &&
  ['Normal', 'Warning'].includes(event.type) &&
  (!event.series || (event.series.count >= 2 && isMicroTime(event.series.lastObservedTime)))
