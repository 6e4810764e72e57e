import { createManualClock, type ManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createRandom, type SeededRandom } from '../../src/adapters/clock/random.ts'
import { createMemoryRecords } from '../../src/adapters/memory/record-store.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { kinds } from '../../src/api/kinds.ts'
import type { AnyResource, Phase, UpgradeOperation, UpgradePolicy } from '../../src/api/resources.ts'
import { createControllers } from '../../src/controllers/controllers.ts'
import { Fleet, declareThrough } from '../../src/controllers/fleet.ts'
import { openGovernor } from '../../src/controllers/governor.ts'
import { createUploadGates } from '../../src/controllers/upload-gates.ts'
import { holdsSlot, isFlashing, phaseOf } from '../../src/core/operation.ts'
import { sameValue } from '../../src/core/same-value.ts'
import { canMove } from '../../src/core/transitions.ts'
import type { Connector, Session } from '../../src/ports/connector.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { createSimulatedConnector } from '../../src/simulator/connector.ts'
import { createFleet } from '../../src/simulator/fleet.ts'
import { eventsOf, hashHistories } from '../../src/simulator/history.ts'
import { createMemoryImages } from '../../src/simulator/images.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import type { Router } from '../../src/simulator/router.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'
import { countWrites } from '../support/counted-writes.ts'
import { createClusterHome, type ClusterHome, type Rest } from './cluster-home.ts'
import { distant } from './distant.ts'
import { createLife, mortal, type Life } from './mortal.ts'
import type { NetworkFault } from './unreliable-network.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const probeIntervalMs = 15 * minuteMs
const target = knownReleases['24.10.8']
const governorSettings = { maxInFlight: 50, maxStartsPerMinute: 1000, maxLostPerDay: 100 }

/** Where the objects lie: beside the controllers, or some way from several; in a cluster, or in one without an election. */
type Home = 'Beside' | 'Cluster' | 'Unelected'

/** An intent as the store accepted it: from here on a flash may be started. */
interface Intent {
  operation: string
  bootId: string
  maxUptime: number
  at: number
}

export interface Report {
  seed: number
  violations: string[]
  faults: Map<string, number>
  crashes: number
  flashes: number
  outcomes: Map<string, number>
  /** What was asked to be written, by all controllers, whether it was accepted or not. */
  writes: number
  virtualDays: number
  hash: string
  /** Of a cluster alone. */
  network?: {
    faults: ReadonlyMap<NetworkFault, number>
    mostUnanswered: ClusterHome['mostUnanswered']
    /** How often one of the controllers began to lead. */
    terms: number
  }
}

/**
 * Runs one world from a seed, and says what was wrong with what its routers did. Several controllers all believe that
 * they lead, unless they elect one of them.
 */
export async function runWorld(seed: number, controllers = 1, home: Home = 'Beside'): Promise<Report> {
  const random = createRandom(seed)
  const clock = createManualClock(Date.parse('2026-03-01T00:00:00Z'))
  // A third of the worlds is quiet, so that exact counts can be asked of them.
  const faultShare = random.chance(1 / 3) ? 0 : random() * random()
  const maxConcurrent = random.integer(1, 5)
  const startsPerMinute = random.integer(1, 10)
  const fleet = createFleet({
    count: random.integer(1, 10),
    seed,
    clock,
    faults: { share: faultShare === 0 ? 0 : Math.min(1, faultShare * 2) },
    policy: { limits: { maxConcurrent, startsPerMinute } },
  })
  const late = random.fork('late start')
  if (faultShare > 0 && late.chance(1 / 2)) {
    // Around the end of its time a start is most dangerous: the next one may be on its way already.
    late
      .pick(fleet.routers)
      .inject({ kind: 'LateDelivery', command: 'guard', ms: late.integer(60_000, 4 * minuteMs) })
  }
  const world = createWorld({ seed, clock, random, fleet, maxConcurrent, startsPerMinute, controllers, home })
  await world.declare()
  const quiet = faultShare === 0
  const crashes = quiet ? 0 : random.integer(0, 4)
  const others: Life[] = []
  while (others.length + 1 < controllers) others.push(await world.start(others.length + 1))
  let life = await world.start(0)
  for (let crash = 0; crash < crashes; crash += 1) {
    await clock.advance(random.integer(0, random.pick([20_000, 4 * minuteMs, hourMs])))
    await world.disturb()
    life.die()
    await clock.advance(random.integer(0, random.pick([1000, minuteMs, 20 * minuteMs])))
    life = await world.start(0)
  }
  await clock.advance(2 * hourMs)
  await world.calm(quiet)
  world.rest()
  // Long enough for every backoff, quarantine and recheck to come round; the many requests of a cluster make that dear.
  if (home !== 'Beside') await world.advanceUntilSettled(quiet, 30 * hourMs)
  else await clock.advance(30 * hourMs)
  await world.judgeEnd(quiet)
  for (const each of [life, ...others]) each.die()
  const report = await world.report(crashes)
  world.forget()
  return report
}

