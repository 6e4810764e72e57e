/** The composition root: the only file that knows adapters and surfaces at once. */
import { randomBytes, randomUUID } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemRandom } from './adapters/clock/random.ts'
import { systemClock } from './adapters/clock/system-clock.ts'
import { byPlace, formatDiagnostic, type Diagnostic } from './adapters/files/diagnostic.ts'
import { openDirectory, type DirectorySource, type Revision } from './adapters/files/directory-source.ts'
import { checkConflicts } from './adapters/files/check-conflicts.ts'
import { checkImageFiles, checkReferences } from './adapters/files/check-references.ts'
import { haltFile } from './adapters/files/halt-file.ts'
import { readMountedSecrets } from './adapters/files/mounted-secret.ts'
import { createSecrets } from './adapters/files/secrets.ts'
import { inspectImage } from './adapters/images/inspect-image.ts'
import { imageUrl } from './adapters/images/http-client.ts'
import { createImageStore } from './adapters/images/image-store.ts'
import { createMemoryRecords } from './adapters/memory/record-store.ts'
import { createMemoryStore } from './adapters/memory/resource-store.ts'
import { countConnects } from './adapters/metrics/counted-connector.ts'
import { createLogSink } from './adapters/log/pino-sink.ts'
import { stateBytes } from './adapters/sqlite/state-size.ts'
import { openState, readState } from './adapters/sqlite/state.ts'
import { privateKeyProblem } from './adapters/ssh/authentication.ts'
import { createSshConnector } from './adapters/ssh/connector.ts'
import { info, loadUpgraders, openMetrics, startApi, warn } from './compose.ts'
import { defaults, readConfig, type RunConfig } from './config.ts'
import { createControllers, loadFleet, type Controllers } from './controllers/controllers.ts'
import { openEventRecorder } from './controllers/event-recorder.ts'
import { fanOut } from './controllers/fan-out.ts'
import { declareThrough, Fleet } from './controllers/fleet.ts'
import { openGovernor } from './controllers/governor.ts'
import { createLiveFeed } from './controllers/live-feed.ts'
import { lookOnce } from './controllers/look-once.ts'
import { measureRun } from './controllers/measure-run.ts'
import { planFleet, type Plan } from './controllers/plan.ts'
import type { Ports } from './controllers/ports.ts'
import { standing, type Standing } from './controllers/settled.ts'
import { createDirectorySync } from './controllers/sync-directory.ts'
import { createUploadGates } from './controllers/upload-gates.ts'
import { hashOfToken, readTokenEntries, tokenText, type TokenEntry } from './core/api-token.ts'
import { parseDuration } from './core/duration.ts'
import { hasCode, messageOf, ReflashError } from './core/errors.ts'
import { sameValue } from './core/same-value.ts'
import type { Brake } from './ports/brake.ts'
import type { Clock } from './ports/clock.ts'
import type { Connector } from './ports/connector.ts'
import type { EventSink } from './ports/event-sink.ts'
import type { RecordStore } from './ports/record-store.ts'
import type { DeclaredStore } from './ports/resource-store.ts'
import type { HttpServer } from './server/http-server.ts'
import { readMetadata } from './upgraders/openwrt/image-metadata.ts'

/** How often a write of the directory is tried again while the disk is full. */
const roomPollMs = 5000
/** How often `--once` looks whether it may end. */
const settledPollMs = 100

/** The CustomResourceDefinitions as one YAML stream. */
export async function customResourceDefinitions(): Promise<string> {
  const folder = fileURLToPath(new URL('../crds/', import.meta.url))
  const names = (await readdir(folder)).filter((name) => /^reflash\.dev_.*\.yaml$/.test(name)).toSorted()
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
  return texts.map((text) => `---\n${text}`).join('')
}

/** Where a running Reflash meets what outlives it: its state and the devices. */
export interface Outside {
  store: DeclaredStore
  records: RecordStore
  connector: Connector
}

/** What `assemble` is given ready-made, because it depends on where the state is or on who looks on. */
interface Parts extends Outside {
  brake: Brake
  fleet: Fleet
  events: EventSink
  probesSince?: number
}

/** What acts in the home of one directory. */
type StandalonePorts = Ports & { store: DeclaredStore }

