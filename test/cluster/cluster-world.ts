import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { kindInfo, kinds } from '../../src/api/kinds.ts'
import type {
  Device,
  Kind,
  KindMap,
  Manifest,
  UpgradeOperation,
  UpgradePolicySpec,
} from '../../src/api/resources.ts'
import { apiVersion } from '../../src/api/schema.ts'
import { isTrue } from '../../src/core/conditions.ts'
import { isFinished } from '../../src/core/operation.ts'
import type { FleetOptions } from '../../src/simulator/fleet.ts'
import { serveFleet } from '../../src/simulator/serve-fleet.ts'
import {
  bugsOf,
  endsWell,
  said,
  goOn,
  untilMet,
  untilOver,
  watchVictim,
  type Ended,
  type Met,
} from '../crash/running.ts'
import { startVictim, type Victim } from '../crash/start-victim.ts'
import {
  createWorldFleet,
  isAnyUnseen,
  isBack,
  isHeld,
  isOnRouter,
  nameOfPoint,
  pointArguments,
  watchRouters,
  type Fate,
  type Point,
  type Rest,
  type World,
} from '../crash/world.ts'
import type { ApiServer } from '../support/api-server.ts'
import { startController, type RunningController } from '../support/cluster-fleet.ts'
import { declare } from '../support/kubernetes-store.ts'
import { until } from '../support/until.ts'
import { electionTimes } from './election-times.ts'

const victim = fileURLToPath(new URL('victim.ts', import.meta.url))
/** For each thing that is waited for: it takes seconds, and this is for a machine that does much else. */
const limitMs = 90_000
/** An API server has better things to do than to be asked all the time. */
const lookEveryMs = 200

export interface ClusterWorld extends World {
  /** Runs a leader up to a point, where it has to die; nobody is there to go on, and its lease is left to run out. */
  killAlone(point: Point): Promise<void>
  /** Lets every later leader see a wall clock that is ahead of ours. */
  setClockAhead(aheadMs: number): void
  /** Lets a leader that starts nothing see the devices, and copies what is known then; what is returned puts it back. */
  backUp(): Promise<() => Promise<void>>
  /** Makes every object as if it had just been declared, and takes away the operations and the records. */
  forget(): Promise<void>
  /** Takes away the records alone. */
  forgetRecords(): Promise<void>
  readonly startedAtMs: readonly number[]
  /** Runs a leader up to a point, where it stands still until a standby has brought all to rest; woken, it ends. */
  stopAt(point: Point, rest: Rest): Promise<void>
  /** Declares the policy anew, and nothing else, with what is changed in it; resolves when the API server has taken it. */
  steer(policy: Partial<UpgradePolicySpec>): Promise<void>
  /** Runs a leader, beside a standby or alone, up to a point, where it is held. */
  holdAt(point: Point, beside: 'a standby' | 'nobody'): Promise<Met>
  /** Annotates the namespace of the controller as `kubectl annotate` does, with nothing to take the annotation away. */
  annotate(name: string, value: string | null): Promise<void>
  /** Runs a leader that nobody kills until nothing moves any more, and gives the names of what it wrote and ran. */
  namesUntil(rest: Rest): Promise<Set<string>>
}

interface ConfigMap {
  metadata: { name: string; labels: object }
  data: object
}

let worlds = 0

