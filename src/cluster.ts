/** The composition root of the home in a cluster: the same reconcilers over the API server. */
import { randomUUID } from 'node:crypto'
import { systemRandom } from './adapters/clock/random.ts'
import { systemClock } from './adapters/clock/system-clock.ts'
import { createImageStore } from './adapters/images/image-store.ts'
import { createAccessReview } from './adapters/kubernetes/access-review.ts'
import { openClusterAccess } from './adapters/kubernetes/cluster-access.ts'
import { createEventPublisher, type EventPublisher } from './adapters/kubernetes/event-publisher.ts'
import { createLeaseElector } from './adapters/kubernetes/lease-elector.ts'
import { createNamespaceBrake } from './adapters/kubernetes/namespace-brake.ts'
import { createConfigMapRecords } from './adapters/kubernetes/record-store.ts'
import { createKubernetesStore } from './adapters/kubernetes/resource-store.ts'
import { createClusterSecrets } from './adapters/kubernetes/secrets.ts'
import { createTransport, type Transport } from './adapters/kubernetes/transport.ts'
import { countConnects } from './adapters/metrics/counted-connector.ts'
import { createSoleElector } from './adapters/sole-elector.ts'
import { createSshConnector } from './adapters/ssh/connector.ts'
import { info, loadUpgraders, openMetrics, startApi } from './compose.ts'
import type { ControllerConfig } from './config.ts'
import { createControllers } from './controllers/controllers.ts'
import { openEventRecorder } from './controllers/event-recorder.ts'
import { fanOut } from './controllers/fan-out.ts'
import { Fleet, writeThrough } from './controllers/fleet.ts'
import { openGovernor } from './controllers/governor.ts'
import { whenAnswered, workAsLeader, writesOfLeader } from './controllers/lead.ts'
import { createLiveFeed } from './controllers/live-feed.ts'
import { measureFleet } from './controllers/measure-run.ts'
import type { Ports } from './controllers/ports.ts'
import { createUploadGates } from './controllers/upload-gates.ts'
import type { ElectionTimes } from './core/election.ts'
import type { Connector } from './ports/connector.ts'
import type { Elector } from './ports/elector.ts'
import type { EventSink } from './ports/event-sink.ts'
import type { RecordStore } from './ports/record-store.ts'
import type { ResourceStore } from './ports/resource-store.ts'
import type { HttpServer } from './server/http-server.ts'
import { readMetadata } from './upgraders/openwrt/image-metadata.ts'

/** Where neither flag, pod nor context says so. */
const defaultNamespace = 'reflash-system'
const leaseName = 'reflash'

/** Where a controller in a cluster meets what outlives it. */
export interface ClusterOutside {
  store: ResourceStore
  records: RecordStore
  connector: Connector
}

export interface ControllerOptions {
  events: EventSink
  signal: AbortSignal
  /** Of the program, as the API shows it. */
  version?: string
  /** Hears where the API is served. */
  onListening?: (url: string) => void
  /** Those of client-go where left out. */
  electionTimes?: Partial<ElectionTimes>
  /** Wraps what every write and every command passes through: the place from which tests look on and intervene. */
  decorate?: (outside: ClusterOutside) => ClusterOutside
}

/**
 * Keeps the fleet at what custom resources declare, until the signal is aborted (`Stopped`) or its lease is lost (`Lost`).
 * Before it leads, it reads along and serves reads. @throws ReflashError for a bad start.
 */