async function assemble(config: RunConfig, source: DirectorySource, parts: Parts): Promise<StandalonePorts> {
  const clock = systemClock
  const { fleet } = parts
  return {
    store: declareThrough(parts.store, fleet),
    fleet,
    records: parts.records,
    secrets: createSecrets({
      declared: () => source.latest()?.secrets ?? new Map(),
      ...(config.secretsFolder === undefined ? {} : { folder: config.secretsFolder }),
    }),
    connector: parts.connector,
    upgraders: await loadUpgraders(config.upgraderModules),
    images: createImageStore({
      cacheFolder: config.cacheFolder,
      treeRoot: config.directory,
      maxBytes: config.maxImageBytes,
      readMetadata,
      clock,
      ...(config.imagesFolder === undefined ? {} : { imagesFolder: config.imagesFolder }),
    }),
    events: parts.events,
    clock,
    random: systemRandom,
    governor: await openGovernor({
      settings: config.governor,
      records: parts.records,
      brake: parts.brake,
      clock,
      ...(config.acknowledgedDate === undefined ? {} : { acknowledgedDate: config.acknowledgedDate }),
    }),
    uploads: createUploadGates(clock),
    settings: {
      probeIntervalMs: config.probeIntervalMs,
      folderOf: (folder) => join(config.directory, folder),
      ...(parts.probesSince === undefined ? {} : { probesSince: parts.probesSince }),
    },
  }
}

export interface RunOptions {
  /** Stop when every policy has converged, or when nothing moves any more. */
  once: boolean
  events: EventSink
  signal: AbortSignal
  /** Of the program, as the API shows it. */
  version: string
  /** Hears of the fleet as soon as it has been read. */
  onFleet?: (fleet: Fleet) => void
  /** Hears where the API is served. */
  onListening?: (url: string) => void
  /** Wraps what every write and every command passes through: the place from which tests look on and intervene. */
  decorate?: (outside: Outside) => Outside
}

export type Ending = Exclude<Standing, { kind: 'Moving' }> | { kind: 'Stopped' }

/** Keeps the fleet at what a directory declares, until the signal is aborted. @throws ReflashError for a bad start. */
export async function runDirectory(config: RunConfig, options: RunOptions): Promise<Ending> {
  const { once, version } = options
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, options.signal])
  const startedAt = systemClock.now()
  const state = await openState(config.stateFile, { directory: config.directory, clock: systemClock })
  const fleet = new Fleet(systemClock)
  const recorder = openEventRecorder({
    table: state.events,
    clock: systemClock,
    metadataOf: (kind, key) => fleet.get(kind, key)?.metadata,
    newUid: randomUUID,
    onFailure: (error) => {
      if (!hasCode(error, 'StateFull')) warn(options.events, 'EventsNotKept', messageOf(error))
    },
  })
  const live = createLiveFeed({ clock: systemClock, firstId: recorder.version() })
  const events = fanOut(options.events, recorder, live)
  state.onFull((error) => warn(events, 'StateFull', messageOf(error)))
  let api: HttpServer | undefined
  const reached = { directory: false, fleet: false }
  let sourceReadAt: number | undefined
  try {
    const source = openDirectory(config.directory, {
      clock: systemClock,
      observer: {
        restless: (why) => warn(events, 'DirectoryRestless', why),
        settled: () => (sourceReadAt = systemClock.now()),
      },
    })
    const metrics = await openMetrics(config.api, version)
    const outside = {
      store: state.resources,
      records: state.records,
      connector: countConnects(createSshConnector({ clock: systemClock }), metrics),
    }
    const ports = await assemble(config, source, {
      ...(options.decorate?.(outside) ?? outside),
      brake: haltFile(config.haltFile),
      fleet,
      events,
      ...(once ? { probesSince: startedAt } : {}),
    })
    measureRun(metrics, {
      ...ports,
      perDevice: config.metricsPerDevice,
      source: {
        errors: () => refusals(source.latest()?.problems ?? []).length,
        readAt: () => sourceReadAt,
      },
      stateBytes: () => stateBytes(config.stateFile),
    })
    if (config.api) {
      api = await startApi(config.api, {
        ports,
        store: state.resources,
        eventLog: recorder,
        live,
        metrics,
        version,
        fleetLoaded: () => reached.fleet,
        checks: {
          live: [
            { name: 'store', holds: async () => (await state.resources.get('Build', nobody)) === undefined },
          ],
          // Requests should go elsewhere from the moment that it is to stop.
          ready: [{ name: 'directory', holds: () => reached.directory && !signal.aborted }],
        },
      })
      options.onListening?.(api.url)
    }
    const controllers = createControllers(ports, config.concurrency, metrics)
    info(events, 'Started', `state ${config.stateFile}; create ${config.haltFile} to stop all starts`)
    const following = followDirectory(
      source,
      { ports, onSecrets: (changed) => controllers.onSecrets(changed) },
      signal,
    )
    // Nothing acts on what an earlier run was told: the policy may be paused by now, and no Secret is known before this.
    await following.first
    if (signal.aborted) return stopped
    reached.directory = true
    const working = controllers.run(stop.signal)
    await controllers.ready
    reached.fleet = true
    options.onFleet?.(ports.fleet)
    const ended = once ? whenSettled(following.first, ports, { controllers, signal }) : whenAborted(signal)
    const ending = await Promise.race([
      ended,
      working.then(() => stopped),
      following.done.then(() => stopped),
      // What a file that breaks has not kept is looked at by the next process, over a whole one.
      state.broken,
    ])
    stop.abort()
    await Promise.all([working, following.done])
    return withProblems(ending, source.latest()?.problems ?? [])
  } finally {
    stop.abort()
    await api?.close()
    recorder.close()
    await state.close()
  }
}

