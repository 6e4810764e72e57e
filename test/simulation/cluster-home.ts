import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import { createLeaseElector } from '../../src/adapters/kubernetes/lease-elector.ts'
import { createNamespaceBrake } from '../../src/adapters/kubernetes/namespace-brake.ts'
import { createConfigMapRecords } from '../../src/adapters/kubernetes/record-store.ts'
import { createKubernetesStore } from '../../src/adapters/kubernetes/resource-store.ts'
import { createClusterSecrets } from '../../src/adapters/kubernetes/secrets.ts'
import type { ApiRequest } from '../../src/adapters/kubernetes/transport.ts'
import { createSoleElector } from '../../src/adapters/sole-elector.ts'
import type { Manifest } from '../../src/api/resources.ts'
import { createControllers } from '../../src/controllers/controllers.ts'
import { Fleet, writeThrough } from '../../src/controllers/fleet.ts'
import { openGovernor } from '../../src/controllers/governor.ts'
import { whenAnswered, workAsLeader, writesOfLeader } from '../../src/controllers/lead.ts'
import type { Ports } from '../../src/controllers/ports.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { Brake } from '../../src/ports/brake.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Connector } from '../../src/ports/connector.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { aborted } from '../support/aborted.ts'
import { createApiServer } from './api-server.ts'
import { badObjects } from './bad-object.ts'
import { createLife, mortal, type Life, type Process } from './mortal.ts'
import { createUnreliableNetwork, requestLimitMs, type NetworkFault } from './unreliable-network.ts'

/** Longer than those of a cluster, since they are the most frequent requests of a world, but in the same proportions. */
const electionTimes = { durationMs: 300_000, renewDeadlineMs: 200_000, retryMs: 40_000 }
const namespace = 'reflash-system'
/** A container that has ended is started again. */
const restartMs = 10_000
const passingMs = 5 * 60_000

/** What one controller touches beyond what its home gives it. */
export type Rest = Omit<Ports, 'store' | 'fleet' | 'records' | 'secrets' | 'governor' | 'clock' | 'settings'>

export interface ClusterHomeOptions {
  store: DeclaredStore
  clock: Clock
  random: SeededRandom
  controllers: number
  /** Without an election every controller leads, whatever the others do. */
  elects: boolean
  secret: Readonly<Record<string, string>>
  halted: () => string | undefined
  restOf: (life: Life, name: string) => Rest
  governorSettings: Parameters<typeof openGovernor>[0]['settings']
  probeIntervalMs: number
  violations: string[]
}

/** Controllers of one cluster, put together as `src/cluster.ts` does, over a network that does what the seed says. */
export interface ClusterHome {
  /** A pod: a process whose container is started again when it ends by itself. */
  start(place: number): Process
  /** From here on the network does what it should. */
  calm(): void
  fleets(): Iterable<Fleet>
  faults: ReadonlyMap<NetworkFault, number>
  mostUnanswered: { perSecond: number; perMinute: number }
  /** When a device was told to start, in monotonic ms. */
  starts: readonly number[]
  terms(): number
  /** So much longer takes the end of a controller: a last write, and giving the lease back. */
  endSlackMs: number
}

interface Container {
  life: Life
  fleet: Fleet
}

