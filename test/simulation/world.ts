import { createManualClock, microtasks, type ManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createRandom, type SeededRandom } from '../../src/adapters/clock/random.ts'
import { defaultPolicySettings } from '../../src/api/defaults.ts'
import { kinds } from '../../src/api/kinds.ts'
import type { Device, UpgradeOperation, UpgradePolicy } from '../../src/api/resources.ts'
import { createUploadGates } from '../../src/controllers/upload-gates.ts'
import { parseDuration } from '../../src/core/duration.ts'
import { sameValue } from '../../src/core/same-value.ts'
import type { Connector, Session } from '../../src/ports/connector.ts'
import type { ImageStore } from '../../src/ports/image-store.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { createSimulatedConnector } from '../../src/simulator/connector.ts'
import { drawFault, type FaultKind } from '../../src/simulator/faults.ts'
import { createFleet, type Fleet as SimulatedFleet } from '../../src/simulator/fleet.ts'
import { eventsOf, hashHistories } from '../../src/simulator/history.ts'
import { createMemoryImages } from '../../src/simulator/images.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'
import { countWrites } from '../support/counted-writes.ts'
import { scarce } from '../support/scarce.ts'
import { judgeCounters, judgeProgress } from './at-rest.ts'
import { addBadObject, type BadObject } from './bad-object.ts'
import type { Ambush } from './ambush.ts'
import { createState, type Backup, type BackupPlan } from './backup.ts'
import { createBesideHome } from './beside-home.ts'
import { createClusterHome, type ClusterHome, type Rest } from './cluster-home.ts'
import { coverageOf } from './coverage.ts'
import { judgeEndings } from './endings.ts'
import { fromServerClosedUntil, fromTroubledServer } from './image-server.ts'
import { judgePast } from './invariants.ts'
import { judgeHistory } from './history.ts'
import { mortal, type Life, type Process } from './mortal.ts'
import { createOperator, declaredIn, type Hands } from './operator.ts'
import { dayMs, hourMs, minuteMs, type Ending, type Past } from './past.ts'
import { createRecorder, latchesIn } from './recorder.ts'
import { dateOf } from './stops.ts'
import { judgePrompt, judgeQuiet } from './quiet.ts'
import { judgeServices } from './services.ts'
import { settlingMs } from './settling.ts'
import { drawSwarm, withoutLimitOfLosses, type Swarm } from './swarm.ts'
import { troubled, type Trouble } from './troubled-store.ts'
import type { NetworkFault } from './unreliable-network.ts'

/** Each probe finds what the last one found: fewer of them show as much. */
const restingProbeMs = 8 * hourMs
const sleepyProbeMs = 2 * dayMs
/** Whoever needs the file of an image before that, and misses it, asks for it himself. */
const imageRecheckMs = hourMs
/** Long enough for every backoff, quarantine and recheck to come round, and for two hours of rest. */
const restMs = 42 * hourMs
/**
 * In a cluster a start may come so long after the last look at HALT: its intent is written in between, and the transport
 * gives up no request sooner. Not taken from there, so that a longer limit is noticed here.
 */
const clusterWriteMs = 30_000
const mostFaults = 10
/** Half of what a pod is given before it is killed. */
const endMs = 30_000
/** Whoever has ended does nothing more for as long as this is looked at. */
const afterEndMs = 1000
/** Longer than a start may take to arrive, and than the window in which starts are counted. */
const putBackMs = 2 * minuteMs

/** Where the objects lie: beside the controllers, or some way from several; in a cluster, or in one without an election. */
type Home = 'Beside' | 'Cluster' | 'Unelected'

export interface WorldOptions {
  home?: Home
  /** In place of what the seed draws. */
  controllers?: number
  crashes?: number
  isQuiet?: boolean
  bad?: BadObject
  /** The one thing that goes wrong, once with every router. */
  only?: FaultKind
  /** Done when everything has come to rest, with all routers on one target. */
  errand?: Errand
}

/** What an operator does to have the whole fleet upgraded once more. */
export interface Errand {
  /** An hour ahead, without anything that may begin yet. */
  prepare?: (hands: ErrandHands) => Promise<void>
  release: (hands: Hands) => Promise<void>
}

export interface ErrandHands extends Hands {
  /** Another controller in the place of the one that runs, and no images for it until that hour is over. */
  restartWithoutImages: () => Promise<void>
}

