import { join } from 'node:path'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { defaultPolicySettings } from '../../src/api/defaults.ts'
import type { Device, Phase, UpgradeOperation } from '../../src/api/resources.ts'
import { apiVersion } from '../../src/api/schema.ts'
import { messageOf } from '../../src/core/errors.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import type { ResourceStore } from '../../src/ports/resource-store.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import { startClusterFleet, startController } from '../support/cluster-fleet.ts'
import type { Cluster } from '../support/cluster-suite.ts'
import { startHttpFaultProxy } from '../support/http-fault-proxy.ts'
import { keepRunning, kubeconfigTo } from '../support/proxied-controller.ts'
import type { Direction } from '../support/toxics.ts'
import { until } from '../support/until.ts'
import type { WireHarm } from '../support/wire-harms.ts'

/** When the harm comes: before anything was read, or as soon as the operation is in a phase. */
const moments = [
  'List',
  'Connecting',
  'Checking',
  'Uploading',
  'Testing',
  'Flashing',
  'Rebooting',
  'Succeeded',
] as const satisfies readonly ('List' | Phase)[]
/** A phase is told before it is stored. With an intent that is stored a start is in order, whatever the wire does then. */
const beforeIntent = new Set<string>(moments.slice(0, moments.indexOf('Rebooting')))

/** So many rounds are every harm at every moment. */
export const wireRounds = moments.length

const harmMs = 4000
/** An upgrade that takes longer hangs: an intent whose answer was lost is tried again when its time has passed. */
const endMs = 120_000
const flash = '10s'

/** What a request may take at the most, and how much later a busy machine may say so. */
const requestLimitMs = 30_000
const slackMs = 1000

interface WireCase {
  harm: WireHarm
  moment: (typeof moments)[number]
  direction: Direction
}
export const wireCases = (round: number, harms: readonly WireHarm[]): WireCase[] =>
  harms.map((harm, row) => ({
    harm,
    moment: moments[(row + round) % moments.length]!,
    // Other than with the moment: neither a moment nor a harm keeps to one direction.
    direction: (Math.floor(row / 2) + round) % 2 === 0 ? 'upstream' : 'downstream',
  }))

interface Played {
  cases: number
  /** Starts that came while nothing could be stored. */
  partitioned: string[]
  /** Cases that did not end as they should. */
  wrong: string[]
  /** How much longer than its limit a request took at the most. */
  overrunMs: number
}

/** A store of which each request is timed. */
function timed(store: ResourceStore, onTook: (ms: number) => void): ResourceStore {
  const time = async <T>(request: () => Promise<T>): Promise<T> => {
    const sinceMs = systemClock.monotonic()
    try {
      return await request()
    } finally {
      onTook(systemClock.monotonic() - sinceMs)
    }
  }
  return {
    ...store,
    get: (kind, key) => time(() => store.get(kind, key)),
    create: (manifest) => time(() => store.create(manifest)),
    setFinalizers: (object, finalizers) => time(() => store.setFinalizers(object, finalizers)),
    saveStatus: (object) => time(() => store.saveStatus(object)),
    delete: (kind, key, options) => time(() => store.delete(kind, key, options)),
  }
}

/** Plays each harm once, at moments that differ from round to round, side by side in namespaces of their own. */
export async function playWire(cluster: Cluster, round: number, harms: readonly WireHarm[]): Promise<Played> {
  const cases = wireCases(round, harms)
  const played: Played = { cases: cases.length, partitioned: [], wrong: [], overrunMs: 0 }
  await Promise.all(cases.map((each, index) => playCase(cluster, each, `wire-${round}-${index}`, played)))
  return played
}

async function playCase(
  { server, kubectl, kubeconfigs, open }: Cluster,
  { harm, moment, direction }: WireCase,
  namespace: string,
  played: Played,
): Promise<void> {
  const { partitioned, wrong } = played
  const name = `${harm.name} ${direction} at ${moment}`
  const fleet = await startClusterFleet(server, {
    count: 1,
    policy: {
      limits: { maxConcurrent: 1, startsPerMinute: 10_000 },
      retry: { ...defaultPolicySettings.retry, preFlash: 10, backoff: '1s', maxBackoff: '2s' },
      timeouts: { ...defaultPolicySettings.timeouts, flash },
    },
  })
  open.push(fleet)
  await kubectl('create', 'namespace', namespace)
  await kubectl('apply', '--namespace', namespace, '-f', fleet.folder)
  const proxy = await startHttpFaultProxy({ to: server.url, ca: server.ca })
  open.push({ stop: () => proxy.close() })
  const kubeconfig = await kubeconfigTo(proxy.origin, kubeconfigs.admin)

  let harmed: [from: number, to: number] | undefined
  const strike = (): void => {
    if (harmed) return
    harmed = [systemClock.monotonic(), Infinity]
    const off = harm.strike(proxy.tcp, { direction, afterBytes: 200 })
    systemClock.after(harmMs, () => {
      off()
      harmed![1] = systemClock.monotonic()
    })
  }
  const events: FleetEvent[] = []
  const emit = (event: FleetEvent): void => {
    events.push(event)
    if (event.type === 'Phase' && event.phase === moment) strike()
  }
  const onTook = (ms: number): void => {
    const overrunMs = Math.max(0, ms - requestLimitMs)
    played.overrunMs = Math.max(played.overrunMs, overrunMs)
    if (overrunMs > slackMs) wrong.push(`${name}: a request took ${Math.round(ms)} ms`)
  }
  if (moment === 'List') strike()
  const kept = keepRunning((nth) =>
    startController(
      kubeconfig,
      {
        images: fleet.folder,
        cache: join(fleet.folder, `cache-${nth}`),
        namespace: [namespace],
        controllerNamespace: namespace,
      },
      {
        events: { emit },
        decorate: (outside) => ({ ...outside, store: timed(outside.store, onTook) }),
      },
    ),
  )
  open.push(kept)

  const read = async <T>(plural: string): Promise<T[]> => {
    const { body } = await server.request('GET', `/apis/${apiVersion}/namespaces/${namespace}/${plural}`)
    // A busy server may refuse to answer.
    return (body as { items?: T[] }).items ?? []
  }
  let last = 'no operation'
  const hasEnded = async (): Promise<boolean> => {
    const operations = await read<UpgradeOperation>('upgradeoperations')
    last = operations.map(({ status }) => `${status?.phase} ${status?.message}`).join(', ')
    if (operations.length !== 1 || operations[0]!.status?.phase !== 'Succeeded') return false
    const [device] = await read<Device>('devices')
    return device?.status.operationRef === undefined
  }
  try {
    await Promise.race([until(`${name} has succeeded`, hasEnded, endMs, 200), kept.ended])
  } catch (error) {
    wrong.push(`${messageOf(error)}: ${last}`)
  }
  const [router] = fleet.routers
  const starts = eventsOf(router!.history, 'FlashStarted')
  const within = starts.filter(({ atMs }) => harmed && atMs >= harmed[0] && atMs <= harmed[1])
  if (harm.breaks && beforeIntent.has(moment) && within.length > 0) partitioned.push(name)
  if (!harmed) wrong.push(`${name} never came`)
  if (fleet.flashes()[0] !== 1) wrong.push(`${name}: ${fleet.flashes()[0]} flashes`)
  for (const event of events) if (event.type === 'Bug') wrong.push(`${name}: ${String(event.error)}`)
}
