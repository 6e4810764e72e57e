import type { EventLog, RecordedEvent } from '../ports/event-log.ts'
import type { ApiObject, Collection, ResourceInfo } from './collection.ts'

const text = { type: 'string' } as const
const time = { type: 'string', format: 'date-time' } as const

const info: ResourceInfo = {
  group: '',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  singular: 'event',
  shortNames: ['ev'],
  categories: [],
  namespaced: true,
  // The table of events has a layout of its own.
  columns: [],
  description: 'What happened to an object, kept for some time.',
  schema: {
    type: 'object',
    description: 'What happened to an object, kept for some time.',
    properties: {
      apiVersion: text,
      kind: text,
      metadata: { type: 'object' },
      involvedObject: {
        type: 'object',
        description: 'The object that this event is about.',
        properties: {
          apiVersion: text,
          kind: text,
          namespace: text,
          name: text,
          uid: text,
          resourceVersion: text,
        },
      },
      type: { ...text, enum: ['Normal', 'Warning'], description: 'Whether a person may have to look.' },
      reason: { ...text, description: 'Why, in one word for programs.' },
      message: { ...text, description: 'What happened, for people.' },
      count: { type: 'integer', description: 'How often it happened.' },
      firstTimestamp: { ...time, description: 'When it happened for the first time.' },
      lastTimestamp: { ...time, description: 'When it happened last.' },
      source: { type: 'object', properties: { component: text } },
      reportingComponent: { ...text, description: 'The program that says so.' },
    },
  },
}

/** The event log as `v1` Events. Its versions are those of the log, and have nothing to do with those of the store. */
export function createEventCollection(log: EventLog): Collection {
  const shown = new WeakMap<RecordedEvent, ApiObject>()
  const show = (event: RecordedEvent): ApiObject => {
    const known = shown.get(event)
    if (known) return known
    const object = toObject(event)
    shown.set(event, object)
    return object
  }
  let listed: readonly ApiObject[] = []
  let listedVersion: number | undefined

  return {
    info,
    version: () => log.version(),
    list(namespace) {
      if (namespace !== undefined) return log.list(namespace).map(show)
      if (listedVersion !== log.version()) {
        listed = log.list().map(show)
        listedVersion = log.version()
      }
      return listed
    },
    get(key) {
      const event = log.get(key)
      return event && show(event)
    },
    since(version, limit) {
      const changes = log.since(version, limit)
      if (changes === 'Expired') return changes
      // Nothing that can be selected by changes in an event, so what it was before need not be known.
      return changes.map(({ type, event, version: at }) => ({ type, object: show(event), version: at }))
    },
    onChange: (listener) => log.onChange(listener),
  }
}

const toObject = (event: RecordedEvent): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Event',
  metadata: {
    name: event.name,
    namespace: event.namespace,
    uid: event.uid,
    resourceVersion: String(event.version),
    creationTimestamp: event.firstTimestamp,
  },
  involvedObject: event.regarding,
  reason: event.reason,
  message: event.message,
  type: event.type,
  count: event.count,
  firstTimestamp: event.firstTimestamp,
  lastTimestamp: event.lastTimestamp,
  eventTime: null,
  source: { component: 'reflash' },
  reportingComponent: 'reflash',
  reportingInstance: '',
})