interface WorldOptions {
  seed: number
  clock: ManualClock
  random: SeededRandom
  fleet: ReturnType<typeof createFleet>
  maxConcurrent: number
  startsPerMinute: number
  controllers: number
  home: Home
}

function createWorld(options: WorldOptions) {
  const { seed, clock, random, fleet, maxConcurrent, startsPerMinute, controllers, home } = options
  const violations: string[] = []
  const intents: Intent[] = []
  const bugs: FleetEvent[] = []
  const isElected = home === 'Cluster' || controllers === 1
  let halted: string | undefined
  const records = createMemoryRecords()
  const images = createMemoryImages(fleet.files)
  const store = watched(createMemoryStore({ clock }), {
    clock,
    intents,
    violations,
    // Each controller counts what it knows of, and no election keeps the others from counting at the same time.
    maxConcurrent: isElected ? maxConcurrent : Infinity,
    routers: fleet.routers,
  })
  const writes = countWrites()
  // Half of the worlds, and all with rivals, are those of a cluster.
  const settings = { probeIntervalMs, writesDurableOnly: controllers > 1 || seed % 2 === 0 }
  const forgotten = new AbortController()
  let lives = 0
  const restOf = (life: Life, name: string): Rest => ({
    connector: mortalConnector(createSimulatedConnector(clock, fleet.network), life),
    upgraders: new Map([['openwrt', openwrtUpgrader]]),
    images: mortal(images, life),
    events: { emit: (event: FleetEvent) => void (event.type === 'Bug' && bugs.push(event)) },
    random: random.fork(name),
    uploads: createUploadGates(mortal(clock, life)),
  })
  const cluster =
    home !== 'Beside'
      ? createClusterHome({
          elects: home === 'Cluster',
          store: writes.of(store),
          clock,
          random: random.fork('cluster'),
          controllers,
          secret: fleet.secret,
          halted: () => halted,
          restOf,
          governorSettings,
          probeIntervalMs,
          violations,
        })
      : undefined

  async function start(place: number): Promise<Life> {
    if (cluster) return cluster.start(place)
    const life = createLife()
    const mirror = new Fleet(mortal(clock, life))
    const ownClock = mortal(clock, life)
    lives += 1
    const own = writes.of(
      controllers === 1 ? store : distant(store, { clock, random: random.fork(`way ${lives}`) }),
    )
    const ports = {
      ...restOf(life, `life-${clock.monotonic()}${controllers === 1 ? '' : `-${lives}`}`),
      store: declareThrough(mortal(own, life), mirror),
      fleet: mirror,
      records: mortal(records, life),
      secrets: { read: async () => fleet.secret },
      clock: ownClock,
      governor: await openGovernor({
        settings: governorSettings,
        records,
        brake: { halted: async () => halted },
        clock,
      }),
      settings,
    }
    const running = createControllers(ports, { devices: 8, operations: 50, images: 1 })
    void running.run(forgotten.signal)
    let isReady = false
    void running.ready.then(() => (isReady = true))
    // Only at a distance does it take time to read the fleet.
    if (controllers > 1) await clock.runUntil(() => isReady, minuteMs)
    else await running.ready
    return life
  }

  const policy = async (): Promise<UpgradePolicy> => (await store.list('UpgradePolicy')).items[0]!
  const operations = async (): Promise<UpgradeOperation[]> => (await store.list('UpgradeOperation')).items

  async function edit(spec: Partial<UpgradePolicy['spec']>): Promise<void> {
    const current = await policy()
    await store.apply({ ...current, spec: { ...current.spec, ...spec } })
  }

  /** What is not as it should be once nothing has gone wrong for a while. */
  async function whatIsLeft(quiet: boolean): Promise<string[]> {
    const left: string[] = []
    const all = await operations()
    for (const operation of all) {
      if (holdsSlot(operation))
        left.push(
          `progress: ${operation.metadata.name} is still ${phaseOf(operation)}: ${operation.status.message}`,
        )
    }
    for (const device of (await store.list('Device')).items) {
      const router = fleet.routers.find(({ name }) => name === device.metadata.name)!
      if (device.status.operationRef) left.push(`claim: ${router.name} is still claimed`)
      const onTarget = router.state.release.revision === target.revision
      if (router.state.power === 'Up' && !onTarget && !device.status.blocked) {
        left.push(`explain: ${router.name} is off its target and nobody says why`)
      }
      if (router.answer() === 'Accepts' && router.state.stoppedServices.length > 0 && isTalkedTo(device)) {
        left.push(`services: ${router.name} is left without ${router.state.stoppedServices.join(', ')}`)
      }
    }
    if (quiet) judgeQuiet(fleet.routers, all, left)
    return left
  }

  async function dump(): Promise<void> {
    for (const { metadata, status } of [
      ...(await store.list('Device')).items,
      ...(await operations()),
      await policy(),
    ]) {
      process.stderr.write(`${metadata.name} ${JSON.stringify(status, null, 1)}\n`)
    }
    for (const router of fleet.routers)
      process.stderr.write(
        `${router.name} ${router.history.map((event) => JSON.stringify(event)).join('\n  ')}\n`,
      )
  }

  return {
    start,
    async declare() {
      for (const { manifest } of fleet.declared) await store.apply(manifest)
    },
    /** From here on each probe finds what the last one found: fewer of them show as much. */
    rest: () => void (settings.probeIntervalMs = hourMs),
    /** Lets go of what the dead left waiting, which would be kept in memory. */
    forget: () => forgotten.abort(),
    /** An operator does something, or nothing. */
    async disturb() {
      const what = random.pick(['nothing', 'pause', 'run', 'halt', 'go', 'retry'] as const)
      if (what === 'pause') await edit({ state: 'Pause' })
      if (what === 'run') await edit({ state: 'Run' })
      if (what === 'halt') halted = 'HALT'
      if (what === 'go') halted = undefined
      if (what === 'retry') await edit({ retryToken: String(clock.now()) })
    },
    /** From here on nothing but what has been set in motion goes wrong. */
    async calm(quiet: boolean) {
      cluster?.calm()
      if (quiet) return
      halted = undefined
      await edit({ state: 'Run' })
    },
    async advanceUntilSettled(quiet: boolean, limitMs: number) {
      const endsAt = clock.monotonic() + limitMs
      await clock.advance(2 * hourMs)
      while (clock.monotonic() < endsAt && (await whatIsLeft(quiet)).length > 0) await clock.advance(hourMs)
    },
    async judgeEnd(quiet: boolean) {
      if (cluster) await judgeMirrors(cluster, store, { clock, violations })
      for (const bug of bugs)
        violations.push(
          `bug: ${JSON.stringify(bug, (_, value: unknown) => (value instanceof Error ? value.stack : value))}`,
        )
      judgeRouters(fleet.routers, intents, violations)
      if (isElected) judgeRate(cluster?.starts ?? intents.map(({ at }) => at), startsPerMinute, violations)
      violations.push(...(await whatIsLeft(quiet)))
      if (violations.length > 0 && process.env['REFLASH_DEBUG']) await dump()
    },
    async report(crashes: number): Promise<Report> {
      const faults = new Map<string, number>()
      let flashes = 0
      for (const { history } of fleet.routers) {
        for (const { kind } of eventsOf(history, 'Fault')) faults.set(kind, (faults.get(kind) ?? 0) + 1)
        flashes += eventsOf(history, 'FlashStarted').length
      }
      const outcomes = new Map<string, number>()
      for (const { status } of await operations()) {
        const name = status.failureClass ?? status.reason ?? status.phase ?? 'Queued'
        outcomes.set(name, (outcomes.get(name) ?? 0) + 1)
      }
      return {
        seed,
        violations,
        faults,
        crashes,
        flashes,
        outcomes,
        writes: writes.total(),
        virtualDays: (fleet.routers.length * clock.monotonic()) / (24 * hourMs),
        hash: hashHistories(fleet.routers.map(({ history }) => history)),
        ...(cluster
          ? {
              network: {
                faults: cluster.faults,
                mostUnanswered: cluster.mostUnanswered,
                terms: cluster.terms(),
              },
            }
          : {}),
      }
    },
  }
}

