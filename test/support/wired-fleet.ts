import { createRandom } from '../../src/adapters/clock/random.ts'
import { createMemoryRecords } from '../../src/adapters/memory/record-store.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import type { UpgradeOperation } from '../../src/api/resources.ts'
import { createControllers } from '../../src/controllers/controllers.ts'
import { declareThrough, Fleet } from '../../src/controllers/fleet.ts'
import { openGovernor } from '../../src/controllers/governor.ts'
import { createUploadGates } from '../../src/controllers/upload-gates.ts'
import type { Connector } from '../../src/ports/connector.ts'
import { createFleet } from '../../src/simulator/fleet.ts'
import { createMemoryImages } from '../../src/simulator/images.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import type { Router } from '../../src/simulator/router.ts'
import { serveRouter } from '../../src/simulator/ssh-server.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'
import { createFastClock } from './fast-clock.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'

/** How much faster everything lives. */
export const pace = 10

/** A router behind a wire that can do harm. */
export interface WiredRouter {
  router: Router
  proxy: FaultProxy
}

export interface WiredFleet {
  wired: readonly WiredRouter[]
  operations: () => Promise<UpgradeOperation[]>
  /** What controllers threw that they should not. */
  bugs: readonly string[]
  stop(): Promise<void>
}

/**
 * The production controllers, their upgrader and real SSH, over simulated routers with a proxy before each; only the
 * store is in memory. `decorate` sees every connection; the port of its target tells the router.
 */
export async function startWiredFleet(
  count: number,
  decorate: (connector: Connector, wired: readonly WiredRouter[]) => Connector,
): Promise<WiredFleet> {
  const clock = createFastClock(pace)
  const fleet = createFleet({
    count,
    seed: 'wire',
    clock,
    releases: [knownReleases['23.05.5']],
    imageBytes: 8 * 1024,
    timings: { connectMs: 0, commandMs: 10, testMs: 100, shutdownMs: 500, flashMs: 1000, rebootMs: 3000 },
    policy: {
      limits: { maxConcurrent: count, startsPerMinute: 10_000 },
      retry: { preFlash: 10, backoff: '1s', maxBackoff: '2s', quarantine: '24h' },
      offline: { action: 'Wait', recheck: '1s', maxRecheck: '2s', expireAfter: '0s' },
      timeouts: {
        connect: '30s',
        command: '30s',
        upload: '20s',
        flash: '20s',
        reconnectRetry: '1s',
        reboot: '10m',
        total: '60m',
      },
    },
  })
  const served = await Promise.all(fleet.routers.map((router) => serveRouter(router)))
  const proxies = await Promise.all(
    served.map(({ port }, index) => startFaultProxy({ port, seed: index + 1 })),
  )
  const wired = fleet.routers.map((router, index) => ({ router, proxy: proxies[index]! }))

  const store = createMemoryStore({ clock })
  for (const { manifest } of fleet.declared) {
    const own = wired.find(({ router }) => router.name === manifest.metadata.name)
    if (own) Object.assign(manifest.spec, { addresses: ['127.0.0.1'], port: own.proxy.port })
    await store.apply(manifest)
  }
  const mirror = new Fleet(clock)
  const records = createMemoryRecords()
  const bugs: string[] = []
  const stopping = new AbortController()
  const running = createControllers(
    {
      store: declareThrough(store, mirror),
      fleet: mirror,
      records,
      secrets: { read: async () => fleet.secret },
      connector: decorate(createSshConnector({ clock }), wired),
      upgraders: new Map([['openwrt', openwrtUpgrader]]),
      images: createMemoryImages(fleet.files),
      events: { emit: (event) => void (event.type === 'Bug' && bugs.push(String(event.error))) },
      clock,
      random: createRandom('wire'),
      governor: await openGovernor({
        settings: { maxInFlight: count, maxStartsPerMinute: 10_000, maxLostPerDay: count },
        records,
        brake: { halted: async () => undefined },
        clock,
      }),
      uploads: createUploadGates(clock),
      settings: { probeIntervalMs: 24 * 3600_000 },
    },
    { devices: 8, operations: 16, images: 1 },
  ).run(stopping.signal)
  return {
    wired,
    bugs,
    operations: async () => (await store.list('UpgradeOperation')).items,
    async stop() {
      stopping.abort()
      await running
      await Promise.all(proxies.map((proxy) => proxy.close()))
      await Promise.all(served.map((server) => server.close()))
    },
  }
}