/** Simulated routers, and a namespace of its own in a cluster: of their objects, of the lease and of the records. */
export async function withClusterWorld(
  server: ApiServer,
  options: Partial<FleetOptions>,
  body: (world: ClusterWorld) => Promise<void>,
): Promise<void> {
  const namespace = `kill-${(worlds += 1)}`
  const folder = join(server.folder, namespace)
  const fleet = createWorldFleet(options)
  const kubeconfig = await server.writeKubeconfig(server.adminToken, namespace)
  const post = async (path: string, object: object): Promise<void> => {
    const { status, body: answer } = await server.request('POST', path, { body: object })
    if (status !== 201) throw new Error(`${path}: ${JSON.stringify(answer)}`)
  }
  await post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  await post(`/api/v1/namespaces/${namespace}/secrets`, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'routers' },
    stringData: fleet.secret,
  })
  await fleet.writeManifests(folder)

  const pathOf = (kind: Kind): string =>
    `/apis/${apiVersion}/namespaces/${namespace}/${kindInfo(kind).plural}`
  /** What takes something away may find that it is gone. */
  const send = async (
    method: string,
    path: string,
    options: Parameters<ApiServer['request']>[2] = {},
  ): Promise<unknown> => {
    const { status, body: answer } = await server.request(method, path, options)
    if (status >= 300 && !(method === 'DELETE' && status === 404))
      throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`)
    return answer
  }
  const list = async <K extends Kind>(kind: K): Promise<KindMap[K][]> => {
    const { body: answer } = await server.request('GET', pathOf(kind))
    const { items } = answer as { items: KindMap[K][] }
    // Until somebody writes it, there is none.
    return items.map((object) => ({ ...object, status: object.status ?? {} }))
  }
  const resources = async (): Promise<{ devices: Device[]; operations: UpgradeOperation[] }> => ({
    devices: await list('Device'),
    operations: await list('UpgradeOperation'),
  })
  /** What there was when older objects were put back: a start of whoever is dead by then may still be on its way. */
  let replaced: Awaited<ReturnType<typeof resources>> | undefined
  const { routers, wrongStarts, startedAtMs, setTrap } = watchRouters(fleet.routers, resources, async () => {
    const now = await resources()
    return replaced ?? now
  })
  const served = await serveFleet({ routers, addresses: fleet.addresses })

  let clockAheadMs = 0
  let remembers = true
  let processes = 0
  /** Each has a cache of its own, as pods do. */
  const nextCache = (): string => join(folder, `cache-${(processes += 1)}`)
  let leader: Victim | undefined
  let running: RunningController | undefined

  const startHere = (): RunningController =>
    startController(
      kubeconfig,
      { images: folder, cache: nextCache(), namespace: [namespace] },
      { electionTimes },
    )
  /** It leads, and has done nothing yet. */
  const startLeader = async (point?: Point, fate?: Fate): Promise<Victim> => {
    const args = [kubeconfig, namespace, folder, nextCache(), ...pointArguments(point, fate)]
    const started = startVictim(victim, args, folder, clockAheadMs)
    leader = started
    await until('a leader', () => tells(started, 'LeaderElected') || hasEnded(started), limitMs)
    return started
  }
  const isAtRest = async (rest: Rest): Promise<boolean> => {
    const [policy] = await list('UpgradePolicy')
    if (!isTrue(policy?.status.conditions, rest === 'Converged' ? 'Converged' : 'Stalled')) return false
    const { devices, operations } = await resources()
    return (
      policy!.status.counts?.matched === devices.length &&
      operations.every((operation) => isFinished(operation) || (!remembers && isHeld(operation))) &&
      (remembers || (fleet.routers.every(isBack) && !isAnyUnseen(fleet, devices))) &&
      devices.every(
        ({ metadata, status }) =>
          status.operationRef === undefined &&
          status.observedGeneration === metadata.generation &&
          metadata.deletionTimestamp === undefined,
      )
    )
  }
  const untilAtRest = (rest: Rest): Promise<unknown> =>
    until(`rest, ${rest}`, () => isAtRest(rest), limitMs, lookEveryMs).catch(async (error: Error) => {
      const statuses = [
        ...(await list('UpgradePolicy')),
        ...(await list('Device')),
        ...(await list('UpgradeOperation')),
      ].map(({ metadata, status }) => `${metadata.name}: ${JSON.stringify(status)}`)
      const events =
        running?.events
          .slice(-40)
          .map((event) =>
            event.type === 'Bug' ? `Bug: ${event.key}: ${String(event.error)}` : JSON.stringify(event),
          ) ?? []
      throw new Error([error.message, ...statuses, ...events].join('\n'))
    })
  const endHere = async (): Promise<void> => {
    await running?.stop()
    running = undefined
  }

  const startStandby = async (): Promise<void> => {
    running = startHere()
    const url = await running.url
    await until('a standby that reads along', async () => (await fetch(new URL('/readyz', url))).ok, limitMs)
  }
  const standbyLeads = (): boolean =>
    running!.events.some((event) => event.type === 'Info' && event.reason === 'LeaderElected')
  /** Runs a leader until it stands still, or is held, at a point. */
  const meetAt = async (point: Point, fate: 'stopped' | 'held', hasStandby: boolean): Promise<Met> => {
    const started = await startLeader(point, fate)
    if (hasStandby) await startStandby()
    const meeting = untilMet(started, { point, fate, limitMs }, setTrap)
    goOn(started)
    return meeting
  }
  /** Ends a leader that would go on. */
  const endLeader = (started: Victim): Promise<Ended> => {
    started.child.kill('SIGTERM')
    return endsWell(watchVictim(started), limitMs)
  }

  const runTo = async (point: Point, prepare: () => Promise<void>): Promise<void> => {
    const started = await startLeader(point)
    await prepare()
    if (isOnRouter(point)) setTrap({ point, spring: started.kill })
    goOn(started)
    const ended = await untilOver(watchVictim(started), limitMs)
    expect(ended.signal, `${nameOfPoint(point)} was not reached:\n${said(ended)}`).toBe('SIGKILL')
    expect(bugsOf(ended)).toEqual([])
  }

  const configMaps = `/api/v1/namespaces/${namespace}/configmaps`
  const listRecords = async (): Promise<ConfigMap[]> => {
    const answer = await send('GET', `${configMaps}?labelSelector=reflash.dev/record`)
    return (answer as { items: ConfigMap[] }).items
  }
  const forgetRecords = async (): Promise<void> => {
    for (const { metadata } of await listRecords()) await send('DELETE', `${configMaps}/${metadata.name}`)
  }
  const freeOfFinalizers = (path: string): Promise<unknown> =>
    send('PATCH', path, {
      body: { metadata: { finalizers: null } },
      contentType: 'application/merge-patch+json',
    })
  const forgetOperations = async (): Promise<void> => {
    for (const { metadata } of await list('UpgradeOperation')) {
      const path = `${pathOf('UpgradeOperation')}/${metadata.name}`
      await freeOfFinalizers(path)
      await send('DELETE', path)
    }
  }
  /** In the name of Reflash, whose fields they are in a backup of etcd too. */
  const putStatus = async ({ kind, metadata }: KindMap[Kind], status: object): Promise<void> => {
    const { name } = metadata
    const known = Object.keys(status).length === 0 ? {} : { status }
    await send('PATCH', `${pathOf(kind)}/${name}/status?fieldManager=reflash&force=true`, {
      body: { apiVersion, kind, metadata: { name, namespace }, ...known },
      contentType: 'application/apply-patch+yaml',
    })
  }

  const declareHere = (
    written: (typeof fleet.declared)[number]['written'],
    changed: object = {},
  ): Promise<unknown> => {
    const { metadata, spec } = written
    const here = { ...written, metadata: { ...metadata, namespace }, spec: { ...spec, ...changed } }
    return declare(server, here as Manifest)
  }

  const world: ClusterWorld = {
    fleet,
    wrongStarts,
    startedAtMs,
    get remembers() {
      return remembers
    },
    resources,
    declare: async ({ without = [], policy } = {}) => {
      for (const { written } of fleet.declared) {
        const { kind, metadata } = written
        if (kind === 'Device' && without.includes(metadata.name))
          await server.request('DELETE', `${pathOf(kind)}/${metadata.name}`)
        else await declareHere(written, kind === 'UpgradePolicy' ? policy : {})
      }
    },
    steer: async (policy) => {
      for (const { written } of fleet.declared)
        if (written.kind === 'UpgradePolicy') await declareHere(written, policy)
    },
    killAt: async (point) => {
      await runTo(point, startStandby)
      expect(standbyLeads(), 'the standby before the kill').toBe(false)
    },
    killAlone: (point) => runTo(point, async () => {}),
    setClockAhead: (aheadMs) => void (clockAheadMs = aheadMs),
    backUp: async () => {
      await world.steer({ state: 'Pause' })
      running = startHere()
      const isSeen = async (): Promise<boolean> =>
        (await list('Device')).every(({ status }) => status.blocked?.reason === 'PolicyPaused')
      await until('all devices seen', isSeen, limitMs, lookEveryMs)
      await endHere()
      const devices = await list('Device')
      const records = await listRecords()
      return async () => {
        remembers = false
        replaced = await resources()
        await forgetOperations()
        const known = new Map(devices.map(({ metadata, status }) => [metadata.name, status]))
        for (const device of await list('Device'))
          await putStatus(device, known.get(device.metadata.name) ?? {})
        await forgetRecords()
        for (const { metadata, data } of records) {
          const { name, labels } = metadata
          await post(configMaps, {
            apiVersion: 'v1',
            kind: 'ConfigMap',
            metadata: { name, labels },
            data,
          })
        }
      }
    },
    forget: async () => {
      await forgetOperations()
      for (const { kind } of kinds)
        for (const object of await list(kind)) {
          await freeOfFinalizers(`${pathOf(kind)}/${object.metadata.name}`)
          await putStatus(object, {})
        }
      await forgetRecords()
    },
    forgetRecords,
    stopAt: async (point, rest) => {
      const stopped = await meetAt(point, 'stopped', true)
      await untilAtRest(rest)
      expect(standbyLeads()).toBe(true)
      stopped.release()
      const ended = await untilOver(stopped, limitMs)
      expect(bugsOf(ended)).toEqual([])
      expect(ended.lines.at(-1), said(ended)).toEqual({ ended: 'Lost' })
    },
    holdAt: (point, beside) => meetAt(point, 'held', beside === 'a standby'),
    annotate: async (name, value) => {
      const { status } = await server.request('PATCH', `/api/v1/namespaces/${namespace}`, {
        body: { metadata: { annotations: { [name]: value } } },
        contentType: 'application/merge-patch+json',
      })
      expect(status).toBe(200)
    },
    comesTo: async (rest) => {
      if (leader && !hasEnded(leader)) {
        await untilAtRest(rest)
        await endLeader(leader)
        return
      }
      if (clockAheadMs !== 0) {
        // This process has the clock that it has.
        const ahead = await startLeader()
        goOn(ahead)
        await untilAtRest(rest)
        await endLeader(ahead)
        return
      }
      running ??= startHere()
      await untilAtRest(rest)
      expect(standbyLeads()).toBe(true)
      expect(running.events.filter(({ type }) => type === 'Bug')).toEqual([])
      await endHere()
    },
    namesUntil: async (rest) => {
      const started = await startLeader()
      goOn(started)
      await untilAtRest(rest)
      const { lines } = await endLeader(started)
      return new Set(lines.flatMap(({ name }) => name ?? []))
    },
  }
  try {
    await world.declare()
    await body(world)
  } finally {
    await leader?.kill()
    await endHere()
    await served.close()
  }
}

const tells = ({ output }: Victim, reason: string): boolean => output.stdout.includes(`"told":"${reason}"`)
const hasEnded = ({ child }: Victim): boolean => child.exitCode !== null || child.signalCode !== null