/** Every controller that lives knows what the store holds, and nothing else. */
async function judgeMirrors(
  cluster: ClusterHome,
  store: DeclaredStore,
  { clock, violations }: { clock: ManualClock; violations: string[] },
): Promise<void> {
  const stale = async (): Promise<string[]> => {
    const found: string[] = []
    for (const { kind } of kinds) {
      const { items } = await store.list(kind)
      for (const fleet of cluster.fleets()) {
        if (fleet.size(kind) !== items.length) found.push(`${fleet.size(kind)} of ${items.length} ${kind}`)
        for (const object of items)
          if (!sameValue(fleet.get(kind, object.metadata), object))
            found.push(`${kind} ${object.metadata.name}`)
      }
    }
    return found
  }
  // A write may be under way at any moment; news of it take no minute.
  for (let seconds = 0; seconds < 60 && (await stale()).length > 0; seconds += 1) await clock.advance(1000)
  violations.push(
    ...(await stale()).map((what) => `mirror: a controller does not know what the store holds: ${what}`),
  )
}

const isTalkedTo = (device: AnyResource): boolean =>
  device.status.conditions?.some(({ type, status }) => type === 'Reachable' && status === 'True') === true

/** Sessions of a dead process are closed by its kernel. */
function mortalConnector(connector: Connector, life: Life): Connector {
  const guarded = mortal(connector, life)
  return {
    knock: (...args) => guarded.knock(...args),
    async connect(...args) {
      const session: Session = await connector.connect(...args)
      if (!life.alive()) {
        void session.close()
        await new Promise(() => {})
      }
      const forget = life.atDeath(() => void session.close())
      const close = (): Promise<void> => {
        forget()
        return session.close()
      }
      return mortal({ ...session, close }, life)
    },
  }
}