export function createClusterHome(options: ClusterHomeOptions): ClusterHome {
  const { store, clock, random, controllers, elects, violations } = options
  const server = createApiServer({ store, clock, secret: options.secret, halted: options.halted })
  const network = createUnreliableNetwork({
    server,
    clock,
    random: random.fork('network'),
    places: controllers,
  })
  const containers: (Container | undefined)[] = []
  let leader: { name: string; signal: AbortSignal } | undefined
  const starts: number[] = []
  let lives = 0
  let terms = 0
  let isCalm = false
  void comeAndGo(random.fork('passing'))

  /** Somebody makes something that passes again: word of an end can be lost as well. */
  async function comeAndGo(draws: SeededRandom): Promise<void> {
    for (let index = 1; !isCalm; index += 1) {
      const object = passing(draws, `passing-${index}`)
      await store.create(object)
      await clock.sleep(draws.integer(0, passingMs))
      await store.delete(object.kind, object.metadata)
      await clock.sleep(draws.integer(0, passingMs))
    }
  }

  /** Resolves when it ends by itself, as it does when it is told to. */
  function begin(place: number, pod: Life, stop: AbortSignal): { life: Life; ended: Promise<void> } {
    lives += 1
    const name = `controller-${place}-${lives}`
    const life = createLife(pod)
    const fleet = new Fleet(mortal(clock, life))
    containers[place] = { life, fleet }
    const ended = run(name, place, { life, fleet, stop }).catch((error: unknown) => {
      violations.push(`end: ${name} ended with ${String(error)}`)
    })
    return { life, ended }
  }

  async function run(
    name: string,
    place: number,
    { life, fleet, stop }: Container & { stop: AbortSignal },
  ): Promise<void> {
    const ownClock = mortal(clock, life)
    const ownRandom = random.fork(name)
    const mayAct = (): boolean => !elects || (life.alive() && leader?.name === name && !leader.signal.aborted)
    const onRequest = (request: ApiRequest): void => {
      if (server.kindOf(request) && request.method !== 'GET' && !mayAct())
        violations.push(`lead: ${name} sent ${request.method} ${request.path} without the lead`)
    }
    const transport = network.transport({ place, name, life, onRequest })
    const electing = network.transport({ place, name: `${name}/lease`, life, onRequest })
    const kubernetes = createKubernetesStore({
      transport,
      clock: ownClock,
      random: ownRandom,
      namespaces: undefined,
    })
    const elector = elects
      ? createLeaseElector({
          transport: electing,
          clock: ownClock,
          random: ownRandom,
          namespace,
          name: 'reflash',
          identity: name,
          times: electionTimes,
        })
      : createSoleElector({ identity: name })
    const records = createConfigMapRecords(transport, namespace)
    const rest = options.restOf(life, name)
    const brake: Brake = createNamespaceBrake(transport, namespace, ownClock)
    const governor = await whenAnswered(
      () => openGovernor({ settings: options.governorSettings, records, brake, clock: ownClock }),
      { events: rest.events, clock: ownClock },
      stop,
    )
    if (!governor) return
    const ports: Ports = {
      ...rest,
      store: writeThrough(writesOfLeader(kubernetes, elector), fleet),
      fleet,
      records,
      secrets: createClusterSecrets(transport, ownClock),
      connector: onlyLeading(rest.connector, () => {
        starts.push(clock.monotonic())
        if (!mayAct()) violations.push(`lead: ${name} started a flash without the lead`)
      }),
      clock: ownClock,
      governor,
      settings: { probeIntervalMs: options.probeIntervalMs, writesDurableOnly: true },
    }
    const running = createControllers(ports, { devices: 8, operations: 50, images: 1 })
    const over = new AbortController()
    const following = running.follow(over.signal)
    await Promise.race([running.ready, aborted(stop)])
    await elector.lead(async (leading) => {
      // Who has died within this turn gets no further.
      if (!life.alive()) return
      if (elects && leader && !leader.signal.aborted)
        violations.push(`lead: ${name} leads beside ${leader.name}`)
      const term = termOf(life, leading)
      leader = { name, signal: term.signal }
      terms += 1
      await workAsLeader(running, ports, leading).finally(() => term.abort())
    }, stop)
    over.abort()
    await following
  }

  return {
    start(place) {
      const pod = createLife()
      const stop = new AbortController()
      let container: Promise<void> | undefined
      const boot = (): void => {
        if (!pod.alive() || stop.signal.aborted) return
        const { life, ended } = begin(place, pod, stop.signal)
        const forget = pod.atDeath(() => life.die())
        container = ended.then(() => {
          forget()
          life.die()
          container = undefined
          clock.after(restartMs, boot)
        })
      }
      boot()
      const end = async (): Promise<void> => {
        stop.abort()
        await container
      }
      return { ...pod, end }
    },
    calm() {
      isCalm = true
      network.calm()
    },
    *fleets() {
      for (const container of containers) if (container?.life.alive()) yield container.fleet
    },
    faults: network.faults,
    mostUnanswered: network.mostUnanswered,
    starts,
    terms: () => terms,
    endSlackMs: requestLimitMs + electionTimes.renewDeadlineMs,
  }
}

/** What nothing else has to do with, of one kind or another. */
function passing(draws: SeededRandom, name: string): Manifest {
  const [{ manifest }] = draws.pick([
    badObjects.categoryOfNobody,
    badObjects.deviceThatNeverAnswers,
    badObjects.imageWithoutFile,
    badObjects.operationForNobody,
  ])()
  return { ...manifest, metadata: { ...manifest.metadata, name } } as Manifest
}

/** Aborted when its leader dies or loses the lead; who is told to end leads until he has. */
function termOf(life: Life, leading: AbortSignal): AbortController {
  const term = new AbortController()
  life.atDeath(() => term.abort())
  void aborted(leading).then(() => leading.reason instanceof ReflashError && term.abort())
  return term
}

/** Sessions that say when a flash is started. */
const onlyLeading = (connector: Connector, onStart: () => void): Connector => ({
  ...connector,
  async connect(...args) {
    const session = await connector.connect(...args)
    return {
      ...session,
      exec(command, execOptions, signal) {
        if (command[3] === 'guard' && !signal.aborted) onStart()
        return session.exec(command, execOptions, signal)
      },
    }
  },
})