export async function runController(
  config: ControllerConfig,
  options: ControllerOptions,
): Promise<'Stopped' | 'Lost'> {
  const { version = '' } = options
  const { kubeconfig, context } = config
  const access = openClusterAccess(
    { ...(kubeconfig === undefined ? {} : { kubeconfig }), ...(context === undefined ? {} : { context }) },
    () => systemClock.monotonic(),
  )
  const namespace = config.controllerNamespace ?? access.namespace ?? defaultNamespace
  const openTransport = (): Transport =>
    createTransport({ access, clock: systemClock, userAgent: `reflash/${version || 'unknown'}` })
  const transport = openTransport()
  // A renewal waits behind nothing.
  const electing = openTransport()
  const stop = new AbortController()
  const fleet = new Fleet(systemClock)
  const recorder = openEventRecorder({
    clock: systemClock,
    metadataOf: (kind, key) => fleet.get(kind, key)?.metadata,
    newUid: randomUUID,
    onFailure: () => undefined,
    // With the namespace also where a Namespace has none: an event lies where its object does.
    whole: { apiVersion: 'v1', kind: 'Namespace', namespace, name: namespace },
  })
  const live = createLiveFeed({ clock: systemClock, firstId: recorder.version() })
  const events = fanOut(options.events, recorder, live)
  const elector = openElector(config, { transport: electing, namespace, times: options.electionTimes })
  let api: HttpServer | undefined
  let publisher: EventPublisher | undefined
  try {
    const metrics = await openMetrics(config.api, version)
    publisher = createEventPublisher({
      log: recorder,
      transport,
      clock: systemClock,
      random: systemRandom,
      metrics,
      instance: config.identity,
      warnings: options.events,
    })
    const outside = {
      store: createKubernetesStore({
        transport,
        clock: systemClock,
        random: systemRandom,
        namespaces: config.namespaces,
      }),
      records: createConfigMapRecords(transport, namespace),
      connector: countConnects(createSshConnector({ clock: systemClock }), metrics),
    }
    const { store, records, connector } = options.decorate?.(outside) ?? outside
    const governor = await whenAnswered(
      () =>
        openGovernor({
          settings: config.governor,
          records,
          brake: createNamespaceBrake(transport, namespace, systemClock),
          clock: systemClock,
          ...(config.acknowledgedDate === undefined ? {} : { acknowledgedDate: config.acknowledgedDate }),
        }),
      { events, clock: systemClock },
      options.signal,
    )
    if (!governor) return 'Stopped'
    const secrets = createClusterSecrets(transport, systemClock)
    const ports: Ports = {
      store: writeThrough(writesOfLeader(store, elector), fleet),
      fleet,
      records,
      secrets,
      connector,
      upgraders: await loadUpgraders(config.upgraderModules),
      images: createImageStore({
        cacheFolder: config.cacheFolder,
        maxBytes: config.maxImageBytes,
        readMetadata,
        clock: systemClock,
        ...(config.imagesFolder === undefined ? {} : { imagesFolder: config.imagesFolder }),
      }),
      events,
      clock: systemClock,
      random: systemRandom,
      governor,
      uploads: createUploadGates(systemClock),
      settings: { probeIntervalMs: config.probeIntervalMs, writesDurableOnly: true },
    }
    measureFleet(metrics, {
      ...ports,
      perDevice: config.metricsPerDevice,
      speaks: () => elector.standing().isLeader,
    })
    metrics.onScrape(() => [
      {
        name: 'leader_election_master_status',
        labels: { name: leaseName },
        value: elector.standing().isLeader ? 1 : 0,
      },
    ])
    const controllers = createControllers(ports, config.concurrency, metrics)
    let isLoaded = false
    if (config.api) {
      api = await startApi(config.api, {
        ports,
        store: outside.store,
        reviews: createAccessReview(transport),
        eventLog: recorder,
        live,
        metrics,
        version,
        fleetLoaded: () => isLoaded,
        checks: {
          // Neither leadership nor routers nor the API server: a restart would mend none of them.
          live: [],
          ready: [{ name: 'fleet', holds: () => isLoaded && !options.signal.aborted }],
        },
      })
      options.onListening?.(api.url)
    }
    info(events, 'Started', `in namespace ${namespace}; ${haltWords(namespace)}`)
    tellLeadership(elector, events)
    const following = controllers.follow(stop.signal)
    await Promise.race([controllers.ready, following, whenAborted(options.signal)])
    isLoaded = true
    const lead = elector.lead(async (leading) => {
      const looking = secrets.follow(leading, (changed) => controllers.onSecrets(changed))
      await Promise.all([workAsLeader(controllers, ports, leading), looking])
    }, options.signal)
    const ending = await Promise.race([lead, following.then(() => 'Stopped' as const)])
    stop.abort()
    await following
    return ending
  } finally {
    stop.abort()
    await api?.close()
    recorder.close()
    await publisher?.close()
    await Promise.all([transport.close(), electing.close()])
  }
}

function openElector(
  { leaderElect, identity }: ControllerConfig,
  lease: { transport: Transport; namespace: string; times: Partial<ElectionTimes> | undefined },
): Elector {
  // A pod keeps its name over a restart of its container.
  const unique = `${identity}_${randomUUID()}`
  if (!leaderElect) return createSoleElector({ identity: unique })
  const { transport, namespace, times } = lease
  return createLeaseElector({
    transport,
    clock: systemClock,
    random: systemRandom,
    namespace,
    ...(times ? { times } : {}),
    name: leaseName,
    identity: unique,
  })
}

function tellLeadership(elector: Elector, events: EventSink): void {
  let was = false
  let told: string | undefined
  elector.onChange(({ isLeader, holder, failure }) => {
    if (failure && failure.message !== told)
      events.emit({ type: 'Warning', reason: 'ElectionFailed', message: failure.message })
    told = failure?.message
    if (isLeader === was) return
    was = isLeader
    if (isLeader) info(events, 'LeaderElected', `this process leads, as ${holder ?? 'nobody'}`)
    else info(events, 'LeadershipEnded', 'this process does not lead any more')
  })
}

const haltWords = (namespace: string): string =>
  `annotate it to stop all starts: kubectl annotate namespace ${namespace} reflash.dev/halt=WHY`

const whenAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