/** A store that notes every accepted intent, and every status that no operation should have. */
function watched(
  store: DeclaredStore,
  seen: {
    clock: ManualClock
    intents: Intent[]
    violations: string[]
    maxConcurrent: number
    routers: readonly Router[]
  },
): DeclaredStore {
  const slots = new Set<string>()
  const phases = new Map<string, { phase: Phase; failureClass: UpgradeOperation['status']['failureClass'] }>()
  return {
    ...store,
    async saveStatus(object) {
      const saved = await store.saveStatus(object)
      if (saved.kind === 'UpgradeOperation') note(saved)
      return saved
    },
  }

  function note(operation: UpgradeOperation): void {
    const { name } = operation.metadata
    const phase = phaseOf(operation)
    const { status } = operation
    const before = phases.get(name) ?? { phase: 'Queued', failureClass: undefined }
    // Phases that are never written may lie between two that are.
    if (
      ['Succeeded', 'Failed', 'Cancelled'].includes(before.phase) &&
      before.phase !== phase &&
      !canMove(before.phase, phase, before.failureClass)
    ) {
      seen.violations.push(`monotone: ${name} went from ${before.phase} to ${phase}`)
    }
    if (phase === 'Flashing' && before.phase !== 'Flashing') {
      seen.intents.push({
        operation: name,
        bootId: status.bootIdBefore!,
        maxUptime: status.maxUptime!,
        at: seen.clock.monotonic(),
      })
    }
    if (isFlashing(before.phase) && beforeTheFlash.has(phase)) judgeReturn(operation, seen)
    phases.set(name, { phase, failureClass: status.failureClass })
    if (holdsSlot(operation)) slots.add(name)
    else slots.delete(name)
    if (slots.size > seen.maxConcurrent)
      seen.violations.push(`limits: ${slots.size} in flight, ${seen.maxConcurrent} allowed`)
    if (phase === 'Succeeded' && before.phase !== 'Succeeded') judgeSuccess(operation, seen)
  }
}

const beforeTheFlash = new Set<Phase>(['Queued', 'Connecting', 'Checking', 'Uploading', 'Testing'])
/** Whoever tries again after an intent must have proof that nothing was started, and that nothing can be. */
function judgeReturn(
  operation: UpgradeOperation,
  {
    clock,
    intents,
    routers,
    violations,
  }: { clock: ManualClock; intents: Intent[]; routers: readonly Router[]; violations: string[] },
): void {
  const router = routers.find(({ name }) => name === operation.spec.deviceRef.name)!
  const intent = intents.findLast((each) => each.operation === operation.metadata.name)!
  const isIts = ({ order }: { order: { operation: string; maxUptimeSeconds: number } }): boolean =>
    order.operation === intent.operation && order.maxUptimeSeconds === intent.maxUptime
  const died = eventsOf(router.history, 'FlashDied').some(
    ({ operation: name, bootId }) => name === intent.operation && bootId === intent.bootId,
  )
  if (!died && eventsOf(router.history, 'FlashStarted').some(isIts)) {
    violations.push(`no blind retry: ${intent.operation} was queued again while its flash ran`)
  }
  const refused = eventsOf(router.history, 'Guard').some((guard) => isIts(guard) && guard.verdict !== 0)
  const bootedAt = eventsOf(router.history, 'Booted').at(-1)!.atMs
  const uptimeSeconds = (clock.monotonic() - bootedAt) / 1000
  const mayStart = router.state.bootId === intent.bootId && uptimeSeconds <= intent.maxUptime
  if (!refused && mayStart)
    violations.push(`no blind retry: ${intent.operation} was queued again while it could still start`)
}

