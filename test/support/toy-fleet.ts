import { createManualClock, type ManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { createMemoryRecords } from '../../src/adapters/memory/record-store.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { defaultOf } from '../../src/api/defaults.ts'
import { kindInfo } from '../../src/api/kinds.ts'
import type { Kind, KindMap, Manifest } from '../../src/api/resources.ts'
import { createControllers } from '../../src/controllers/controllers.ts'
import { Fleet, declareThrough } from '../../src/controllers/fleet.ts'
import { openGovernor } from '../../src/controllers/governor.ts'
import type { Ports, Settings } from '../../src/controllers/ports.ts'
import { countUpgrades } from '../../src/controllers/upgrade-metrics.ts'
import { createUploadGates } from '../../src/controllers/upload-gates.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { Probe } from '../../src/core/probe.ts'
import type { Connector, Session } from '../../src/ports/connector.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import type { ImageStore } from '../../src/ports/image-store.ts'
import type { Metrics } from '../../src/ports/metrics.ts'
import type { RecordStore } from '../../src/ports/record-store.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import type { Secrets } from '../../src/ports/secrets.ts'
import type { Upgrader } from '../../src/ports/upgrader.ts'

/** The smallest router that can be upgraded: a release, a boot, and switches for what goes wrong. */
export interface ToyRouter {
  address: string
  identity: string
  release: string
  boot: number
  up: boolean
  flashes: { operation: string; sha256: string; at: number }[]
  /** What the next flash does. */
  flash:
    | 'works'
    | 'rolls back'
    | 'never returns'
    | 'says started and is not'
    | 'link breaks, started'
    | 'link breaks, not started'
  failUploads: number
  refuseLogin: boolean
  stoppedServices: boolean
  /** So many times the link breaks when something is to be undone. */
  failAbandons: number
  /** How long it is away. */
  rebootMs: number
  bootedAt: number
  uploads: number
  /** What the guard of an earlier flash left on it. */
  marker?: Probe['lastFlash']
}

export const imageDigest = 'ab'.repeat(32)

/** A manifest with the defaults that an API server would fill in. */
export function manifest<K extends Kind>(
  kind: K,
  name: string,
  spec: object,
  labels?: Record<string, string>,
): Manifest<K> {
  const filled: Record<string, unknown> = { ...spec }
  for (const [field, schema] of Object.entries(kindInfo(kind).spec.properties ?? {})) {
    const value = defaultOf(schema)
    if (value === undefined) continue
    const given = filled[field]
    filled[field] =
      typeof given === 'object' && !Array.isArray(given)
        ? { ...(value as object), ...given }
        : (given ?? value)
  }
  return {
    apiVersion: 'reflash.dev/v1alpha1',
    kind,
    metadata: { name, namespace: 'default', ...(labels ? { labels } : {}) },
    spec: filled as KindMap[K]['spec'],
  }
}

/** The production controllers over toy routers, in virtual time. */
export async function createToyFleet(options: {
  routers: number
  policy?: object
  store?: DeclaredStore
  records?: RecordStore
  maxInFlight?: number
  /** How long an upload takes; 0 unless told. */
  uploadMs?: number
  /** How long an image is fetched and checked; 0 unless told. */
  fetchMs?: number
  /** Unless told, every image is where it is asked for. */
  images?: Partial<ImageStore>
  /** How long the old system still answers after a start, and shows its log; 0 unless told. */
  lingerMs?: number
  /** How long it takes to close a session; 0 unless told. */
  closeMs?: number
  settings?: Partial<Settings>
  /** Wraps the store as the controllers see it. */
  decorate?: (store: DeclaredStore, clock: ManualClock) => DeclaredStore
  /** Of every Secret unless told. */
  secrets?: Secrets
}) {
  const clock = createManualClock(Date.parse('2026-01-01T00:00:00Z'))
  const random = createRandom('toy')
  const store = options.store ?? createMemoryStore({ clock })
  const shown = options.decorate?.(store, clock) ?? store
  const records = options.records ?? createMemoryRecords()
  const routers = new Map<string, ToyRouter>()
  for (let index = 1; index <= options.routers; index += 1) {
    routers.set(`192.0.2.${index}`, {
      address: `192.0.2.${index}`,
      identity: `192.0.2.${index}`,
      release: 'old',
      boot: 1,
      up: true,
      flashes: [],
      flash: 'works',
      failUploads: 0,
      refuseLogin: false,
      stoppedServices: false,
      failAbandons: 0,
      rebootMs: 30_000,
      bootedAt: clock.monotonic(),
      uploads: 0,
    })
  }
  let halted: string | undefined
  const events: FleetEvent[] = []
  const fleetManifests = [
    manifest('Category', 'ap', { upgrader: 'toy' }),
    manifest('Build', 'new', { categoryRef: { name: 'ap' }, version: '2.0.0', osIdentifier: 'new' }),
    manifest('FirmwareImage', 'image', {
      buildRef: { name: 'new' },
      source: { path: 'image.bin' },
      boards: ['toy'],
    }),
    ...[...routers.values()].map((router, index) =>
      manifest('Device', `ap-${index + 1}`, {
        categoryRef: { name: 'ap' },
        addresses: [router.address],
        credentialsRef: { name: 'routers' },
      }),
    ),
    manifest('UpgradePolicy', 'all', {
      categoryRef: { name: 'ap' },
      target: { buildRef: { name: 'new' }, allowDowngrade: false, onUnknownVersion: 'Upgrade' },
      ...options.policy,
    }),
  ]

  let connects = 0
  let sessions = 0
  const start = async (
    process: { probesSince?: number; acknowledgedDate?: string; metrics?: Metrics } = {},
  ) => {
    const { metrics } = process
    const fleet = new Fleet(clock)
    if (metrics) countUpgrades(fleet, metrics)
    const stop = new AbortController()
    const ports: Ports = {
      store: declareThrough(shown, fleet),
      fleet,
      records,
      secrets: options.secrets ?? { read: async () => ({ username: 'root', password: 'toy' }) },
      connector: toyConnector(routers, {
        onConnect: () => (connects += 1),
        onOpen: () => (sessions += 1),
        onClose: () => (sessions -= 1),
        goodbye: async () => {
          if (options.closeMs) await clock.sleep(options.closeMs)
        },
      }),
      upgraders: new Map([['toy', toyUpgrader(routers, clock, options)]]),
      images: {
        fetch: async () => {
          if (options.fetchMs !== undefined) await clock.sleep(options.fetchMs)
          return { sha256: imageDigest, sizeBytes: 1000 }
        },
        prune: async () => 0,
        async *open() {
          yield new Uint8Array(1000)
        },
        ...options.images,
      },
      events: { emit: (event) => void events.push(event) },
      clock,
      random,
      governor: await openGovernor({
        settings: { maxInFlight: options.maxInFlight ?? 50, maxStartsPerMinute: 1000, maxLostPerDay: 5 },
        records,
        brake: { halted: async () => halted },
        clock,
        ...(process.acknowledgedDate === undefined ? {} : { acknowledgedDate: process.acknowledgedDate }),
      }),
      uploads: createUploadGates(clock),
      settings: {
        probeIntervalMs: 15 * 60_000,
        ...options.settings,
        ...(process.probesSince === undefined ? {} : { probesSince: process.probesSince }),
      },
    }
    const controllers = createControllers(ports, { devices: 8, operations: 50, images: 1 }, metrics)
    const running = controllers.run(stop.signal)
    let isReady = false
    void controllers.ready.then(() => (isReady = true))
    // A store that is far away is not read at once.
    if (options.decorate) await clock.runUntil(() => isReady, 60_000)
    else await controllers.ready
    return {
      fleet,
      ports,
      controllers,
      stop: async () => {
        stop.abort()
        let stopped = false
        void running.then(() => (stopped = true))
        await clock.runUntil(() => stopped, 60_000)
      },
    }
  }

  return {
    clock,
    store,
    records,
    routers,
    events,
    start,
    /** Sessions that were asked for, ever. */
    connects: () => connects,
    /** Those that are open. */
    sessions: () => sessions,
    halt: (reason: string | undefined) => {
      halted = reason
    },
    router: (index: number): ToyRouter => routers.get(`192.0.2.${index}`)!,
    declare: async () => {
      for (const item of fleetManifests) await store.apply(item)
    },
  }
}

function toyConnector(
  routers: Map<string, ToyRouter>,
  {
    onConnect,
    onOpen,
    onClose,
    goodbye,
  }: Record<'onConnect' | 'onOpen' | 'onClose', () => void> & { goodbye: () => Promise<void> },
): Connector {
  const find = (addresses: readonly string[]): ToyRouter | undefined => routers.get(addresses[0]!)
  return {
    async connect({ addresses }, _deadlineMs, signal) {
      signal?.throwIfAborted()
      onConnect()
      const router = find(addresses)
      if (!router?.up) throw new ReflashError('Unreachable', `${addresses[0]} does not answer`)
      if (router.refuseLogin) throw new ReflashError('AuthFailed', `${addresses[0]} refuses the password`)
      onOpen()
      let isOpen = true
      return {
        address: router.address,
        hostKeys: ['ssh-ed25519 AAAA'],
        close: async () => {
          await goodbye()
          if (isOpen) onClose()
          isOpen = false
        },
      } as unknown as Session
    },
    knock: async ({ addresses }) => find(addresses)?.up ?? false,
  }
}

function toyUpgrader(
  routers: Map<string, ToyRouter>,
  clock: {
    sleep(ms: number, signal?: AbortSignal): Promise<void>
    monotonic(): number
    after(ms: number, fn: () => void): () => void
  },
  { uploadMs = 0, lingerMs = 0 }: { uploadMs?: number; lingerMs?: number },
): Upgrader {
  const of = (session: Session): ToyRouter => routers.get(session.address)!
  const lingering = new Set<ToyRouter>()
  const reboot = (router: ToyRouter, release: string): void => {
    const goDown = (): void => {
      lingering.delete(router)
      router.up = false
    }
    if (lingerMs > 0) {
      lingering.add(router)
      clock.after(lingerMs, goDown)
    } else goDown()
    clock.after(lingerMs + router.rebootMs, () => {
      router.up = true
      router.boot += 1
      router.bootedAt = clock.monotonic()
      router.release = release
      router.stoppedServices = false
    })
  }
  const begin = (router: ToyRouter, operation: string, sha256: string): void => {
    router.flashes.push({ operation, sha256, at: clock.monotonic() })
    if (router.flash === 'never returns') router.up = false
    else reboot(router, router.flash === 'rolls back' ? router.release : 'new')
  }
  return {
    name: 'toy',
    probe: async (session) => {
      const router = of(session)
      return {
        osIdentifier: router.release,
        release: { revision: router.release, version: router.release === 'new' ? '2.0.0' : '1.0.0' },
        board: 'toy',
        bootId: `${router.address}-boot-${router.boot}`,
        uptimeSeconds: (clock.monotonic() - router.bootedAt) / 1000,
        identity: router.identity,
        upgrading: lingering.has(router),
        leftovers: router.stoppedServices,
        ...(router.marker ? { lastFlash: router.marker } : {}),
      }
    },
    check: async () => {},
    upload: async (_job, session, { content, onProgress }, signal) => {
      const router = of(session)
      router.uploads += 1
      router.stoppedServices = true
      if (uploadMs > 0) {
        onProgress(1)
        await clock.sleep(uploadMs, signal)
      }
      if (router.failUploads > 0) {
        router.failUploads -= 1
        throw new ReflashError('UploadFailed', 'the upload was cut off')
      }
      let bytes = 0
      for await (const chunk of content()) bytes += chunk.length
      onProgress(bytes)
    },
    test: async () => {},
    command: () => 'toy-upgrade /tmp/image',
    start: async (job, _token, session) => {
      const router = of(session)
      switch (router.flash) {
        case 'says started and is not':
          return { kind: 'Started' }
        case 'link breaks, not started':
          return { kind: 'Unknown', message: 'the link broke' }
        case 'link breaks, started':
          begin(router, job.operation, job.image.sha256)
          return { kind: 'Unknown', message: 'the link broke' }
        case 'works':
        case 'rolls back':
        case 'never returns':
          begin(router, job.operation, job.image.sha256)
          return { kind: 'Started' }
      }
    },
    log: async () => ['a line of the log'],
    abandon: async (_options, session) => {
      const router = of(session)
      if (router.failAbandons > 0) {
        router.failAbandons -= 1
        throw new ReflashError('ConnectionLost', 'the link broke')
      }
      router.stoppedServices = false
    },
    clearStart: async () => {},
  }
}
