import { Hono } from 'hono'
import { createManualClock, type ManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import type { WatchLogLimits } from '../../src/adapters/watch-log.ts'
import type { AnyResource, Key } from '../../src/api/resources.ts'
import type { EventChange, EventLog, RecordedEvent } from '../../src/ports/event-log.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { fullAccess, type Access, type ServerEnv } from '../../src/server/access.ts'
import type { Collection } from '../../src/server/collection.ts'
import { createEventCollection } from '../../src/server/event-collection.ts'
import type { HistoryLimits } from '../../src/server/kept-collection.ts'
import { createNamespaceCollection } from '../../src/server/namespace-collection.ts'
import { createResourceCollections, type ResourceCollections } from '../../src/server/resource-collections.ts'
import { resourceRoutes, type ResourceRoutesOptions } from '../../src/server/resources.ts'

export const devicesPath = '/apis/reflash.dev/v1alpha1/devices'
export const categoriesPath = '/apis/reflash.dev/v1alpha1/categories'

/** An event log to be written by hand. */
export interface ToyEvents extends EventLog {
  record(event: Omit<RecordedEvent, 'version'>): void
}

export function createToyEvents(): ToyEvents {
  const events = new Map<string, RecordedEvent>()
  const changes: EventChange[] = []
  const listeners = new Set<() => void>()
  const idOf = ({ namespace, name }: Key): string => `${namespace}/${name}`
  return {
    version: () => changes.length,
    list: (namespace) =>
      [...events]
        .filter(([, event]) => namespace === undefined || event.namespace === namespace)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([, event]) => event),
    get: (key) => events.get(idOf(key)),
    since: (version, limit) => changes.slice(version, version + limit),
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    record(event) {
      const type = events.has(idOf(event)) ? 'MODIFIED' : 'ADDED'
      const recorded = { ...event, version: changes.length + 1 }
      events.set(idOf(event), recorded)
      changes.push({ type, event: recorded, version: recorded.version })
      for (const listener of listeners) listener()
    },
  }
}

export interface ServedStore {
  clock: ManualClock
  store: DeclaredStore
  resources: ResourceCollections
  collections: readonly Collection[]
  events: ToyEvents
  /** How many watches listen. */
  listening(): number
  /** Who asks from now on. */
  access: Access
  get(path: string, init?: RequestInit): Promise<Response>
  /** Resolves when what is in the store has been seen. */
  settle(): Promise<void>
  stop(): void
}

/** The routes over a store in memory, in virtual time. */
export async function serveStore(
  options: {
    initial?: readonly AnyResource[]
    storeHistory?: WatchLogLimits
    history?: HistoryLimits
    store?: (store: DeclaredStore) => DeclaredStore
    /** Whether to wait until everything has been read; true unless told. */
    waits?: boolean
  } & Partial<ResourceRoutesOptions> = {},
): Promise<ServedStore> {
  const {
    initial = [],
    storeHistory,
    history,
    store: wrap = (store) => store,
    waits = true,
    ...more
  } = options
  const clock = createManualClock()
  const stopping = new AbortController()
  const store = wrap(
    createMemoryStore({ clock, initial, ...(storeHistory ? { history: storeHistory } : {}) }),
  )
  const resources = createResourceCollections(store, {
    clock,
    signal: stopping.signal,
    ...(history ? { history } : {}),
  })
  const events = createToyEvents()
  let listening = 0
  const counted = (collection: Collection): Collection => ({
    ...collection,
    onChange(listener) {
      const stop = collection.onChange(listener)
      listening += 1
      return () => {
        listening -= 1
        stop()
      }
    },
  })
  const collections = [
    ...resources.all,
    createNamespaceCollection(resources),
    createEventCollection(events),
  ].map(counted)
  const app = resourceRoutes({
    collections,
    clock,
    isReady: () => resources.loaded(),
    show: (object) => object,
    ...more,
  })
  const outer = new Hono<ServerEnv>()
  outer.use(async (context, next) => {
    context.set('access', served.access)
    await next()
  })
  outer.route('/', app)
  if (waits) await resources.ready
  const served: ServedStore = {
    clock,
    store,
    resources,
    collections,
    events,
    listening: () => listening,
    access: fullAccess,
    get: async (path, init) => outer.request(path, init),
    async settle() {
      const { resourceVersion } = await store.list('Category')
      while (resources.all[0]!.version() < Number(resourceVersion)) await clock.advance(0)
    },
    stop: () => stopping.abort(),
  }
  return served
}

export interface WatchedLine {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  object: {
    kind: string
    metadata: {
      name: string
      namespace?: string
      resourceVersion: string
      annotations?: Record<string, string>
    }
    code?: number
    reason?: string
    message?: string
    [field: string]: unknown
  }
}

/** Reads a watch line by line. */
export interface WatchReader {
  /** The next line; undefined when the watch has ended. */
  next(): Promise<WatchedLine | undefined>
  take(count: number): Promise<WatchedLine[]>
  /** Every line that is left. */
  rest(): Promise<WatchedLine[]>
  cancel(): Promise<void>
}

export function readWatch(response: Response): WatchReader {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  const next = async (): Promise<WatchedLine | undefined> => {
    for (;;) {
      const end = text.indexOf('\n')
      if (end >= 0) {
        const line = text.slice(0, end)
        text = text.slice(end + 1)
        return JSON.parse(line) as WatchedLine
      }
      const { done, value } = await reader.read()
      if (done) return undefined
      text += value
    }
  }
  const take = async (count: number): Promise<WatchedLine[]> => {
    const lines: WatchedLine[] = []
    while (lines.length < count) {
      const line = await next()
      if (!line) break
      lines.push(line)
    }
    return lines
  }
  return { next, take, rest: () => take(Infinity), cancel: () => reader.cancel() }
}

export const brief = ({ type, object }: WatchedLine): string => `${type} ${object.metadata.name}`