function judgeSuccess(
  operation: UpgradeOperation,
  { routers, violations }: { routers: readonly Router[]; violations: string[] },
): void {
  const router = routers.find(({ name }) => name === operation.spec.deviceRef.name)!
  const { name } = operation.metadata
  if (router.state.release.revision !== target.revision) {
    violations.push(`truthful: ${name} Succeeded while its router runs ${router.state.release.revision}`)
  }
  if (operation.status.reason === 'AlreadyOnTarget') return
  const { bootIdBefore, bootIdAfter } = operation.status
  if (bootIdAfter === undefined || bootIdAfter === bootIdBefore)
    violations.push(`truthful: ${name} Succeeded without a new boot`)
}

const stemOf = (operation: string): string => operation.slice(0, operation.lastIndexOf('-'))

/** Predicates over what the routers really did. */
function judgeRouters(routers: readonly Router[], intents: readonly Intent[], violations: string[]): void {
  for (const { name, history } of routers) {
    const starts = eventsOf(history, 'FlashStarted')
    const deaths = eventsOf(history, 'FlashDied')
    const died = (start: (typeof starts)[number]): boolean =>
      deaths.some(
        (death) =>
          death.bootId === start.bootId &&
          death.operation === start.order.operation &&
          death.atMs >= start.atMs,
      )
    const byStem = new Map<string, number>()
    for (const start of starts) {
      const { order } = start
      if (!start.imageBoards.includes(start.board))
        violations.push(`right image: ${name} got an image for ${start.imageBoards.join(', ')}`)
      if (start.bootId !== order.bootId || start.uptimeSeconds > order.maxUptimeSeconds)
        violations.push(`guard: ${name} started with a dead token`)
      const intent = intents.find(
        ({ operation, bootId, maxUptime, at }) =>
          operation === order.operation &&
          bootId === start.bootId &&
          maxUptime === order.maxUptimeSeconds &&
          at <= start.atMs,
      )
      if (!intent)
        violations.push(`intent first: ${name} was flashed by ${order.operation} without an intent`)
      if (!died(start)) byStem.set(stemOf(order.operation), (byStem.get(stemOf(order.operation)) ?? 0) + 1)
      const sameBoot = starts.filter((other) => other.bootId === start.bootId && other.atMs < start.atMs)
      if (sameBoot.some((other) => !died(other)))
        violations.push(`one in a boot: ${name} was started twice in boot ${start.bootId}`)
    }
    for (const [stem, count] of byStem)
      if (count > 1) violations.push(`once: ${name} was flashed ${count} times for ${stem}`)
  }
}

function judgeRate(starts: readonly number[], perMinute: number, violations: string[]): void {
  const times = starts.toSorted((a, b) => a - b)
  for (const [index, time] of times.entries()) {
    const later = times[index + perMinute]
    if (later !== undefined && later - time < minuteMs)
      violations.push(`rate: more than ${perMinute} starts in a minute`)
  }
}

/** Where nothing goes wrong, everything goes right, exactly once. */
function judgeQuiet(
  routers: readonly Router[],
  operations: readonly UpgradeOperation[],
  violations: string[],
): void {
  for (const router of routers) {
    const flashes = eventsOf(router.history, 'FlashWritten').length
    if (router.state.release.revision !== target.revision)
      violations.push(`quiet: ${router.name} is not on target`)
    if (flashes !== 1) violations.push(`quiet: ${router.name} was flashed ${flashes} times`)
  }
  const succeeded = operations.filter(({ status }) => status.phase === 'Succeeded').length
  if (succeeded !== routers.length)
    violations.push(`quiet: ${succeeded} of ${routers.length} operations succeeded`)
}