const stopped: Ending = { kind: 'Stopped' }

/** No object may have this name: asking for it costs the store one look. */
const nobody = { namespace: 'default', name: '' }

const refusals = (problems: readonly Diagnostic[]): Diagnostic[] =>
  problems.filter(({ severity }) => severity === 'error')

/** A directory of which a part was refused has not been converged to, whatever the rest says. */
function withProblems(ending: Ending, problems: readonly Diagnostic[]): Ending {
  const refused = refusals(problems).map(formatDiagnostic)
  if (ending.kind === 'Stopped' || refused.length === 0) return ending
  return { kind: 'Stuck', reasons: [...refused, ...(ending.kind === 'Stuck' ? ending.reasons : [])] }
}

async function whenAborted(signal: AbortSignal): Promise<Ending> {
  if (!signal.aborted)
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  return stopped
}

/** Brings each revision of the directory into the store; `first` resolves when the first one is there. */
function followDirectory(
  source: DirectorySource,
  { ports, onSecrets }: { ports: StandalonePorts; onSecrets: Controllers['onSecrets'] },
  signal: AbortSignal,
): { first: Promise<void>; done: Promise<void> } {
  const first = Promise.withResolvers<void>()
  const sync = createDirectorySync(ports.store, ports.events)
  // An object that has gone may be declared again: one thing at a time, so that a revision is never half taken.
  let last = Promise.resolve()
  const inTurn = (action: () => Promise<void>): Promise<void> =>
    (last = last.then(() => untilRoom(action, ports.clock, signal)))
  const failed = Promise.withResolvers<never>()
  const stopListening = ports.fleet.onChange(({ type, object }) => {
    const { namespace, name } = object.metadata
    if (type === 'Deleted')
      inTurn(() => sync.restore(`${object.kind}/${namespace}/${name}`)).catch(failed.reject)
  })
  const follow = async (): Promise<void> => {
    let told = new Set<string>()
    let secrets: Revision['secrets'] | undefined
    for await (const revision of source.revisions(signal)) {
      told = tellProblems(revision.problems, told, ports.events)
      await inTurn(() => sync.take(revision))
      if (secrets) onSecrets(changedSecrets(secrets, revision.secrets))
      secrets = revision.secrets
      info(
        ports.events,
        'RevisionTaken',
        `${revision.objects.size} objects${revision.label === undefined ? '' : ` at ${revision.label}`}`,
      )
      first.resolve()
    }
  }
  const done = Promise.race([follow(), failed.promise]).finally(() => {
    stopListening()
    first.resolve()
  })
  return { first: first.promise, done }
}