export interface Report {
  seed: number
  violations: string[]
  faults: Map<string, number>
  acts: ReadonlyMap<string, number>
  crashes: number
  /** Controllers that were told to end, and did. */
  endings: number
  flashes: number
  outcomes: Map<string, number>
  /** Names of what happened, see `sometimes`. */
  coverage: string[]
  /** What was asked to be written, by all controllers, whether it was accepted or not. */
  writes: number
  virtualDays: number
  settlingMs: number
  hash: string
  /** Of a cluster alone. */
  network?: {
    faults: ReadonlyMap<NetworkFault, number>
    mostUnanswered: ClusterHome['mostUnanswered']
    /** How often one of the controllers began to lead. */
    terms: number
  }
}

export interface Played {
  report: Report
  past: Past
}

const onlyFault = (kind: FaultKind): Partial<Swarm> => ({
  isQuiet: false,
  faults: { kinds: [kind], share: 1, times: [1], everyMs: undefined },
  operator: { acts: [], everyMs: Infinity },
  ambush: undefined,
  backup: undefined,
  store: undefined,
  crashes: 0,
  controllers: 1,
})

function swarmOf(seed: number, { home = 'Beside', ...options }: WorldOptions): Swarm {
  const drawn = drawSwarm(createRandom(seed).fork('swarm'), options.isQuiet)
  const swarm = {
    ...drawn,
    ...(options.controllers !== undefined && { controllers: options.controllers }),
    ...(options.crashes !== undefined && { crashes: options.crashes }),
    ...(options.only !== undefined && onlyFault(options.only)),
  }
  if (home === 'Beside') return swarm
  return {
    ...swarm,
    ...(home === 'Unelected' && { governor: withoutLimitOfLosses(swarm.governor) }),
    ambush: undefined,
    backup: undefined,
    store: undefined,
    afterMs: 0,
  }
}

/**
 * Plays one world from a seed, and says what was wrong with what its routers did. Several controllers all believe that
 * they lead, unless they elect one of them.
 */
export async function playWorld(seed: number, options: WorldOptions = {}): Promise<Played> {
  const { home = 'Beside' } = options
  const swarm = swarmOf(seed, options)
  const random = createRandom(seed)
  // Beside the store nobody waits for the event loop; of the parts of a cluster that has not been made sure.
  const settle = home === 'Beside' ? microtasks : undefined
  const clock = createManualClock(Date.parse('2026-03-01T00:00:00Z'), settle)
  const fleet = createFleet({
    count: swarm.routers,
    seed,
    clock,
    timings: { uploadBytesPerSecond: swarm.uploadBytesPerSecond },
    releases: swarm.releases,
    ...(swarm.isScarce && scarce),
    policy: {
      limits: swarm.limits,
      retry: swarm.retry,
      timeouts: { ...defaultPolicySettings.timeouts, reconnectRetry: swarm.reconnectRetry },
      history: { operationsPerDevice: swarm.operationsPerDevice, keepFor: '90d' },
      selector: { matchExpressions: [{ key: 'ring', operator: 'NotIn', values: ['out'] }] },
    },
  })
  const world = createWorld({ seed, clock, random, fleet, swarm, home, bad: options.bad })
  await world.declare()
  const others: Process[] = []
  while (others.length + 1 < swarm.controllers) others.push(await world.start(others.length + 1))
  let life = await world.start(0)
  world.begin()
  const strikesProcess = ['Crash', 'End'].includes(swarm.ambush?.does.kind ?? '')
  if (strikesProcess && (await world.diesInAmbush(life))) life = await world.start(0)
  const draws = random.fork('crashes')
  const ends = random.fork('ends')
  for (let crash = 0; crash < swarm.crashes; crash += 1) {
    // Between two turns of the event loop, or in the midst of one.
    if (draws.chance(1 / 2)) {
      const nth = draws.integer(1, draws.pick([10, 100, 1000]))
      const dying = life
      dying.atCall(nth, draws.pick(['before', 'after']), () => world.kill(dying))
    }
    await clock.advance(draws.integer(0, draws.pick([20_000, 4 * minuteMs, hourMs])))
    if (life.alive() && ends.chance(1 / 3)) await world.endsWell(life)
    if (life.alive()) world.kill(life)
    await clock.advance(draws.integer(0, draws.pick([1000, minuteMs, 20 * minuteMs])))
    if (world.hasBackup()) await world.putBack()
    life = await world.start(0, draws.chance(1 / 3))
  }
  if (await world.comesToBackup()) {
    world.kill(life)
    await world.putBack()
    life = await world.start(0)
  }
  await clock.advance(2 * hourMs)
  // A latch holds until somebody starts a controller that is told of it, and the next one need not be told.
  if (swarm.governor.maxLostPerDay < 100 && home === 'Beside') {
    for (const isTold of [true, false]) {
      world.kill(life)
      life = await world.start(0, isTold)
    }
  }
  await world.calm()
  // The many requests of a cluster make that dear.
  if (home !== 'Beside') await world.advanceUntilSettled(restMs)
  else await clock.advance(restMs)
  if (options.errand)
    await world.run(options.errand, async () => {
      world.kill(life)
      life = await world.start(0)
    })
  await world.sleepOn(swarm.afterMs)
  const past = await world.end()
  const report = await world.report(past)
  for (const each of [life, ...others]) each.die()
  world.forget()
  return { report, past }
}

