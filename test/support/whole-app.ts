import type { Hono } from 'hono'
import { createStatusReader } from '../../src/controllers/fleet-status.ts'
import type { ServerEnv } from '../../src/server/access.ts'
import type { AccessGate } from '../../src/server/access-gate.ts'
import { createEventCollection } from '../../src/server/event-collection.ts'
import { createNamespaceCollection } from '../../src/server/namespace-collection.ts'
import { createRedaction } from '../../src/server/redaction.ts'
import { createResourceCollections } from '../../src/server/resource-collections.ts'
import { createServerApp } from '../../src/server/server.ts'
import type { ToySource } from './api-source.ts'

export interface WholeApp {
  app: Hono<ServerEnv>
  /** What routes threw. */
  bugs: unknown[]
  stop: () => void
}

/** Every route over a toy fleet, without the port before it. */
export async function createWholeApp(
  source: ToySource,
  { gate, maxWatches }: { gate?: AccessGate | undefined; maxWatches: number },
): Promise<WholeApp> {
  const { clock, fleet, governor, images } = source.ports
  const stop = new AbortController()
  const resources = createResourceCollections(source.store, { clock, signal: stop.signal })
  await resources.ready
  const bugs: unknown[] = []
  const app = createServerApp({
    ...source,
    clock,
    collections: [
      ...resources.all,
      createNamespaceCollection(resources),
      createEventCollection(source.eventLog),
    ],
    collectionsLoaded: () => true,
    fleet,
    status: createStatusReader({ fleet, governor, clock, version: source.version }),
    stop: () => governor.stop(),
    images,
    redaction: createRedaction(resources.of('Device'), resources.of('UpgradeOperation')),
    health: { live: [{ name: 'ping', holds: () => true }], ready: [] },
    gate,
    limits: { maxWatches, maxWatchesPerToken: maxWatches },
    onBug: (error) => bugs.push(error),
  })
  return { app, bugs, stop: () => stop.abort() }
}