/** Writes what the directory says, trying again for as long as there is no room for it. */
async function untilRoom(write: () => Promise<void>, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      return await write()
    } catch (error) {
      if (!hasCode(error, 'StateFull')) throw error
      await clock.sleep(roomPollMs, signal).catch(() => {})
    }
  }
}

/** Secrets that came, changed or went, as `namespace/name`. */
function changedSecrets(before: Revision['secrets'], after: Revision['secrets']): Set<string> {
  const ids = [...before.keys(), ...after.keys()]
  const isChanged = (id: string): boolean =>
    !sameValue(before.get(id)?.secret.entries, after.get(id)?.secret.entries)
  return new Set(ids.filter(isChanged).map((id) => id.slice('Secret/'.length)))
}

/** Each problem is told once, as long as it stays. */
function tellProblems(
  problems: readonly Diagnostic[],
  told: ReadonlySet<string>,
  events: EventSink,
): Set<string> {
  const now = new Set(problems.map(formatDiagnostic))
  for (const text of now) if (!told.has(text)) warn(events, 'Invalid', text)
  return now
}

async function whenSettled(
  firstRevision: Promise<void>,
  ports: Ports,
  { controllers, signal }: { controllers: Controllers; signal: AbortSignal },
): Promise<Ending> {
  await firstRevision
  let before: Standing['kind'] = 'Moving'
  while (!signal.aborted) {
    // Seen twice in a row: between the two every change has been looked at.
    const now = controllers.busy() > 0 ? ({ kind: 'Moving' } as const) : await standing(ports)
    if (now.kind !== 'Moving' && now.kind === before) return now
    before = now.kind
    await ports.clock.sleep(settledPollMs)
  }
  return stopped
}

/** What `run` would do now, device by device. Writes nothing, and starts nothing. */
export async function planDirectory(
  config: RunConfig,
  { probe }: { probe: boolean },
  signal: AbortSignal,
): Promise<{ plan: Plan; problems: string[] }> {
  const source = openDirectory(config.directory, { clock: systemClock })
  const revision = await source.readOnce(signal)
  const known = await readState(config.stateFile)
  requireOwnState(config, known.directory)
  // A cache has one owner, and that may be a run which is alive.
  const cacheFolder = await mkdtemp(join(tmpdir(), 'reflash-plan-'))
  try {
    const ports = await assemble({ ...config, cacheFolder }, source, {
      store: createMemoryStore({ clock: systemClock, initial: known.resources }),
      records: createMemoryRecords(known.records),
      connector: createSshConnector({ clock: systemClock }),
      brake: haltFile(config.haltFile),
      fleet: new Fleet(systemClock),
      events: { emit: () => {} },
    })
    await createDirectorySync(ports.store, ports.events).take(revision)
    await loadFleet(ports.store, ports.fleet)
    await lookOnce(ports, { probe, concurrency: config.concurrency.devices, signal })
    const plan = await planFleet(ports.fleet, ports.governor)
    return { plan, problems: revision.problems.map(formatDiagnostic) }
  } finally {
    await rm(cacheFolder, { recursive: true, force: true })
  }
}

/** @throws ReflashError `StateUnusable` when a state file belongs to another directory. */
function requireOwnState({ directory, stateFile }: RunConfig, owner: string | undefined): void {
  if (owner === undefined || owner === directory || realpathSync(owner) === realpathSync(directory)) return
  throw new ReflashError(
    'StateUnusable',
    `${stateFile} belongs to ${owner}, not to ${directory}; give another --state`,
  )
}

export interface ValidationProblem extends Diagnostic {
  /** `file:line:column: path: message` */
  text: string
}