export const runWorld = async (seed: number, options: WorldOptions = {}): Promise<Report> =>
  (await playWorld(seed, options)).report

interface WorldParts {
  seed: number
  clock: ManualClock
  random: SeededRandom
  fleet: SimulatedFleet
  swarm: Swarm
  home: Home
  bad: BadObject | undefined
}

function createWorld(parts: WorldParts) {
  const { seed, clock, random, fleet, swarm, home, bad } = parts
  const { controllers, isQuiet, governor, probeIntervalMs } = swarm
  const recorder = createRecorder(clock)
  const { notes } = recorder
  const violations: string[] = []
  const jumps: { atMs: number; byMs: number }[] = []
  const beginnings: number[] = []
  const acknowledged: { atMs: number; date: string }[] = []
  const endings: Ending[] = []
  let halted: string | undefined
  let isCalm = false
  let calmMs = 0
  let asleepMs = 0
  let errandMs: number | undefined
  let imagesFromMs: number | undefined
  const state = createState(clock)
  const store = recorder.store(state.store)
  const writes = countWrites()
  const onTrouble = (what: Trouble): unknown => notes.storeTrouble[what].push(clock.monotonic())
  const isOver = (): boolean => isCalm
  const trouble = swarm.store && {
    trouble: swarm.store,
    clock,
    random: random.fork('store'),
    isOver,
    onTrouble,
  }
  const asked = writes.of(trouble ? troubled(store, trouble) : store)
  // Half of the worlds, and all with rivals, write as in a cluster: no more than safety needs.
  const settings = {
    probeIntervalMs,
    imageRecheckMs,
    writesDurableOnly: controllers > 1 || seed % 2 === 0,
  }
  const watched = recorder.connector(createSimulatedConnector(clock, fleet.network), fleet.network)
  const leaders = home === 'Cluster' ? 1 : controllers
  // Each process begins without the images that another one has fetched.
  const imagesOf = (name: string): ImageStore => {
    const images = createMemoryImages(fleet.files)
    if (imagesFromMs !== undefined) return fromServerClosedUntil(images, imagesFromMs, clock)
    // Of several that all lead one would take back what another one has found Ready, for ever.
    if (!swarm.imageServer || leaders > 1) return images
    return fromTroubledServer(images, {
      trouble: swarm.imageServer,
      clock,
      random: random.fork(`${name} images`),
      isOver,
      onError: () => notes.failedFetches.push(clock.monotonic()),
    })
  }
  const restOf = (life: Life, name: string): Rest => {
    // Of what another process was doing this one knows nothing yet.
    notes.phases.clear()
    return {
      connector: mortalConnector(watched, life),
      upgraders: new Map([['openwrt', openwrtUpgrader]]),
      images: mortal(imagesOf(name), life),
      events: { emit: recorder.emit },
      random: random.fork(name),
      uploads: createUploadGates(mortal(clock, life)),
    }
  }
  const shared = { clock, controllers, secret: fleet.secret, halted: () => halted, restOf }
  const cluster =
    home === 'Beside'
      ? undefined
      : createClusterHome({
          ...shared,
          elects: home === 'Cluster',
          store: asked,
          random: random.fork('cluster'),
          governorSettings: governor,
          probeIntervalMs,
          violations,
        })
  const onWrite = (place: number): unknown => notes.writers.add(place)
  const beside = createBesideHome({
    ...shared,
    store: asked,
    records: recorder.records(state.records),
    random,
    governor,
    settings,
    onWrite,
  })

  const setHalted = (isHalted: boolean): void => {
    halted = isHalted ? 'HALT' : undefined
    recorder.halt(isHalted)
  }
  const jump = (byMs: number): void => {
    jumps.push({ atMs: clock.monotonic(), byMs })
    clock.jump(byMs)
  }
  const hands = { store, clock, random: random.fork('operator'), routers: fleet.routers, setHalted, jump }
  let operator: ReturnType<typeof createOperator> | undefined

  const policy = async (): Promise<UpgradePolicy> => (await store.list('UpgradePolicy')).items[0]!
  const operations = async (): Promise<UpgradeOperation[]> => (await store.list('UpgradeOperation')).items
  const devices = async (): Promise<Device[]> => (await store.list('Device')).items

  /** Something goes wrong with one of the routers, now and then. */
  function misbehave(draws: SeededRandom, times = mostFaults): void {
    const { kinds: faults, everyMs } = swarm.faults
    if (everyMs === undefined || times === 0) return
    clock.after(draws.integer(0, 2 * everyMs), () => {
      if (isCalm) return
      draws.pick(fleet.routers).inject(drawFault(draws.pick(faults), draws))
      misbehave(draws, times - 1)
    })
  }

  function injectAtFirst(draws: SeededRandom): void {
    const { kinds: faults, share, times } = swarm.faults
    for (const router of fleet.routers)
      if (draws.chance(share)) router.inject(drawFault(draws.pick(faults), draws), draws.pick(times))
    // Around the end of its time a start is most dangerous: the next one may be on its way already.
    const ms = draws.integer(minuteMs, 4 * minuteMs)
    if (!isQuiet && draws.chance(1 / 3))
      draws.pick(fleet.routers).inject({ kind: 'LateDelivery', command: 'guard', ms })
    if (isQuiet || swarm.afterMs === 0) return
    // There is time to wait for somebody who has long been given up.
    const late = draws.pick(fleet.routers)
    late.inject({ kind: 'LateReturn', ms: draws.integer(11 * dayMs, 20 * dayMs) })
    if (draws.chance(1 / 2)) late.inject({ kind: 'RolledBack' })
  }

  function kill(life: Life): void {
    notes.deaths.push(clock.monotonic())
    life.die()
  }

  /** Whether it comes about in the next hour, of which no more passes than that takes. */
  async function withinAnHour(isSo: () => boolean): Promise<boolean> {
    const endsAt = clock.monotonic() + hourMs
    while (!isSo() && clock.monotonic() < endsAt) await clock.advance(minuteMs)
    return isSo()
  }

  async function end(process: Process): Promise<void> {
    const sinceMs = clock.monotonic()
    await process.end()
    const left = fleet.routers
      .filter((router) => router.answer() === 'Accepts' && isPrepared(router.name))
      .map(({ name, state }) => ({ device: name, services: state.stoppedServices }))
    endings.push({ sinceMs, atMs: clock.monotonic(), left: controllers === 1 ? left : [] })
    process.atCall(1, 'before', () => violations.push('end: it went on after its end'))
    clock.after(afterEndMs, () => process.die())
  }
  const isPrepared = (device: string): boolean =>
    ['Uploading', 'Testing'].includes(notes.phases.get(device) ?? '')

  /** Who dies, or ends, where an ambush is that. */
  let victim: Process | undefined
  function lieInWait({ phase, nth, times, afterMs, does }: Ambush, draws: SeededRandom): void {
    let met = 0
    const strike = (device: string): void => {
      if (isCalm) return
      if (does.kind === 'Crash') {
        if (victim?.alive()) kill(victim)
      } else if (does.kind === 'End') {
        if (victim?.alive()) void end(victim)
      } else if (does.kind === 'Act') operator!.do(does.name, device)
      else fleet.routers.find(({ name }) => name === device)?.inject(drawFault(does.name, draws))
    }
    recorder.onPhase((now, device) => {
      if (now !== phase) return
      met += 1
      if (met < nth || met >= nth + times) return
      // Not even a turn of the event loop later.
      if (afterMs === 0) strike(device)
      else clock.after(afterMs, () => strike(device))
    })
  }

  /** Put back at most once: `undefined` before it is made, and for good afterwards. */
  let backup: { made: Promise<Backup>; ofMs: number; writesKnown: number } | undefined
  function backUpAt({ phase, nth, afterMs }: BackupPlan): void {
    let met = 0
    recorder.onPhase((now) => {
      if (now !== phase || (met += 1) !== nth) return
      clock.after(afterMs, () => {
        backup = { made: state.backUp(), ofMs: clock.monotonic(), writesKnown: notes.writes.length }
      })
    })
  }

  async function pastNow(): Promise<Past> {
    const all = await devices()
    const [operationsNow, policyNow] = [await operations(), await policy()]
    const saidNow = [...operationsNow, policyNow].flatMap(latchesIn)
    // A write may be slow on its way there and back.
    const storeMs = Math.max(controllers > 1 ? 5000 : 0, 2 * (swarm.store?.slowestMs ?? 0))
    return {
      routers: fleet.routers,
      images: notes.images,
      writes: notes.writes,
      putBack: notes.putBack,
      sends: notes.sends,
      uploads: notes.uploads,
      trustedAnew: notes.trustedAnew,
      rules: notes.rules,
      endings,
      endsWithinMs: endMs + (cluster ? cluster.endSlackMs : storeMs),
      acknowledged,
      saidLatched: [...notes.saidLatched, ...saidNow.map((date) => ({ atMs: clock.monotonic(), date }))],
      governor,
      leaders,
      knockMs: parseDuration(swarm.reconnectRetry),
      // News of a cluster may be as late as its network likes.
      newsMs: cluster ? Infinity : storeMs,
      haltNewsMs: cluster ? clusterWriteMs : storeMs,
      slackMs: swarm.store ? 2 * swarm.store.slowestMs : 0,
      jumps,
      beginnings,
      texts: notes.texts,
      canaries: [fleet.secret['password']!],
      load: {
        ...notes.load,
        writes: writes.total(),
        deviceDays: (fleet.routers.length * clock.monotonic()) / dayMs,
      },
      rest: {
        atMs: clock.monotonic(),
        wallMs: clock.now(),
        longestWaitMs: 1.2 * sleepyProbeMs,
        slowestProbeMs: 10 * minuteMs,
        devices: all,
        operations: operationsNow,
        policy: policyNow,
        reachable: fleet.routers.flatMap((router) => {
          const { name, state } = router
          const device = all.find(({ metadata }) => metadata.name === name)
          return router.answer() === 'Accepts' && device && isTalkedTo(device)
            ? [{ name, stoppedServices: state.stoppedServices }]
            : []
        }),
      },
    }
  }

  async function whatIsLeft(): Promise<string[]> {
    const past = await pastNow()
    return [...judgeProgress(past), ...(isQuiet ? judgeQuiet(past, bad !== undefined) : [])]
  }

  async function dump({ rest }: Past): Promise<void> {
    for (const { metadata, status } of [...rest.devices, ...rest.operations, rest.policy])
      process.stderr.write(`${metadata.name} ${JSON.stringify(status, null, 1)}\n`)
    for (const router of fleet.routers)
      process.stderr.write(
        `${router.name} ${router.history.map((event) => JSON.stringify(event)).join('\n  ')}\n`,
      )
    for (const write of notes.writes) process.stderr.write(`${JSON.stringify(write)}\n`)
    for (const act of [...notes.acts, ...jumps]) process.stderr.write(`${JSON.stringify(act)}\n`)
  }

  return {
    async start(place: number, acknowledges = false): Promise<Process> {
      beginnings.push(clock.monotonic())
      if (cluster) return cluster.start(place)
      const date = dateOf(clock.now())
      if (acknowledges) acknowledged.push({ atMs: clock.monotonic(), date })
      return beside.start(place, acknowledges ? date : undefined)
    },
    async declare() {
      for (const { manifest } of fleet.declared) await store.apply(manifest)
      if (bad) await addBadObject(bad, store)
    },
    /** From here on things go wrong, and operators do things. */
    begin() {
      injectAtFirst(random.fork('faults at first'))
      misbehave(random.fork('faults'))
      operator = createOperator(hands, swarm.operator, (name) =>
        notes.acts.push({ atMs: clock.monotonic(), name }),
      )
      if (swarm.ambush) lieInWait(swarm.ambush, random.fork('ambush'))
      if (swarm.backup) backUpAt(swarm.backup)
    },
    kill,
    /** Tells it to end, and waits until it has. */
    async endsWell(process: Process) {
      void end(process)
      await clock.runUntil(() => !process.alive(), hourMs)
    },
    /** Whether it has come to where it has to die, and lain dead for a while. */
    async diesInAmbush(life: Process): Promise<boolean> {
      victim = life
      const hasDied = await withinAnHour(() => !life.alive())
      victim = undefined
      return hasDied
    },
    hasBackup: () => backup !== undefined,
    /** Whether there is a backup that no crash has followed, or comes to be one in the next hour. */
    comesToBackup: async (): Promise<boolean> =>
      swarm.backup !== undefined &&
      notes.putBack === undefined &&
      (await withinAnHour(() => backup !== undefined)),
    /** Puts the older state in the place of what there is, while nobody runs; what is declared stays as it is. */
    async putBack() {
      const { made, ...older } = backup!
      backup = undefined
      // Nobody does it faster; and what the dead had asked for is over by then.
      await clock.advance(putBackMs + 2 * (swarm.store?.slowestMs ?? 0))
      const declared = await declaredIn(store)
      const held = await made
      state.putBack(held)
      recorder.putBack(held.objects, older)
      await operator!.declare(declared)
    },
    forget: () => beside.forget(),
    /** From here on nothing but what has been set in motion goes wrong. */
    async calm() {
      isCalm = true
      cluster?.calm()
      await operator?.rest()
      settings.probeIntervalMs = restingProbeMs
      settings.imageRecheckMs = restingProbeMs
      if (!isQuiet) {
        setHalted(false)
        const current = await policy()
        await store.apply({ ...current, spec: { ...current.spec, state: 'Run' } })
      }
      calmMs = clock.monotonic()
    },
    async advanceUntilSettled(limitMs: number) {
      const endsAt = clock.monotonic() + limitMs
      await clock.advance(2 * hourMs)
      while (clock.monotonic() < endsAt && (await whatIsLeft()).length > 0) await clock.advance(hourMs)
    },
    async run({ prepare, release }: Errand, restart: () => Promise<void>) {
      const restartWithoutImages = (): Promise<void> => {
        imagesFromMs = clock.monotonic() + hourMs
        return restart()
      }
      await prepare?.({ ...hands, restartWithoutImages })
      await clock.advance(hourMs)
      errandMs = clock.monotonic()
      await release(hands)
      await clock.advance(2 * hourMs)
    },
    async sleepOn(ms: number) {
      settings.probeIntervalMs = sleepyProbeMs
      settings.imageRecheckMs = sleepyProbeMs
      asleepMs = clock.monotonic()
      await clock.advance(ms)
    },
    async end(): Promise<Past> {
      if (cluster) await judgeMirrors(cluster, store, { clock, violations })
      // Counts are written a little after what they count.
      let past = await pastNow()
      for (let tries = 0; tries < 6 && !judgeCounters(past).next().done; tries += 1) {
        await clock.advance(10_000)
        past = await pastNow()
      }
      violations.push(...notes.bugs, ...judgePast(past), ...judgeEndings(past), ...judgeServices(past))
      if (controllers === 1) violations.push(...notes.lostHolds)
      if (jumps.length === 0 && !operator!.done.has('removeDevice')) violations.push(...judgeHistory(past))
      if (isQuiet && errandMs === undefined) violations.push(...judgeQuiet(past, bad !== undefined))
      const isSteady = errandMs !== undefined || notes.deaths.length + endings.length === 0
      if (isQuiet && home === 'Beside' && controllers === 1 && isSteady && !bad)
        violations.push(...judgePrompt(past, errandMs))
      if (violations.length > 0 && process.env['REFLASH_DEBUG']) await dump(past)
      return past
    },
    async report(past: Past): Promise<Report> {
      const faults = new Map<string, number>()
      let flashes = 0
      for (const { history } of fleet.routers) {
        for (const { kind } of eventsOf(history, 'Fault')) faults.set(kind, (faults.get(kind) ?? 0) + 1)
        flashes += eventsOf(history, 'FlashStarted').length
      }
      const outcomes = new Map<string, number>()
      for (const { status } of past.rest.operations) {
        const name = status.failureClass ?? status.reason ?? status.phase ?? 'Queued'
        outcomes.set(name, (outcomes.get(name) ?? 0) + 1)
      }
      return {
        seed,
        violations,
        faults,
        acts: operator!.done,
        crashes: notes.deaths.length,
        endings: past.endings.length,
        flashes,
        outcomes,
        coverage: coverageOf({ past, notes }),
        writes: past.load.writes,
        virtualDays: past.load.deviceDays,
        settlingMs: settlingMs(past, { calmMs, untilMs: asleepMs }),
        hash: hashHistories([...fleet.routers.map(({ history }) => history), notes.writes]),
        ...(cluster && {
          network: {
            faults: cluster.faults,
            mostUnanswered: cluster.mostUnanswered,
            terms: cluster.terms(),
          },
        }),
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

const isTalkedTo = (device: Device): boolean =>
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
