import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { kindInfo } from '../../src/api/kinds.ts'
import type { Device, Kind, KindMap, Manifest, UpgradeOperation } from '../../src/api/resources.ts'
import { apiVersion } from '../../src/api/schema.ts'
import { isTrue } from '../../src/core/conditions.ts'
import { isFinished } from '../../src/core/operation.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import type { FleetOptions } from '../../src/simulator/fleet.ts'
import { serveFleet } from '../../src/simulator/serve-fleet.ts'
import { startVictim, type Victim } from '../crash/start-victim.ts'
import {
  createWorldFleet,
  isOnRouter,
  nameOfPoint,
  pointArguments,
  watchRouters,
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
  /** Runs a leader that nobody kills until nothing moves any more, and gives the names of what it wrote and ran. */
  namesUntil(rest: Rest): Promise<Set<string>>
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
  const { routers, wrongStarts, setTrap } = watchRouters(fleet.routers, resources)
  const served = await serveFleet({ routers, addresses: fleet.addresses })

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
  const startLeader = async (point?: Point): Promise<Victim> => {
    const args = [kubeconfig, namespace, folder, nextCache(), ...pointArguments(point)]
    const started = startVictim(victim, args, folder)
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
      operations.every(isFinished) &&
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
      const events = running?.events.slice(-40).map((event) => JSON.stringify(event)) ?? []
      throw new Error([error.message, ...statuses, ...events].join('\n'))
    })
  const endHere = async (): Promise<void> => {
    await running?.stop()
    running = undefined
  }

  const world: ClusterWorld = {
    fleet,
    wrongStarts,
    remembers: true,
    resources,
    declare: async ({ without = [], policy } = {}) => {
      for (const { written } of fleet.declared) {
        const { kind, metadata } = written
        if (kind === 'Device' && without.includes(metadata.name)) {
          await server.request('DELETE', `${pathOf(kind)}/${metadata.name}`)
          continue
        }
        const spec = kind === 'UpgradePolicy' ? { ...written.spec, ...policy } : written.spec
        await declare(server, { ...written, metadata: { ...metadata, namespace }, spec } as Manifest)
      }
    },
    killAt: async (point) => {
      const killed = await startLeader(point)
      running = startHere()
      const url = await running.url
      await until(
        'a standby that reads along',
        async () => (await fetch(new URL('/readyz', url))).ok,
        limitMs,
      )
      if (isOnRouter(point)) setTrap({ point, spring: killed.kill })
      killed.child.stdin!.end()
      await until(`a kill ${nameOfPoint(point)}`, () => hasEnded(killed), limitMs).catch((error: Error) => {
        throw new Error(`${error.message}\n${endOf(killed)}`)
      })
      await killed.closed
      expect(killed.child.signalCode, `${nameOfPoint(point)} was not reached:\n${endOf(killed)}`).toBe(
        'SIGKILL',
      )
      expect(killed.output.stdout).not.toContain('"bug"')
      expect(leads(running.events), 'the standby before the kill').toBe(false)
    },
    comesTo: async (rest) => {
      running ??= startHere()
      await untilAtRest(rest)
      expect(leads(running.events)).toBe(true)
      expect(running.events.filter(({ type }) => type === 'Bug')).toEqual([])
      await endHere()
    },
    namesUntil: async (rest) => {
      const { child, closed, output } = await startLeader()
      child.stdin!.end()
      await untilAtRest(rest)
      child.kill('SIGTERM')
      await closed
      expect(child.exitCode, output.stderr).toBe(0)
      const lines = output.stdout.split('\n').filter((line) => line !== '')
      return new Set(lines.flatMap((line) => (JSON.parse(line) as { name?: string }).name ?? []))
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

const leads = (events: readonly FleetEvent[]): boolean =>
  events.some((event) => event.type === 'Info' && event.reason === 'LeaderElected')
const tells = ({ output }: Victim, reason: string): boolean => output.stdout.includes(`"told":"${reason}"`)
const hasEnded = ({ child }: Victim): boolean => child.exitCode !== null || child.signalCode !== null
/** For the message of an assertion. */
const endOf = ({ output }: Victim): string =>
  [...output.stdout.split('\n').slice(-40), output.stderr].join('\n')
