import { createMemoryEvents } from '../../src/adapters/memory/event-table.ts'
import { createMetrics } from '../../src/adapters/metrics/registry.ts'
import type { AnyResource } from '../../src/api/resources.ts'
import { openEventRecorder } from '../../src/controllers/event-recorder.ts'
import { fanOut } from '../../src/controllers/fan-out.ts'
import { createLiveFeed } from '../../src/controllers/live-feed.ts'
import { keyOf } from '../../src/core/keys.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import type { ApiSource } from '../../src/server/serve-api.ts'
import { category } from './category.ts'
import { createToyFleet } from './toy-fleet.ts'

export interface ToySource extends ApiSource {
  /** An operation that has finished. */
  operation: AnyResource
  /** What the API told the operator. */
  told: FleetEvent[]
}

/** An object in a namespace of its own. */
export const apart = { namespace: 'apart', name: 'unseen-7f3' }

/** What an API shows of four routers of which one is off, an hour after the others were upgraded. Nothing moves any more. */
export async function createToySource(clockOf: (toy: Clock) => Clock = (toy) => toy): Promise<ToySource> {
  const world = await createToyFleet({ routers: 4 })
  await world.declare()
  await world.store.apply(category(apart.name, apart))
  world.router(2).up = false
  const running = await world.start()
  await world.clock.advance(3600_000)
  await running.stop()
  const { fleet, ports } = running
  const clock = clockOf(world.clock)
  let uids = 0
  const recorder = openEventRecorder({
    table: createMemoryEvents(),
    clock,
    metadataOf: (kind, key) => fleet.get(kind, key)?.metadata,
    newUid: () => `event-${(uids += 1)}`,
    onFailure: (error) => {
      throw error
    },
  })
  const live = createLiveFeed({ clock })
  const told: FleetEvent[] = []
  const past = fanOut(recorder, live)
  for (const event of world.events) past.emit(event)
  const [operation] = fleet.all('UpgradeOperation')
  live.emit({ type: 'Log', operation: keyOf(operation!), line: 'sysupgrade says <hello>\n' })
  return {
    ports: { ...ports, clock, events: { emit: (event) => void told.push(event) } },
    store: world.store,
    eventLog: recorder,
    live,
    metrics: createMetrics({ clock, version: '0.0.0', process: false }),
    version: '0.0.0',
    fleetLoaded: () => true,
    checks: { live: [], ready: [] },
    operation: operation!,
    told,
  }
}