/** Checks a directory without running anything. */
export async function validateDirectory(
  directory: string,
  folders: { images?: string; secrets?: string },
  signal: AbortSignal,
): Promise<{ objects: number; skipped: number; problems: ValidationProblem[] }> {
  if (!(await isDirectory(directory))) throw new ReflashError('NotFound', `${directory} is no directory`)
  const revision: Revision = await openDirectory(directory, { clock: systemClock }).readOnce(signal)
  const found = [
    ...revision.problems,
    ...checkReferences(revision, await readMountedSecrets(folders.secrets), privateKeyProblem),
    ...checkConflicts(revision),
    ...(await checkImageFiles(revision, {
      imagesFolder: folders.images,
      inspect: (path) => inspectImage(path, readMetadata),
      checkUrl: (url) => void imageUrl(url, true),
    })),
  ].toSorted(byPlace)
  return {
    objects: revision.objects.size,
    skipped: revision.skipped,
    problems: found.map((problem) => ({ ...problem, text: formatDiagnostic(problem) })),
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}

export interface TokenRequest {
  /** Absent: any. */
  id?: string
  scopes: readonly string[]
  /** Absent: all. */
  namespaces?: readonly string[]
  /** A duration such as `30d`. */
  expires: string
  /** The token file to add it to; absent: the entry is only returned. */
  file?: string
}

/** Makes a token of the API: its text, which is kept nowhere, and the entry that lets it in. @throws ReflashError `Invalid`. */
export async function issueToken(request: TokenRequest): Promise<{ token: string; entry: string }> {
  const { addToTokenFile, entryText } = await import('./adapters/files/token-file.ts')
  const now = systemClock.now()
  const { id = randomBytes(4).toString('hex'), scopes, namespaces } = request
  const token = tokenText(id, randomBytes(32))
  const expiresAt = new Date(now + parseDuration(request.expires)).toISOString()
  const written = { id, sha256: hashOfToken(token), scopes, ...(namespaces ? { namespaces } : {}), expiresAt }
  const [entry] = readTokenEntries([written], now) as [TokenEntry]
  if (request.file !== undefined) await addToTokenFile(request.file, entry, now)
  return { token, entry: entryText(entry) }
}

export interface DemoOptions {
  devices: number
  maxConcurrent: number
  rebootMs: number
  seed: string
  /** Where the API is served meanwhile, or `none`. */
  listen: string
  /** Leave the folder with manifests and state behind. */
  keep: boolean
  /** Of the program, as the API shows it. */
  version: string
  events: EventSink
  signal: AbortSignal
  env: Readonly<Record<string, string | undefined>>
  onFleet?: (fleet: Fleet) => void
}

export interface DemoSummary {
  devices: number
  upgraded: number
  failed: number
  seconds: number
  folder?: string
}

/** Simulated routers behind real SSH servers on loopback, and the real controller over the manifests that declare them. */
export async function runDemo(options: DemoOptions): Promise<DemoSummary> {
  const { createFleet, freeAddresses, knownReleases, serveFleet } = await import('./simulator/simulator.ts')
  const folder = await mkdtemp(join(tmpdir(), 'reflash-demo-'))
  const started = systemClock.monotonic()
  const addresses = await freeAddresses(options.devices)
  const simulated = createFleet({
    count: options.devices,
    seed: options.seed,
    clock: systemClock,
    addressOf: (index) => addresses[index]!,
    timings: {
      connectMs: 0,
      commandMs: 0,
      testMs: 50,
      shutdownMs: 200,
      flashMs: 500,
      rebootMs: options.rebootMs,
    },
    policy: { limits: { maxConcurrent: options.maxConcurrent, startsPerMinute: 10_000 } },
  })
  const served = await serveFleet(simulated)
  try {
    const directory = join(folder, 'manifests')
    await simulated.writeManifests(directory)
    const state = join(folder, 'state.db')
    const unlimited = { maxInFlight: String(options.maxConcurrent), maxStartsPerMinute: '10000' }
    const { listen } = options
    const flags = { ...defaults, ...unlimited, state, listen, cache: join(folder, 'cache') }
    const config = readConfig(directory, flags, options.env)
    await runDirectory(config, { ...options, once: true })
    const target = knownReleases['24.10.8'].revision
    const upgraded = simulated.routers.filter((router) => router.state.release.revision === target).length
    return {
      devices: options.devices,
      upgraded,
      failed: options.devices - upgraded,
      seconds: Math.round((systemClock.monotonic() - started) / 100) / 10,
      ...(options.keep ? { folder } : {}),
    }
  } finally {
    await served.close()
    if (!options.keep) await rm(folder, { recursive: true, force: true })
  }
}

export { createLogSink }
