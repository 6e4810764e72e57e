/** A past in which all is well, of one router that is upgraded once, and what it takes to forge it. */
import { revisionOf, operationStem } from '../../src/core/names.ts'
import type { RouterEvent, RouterFact, StartOrder } from '../../src/simulator/history.ts'
import { device, operation, policy } from '../support/core-objects.ts'
import { dayMs, hourMs, minuteMs, type Past, type PhaseWrite, type Rules } from './past.ts'

export type Mutable<T> = T extends string | number | boolean | undefined
  ? T
  : T extends ReadonlyMap<infer K, infer V>
    ? Map<K, Mutable<V>>
    : T extends ReadonlySet<infer V>
      ? Set<V>
      : { -readonly [P in keyof T]: Mutable<T[P]> }
export type Forged = Mutable<Past>

const epochMs = Date.parse('2026-03-01T00:00:00Z')
export const sha256 = 'a'.repeat(64)
export const other = 'b'.repeat(64)
const revision = revisionOf('new', [sha256])
export const stem = operationStem('ap-1', revision, '')
export const name = `${stem}-1`
export const order: StartOrder = {
  operation: name,
  bootId: 'boot-0',
  board: 'board',
  revision: 'r1',
  maxUptimeSeconds: 90,
  sha256,
}
export const old = { distribution: 'OpenWrt', version: '1', revision: 'r1' }
export const target = { distribution: 'OpenWrt', version: '2', revision: 'r2' }

export const at = (atMs: number, fact: RouterFact): RouterEvent => ({ ...fact, atMs, wallMs: epochMs + atMs })
export const booted = (atMs: number, bootId: string, release = target, board = 'board'): RouterEvent =>
  at(atMs, { type: 'Booted', bootId, board, release })
export const started = (atMs: number, changes: Partial<StartOrder> = {}, bootId = 'boot-0'): RouterEvent =>
  at(atMs, {
    type: 'FlashStarted',
    bootId,
    board: 'board',
    uptimeSeconds: Math.floor(atMs / 1000),
    release: old,
    imageBoards: ['board'],
    order: { ...order, bootId, ...changes },
  })
export const died = (atMs: number): RouterEvent =>
  at(atMs, { type: 'FlashDied', operation: name, bootId: 'boot-0' })

export const write = (atMs: number, changes: Partial<PhaseWrite>): PhaseWrite => ({
  atMs,
  wallMs: epochMs + atMs,
  operation: name,
  uid: changes.operation ?? name,
  device: 'ap-1',
  policy: 'all',
  build: 'new',
  phase: 'Queued',
  sha256,
  ...changes,
})
export const told = { bootIdBefore: 'boot-0', maxUptime: 90 }
export const rule = (fromMs: number, changes: Partial<Mutable<Rules>> = {}): Mutable<Rules> => ({
  fromMs,
  state: 'Run',
  maxConcurrent: 1,
  startsPerMinute: 1,
  retryToken: '',
  build: 'new',
  recalled: [],
  halted: false,
  ...changes,
})

export const counts = {
  matched: 1,
  eligible: 1,
  onTarget: 1,
  queued: 0,
  inFlight: 0,
  succeeded: 1,
  failed: 0,
  lost: 0,
  rolledBack: 0,
  offline: 0,
  quarantined: 0,
  held: 0,
  unsupported: 0,
  unknown: 0,
}

/** One router, upgraded once. */
export function past(): Forged {
  const restMs = 2 * hourMs
  const nextProbeTime = new Date(epochMs + restMs + hourMs).toISOString()
  const forged: Past = {
    routers: [
      {
        name: 'ap-1',
        history: [
          booted(0, 'boot-0', old),
          started(10_000),
          at(70_000, { type: 'FlashWritten', operation: name, sha256, release: target, bootId: 'boot-0' }),
          booted(100_000, 'boot-1'),
        ],
      },
    ],
    images: new Map([[sha256, { build: 'new', boards: ['board'], revision: 'r2' }]]),
    writes: [
      write(1000, { phase: 'Connecting' }),
      write(9000, { phase: 'Flashing', ...told }),
      write(11_000, { phase: 'Rebooting', ...told }),
      write(101_000, { phase: 'Succeeded', ...told, bootIdAfter: 'boot-1' }),
    ],
    putBack: undefined,
    sends: [{ atMs: 9500, device: 'ap-1', order }],
    trustedAnew: [],
    uploads: [{ atMs: 2000, device: 'ap-1', shown: ['key'], pins: ['key'] }],
    rules: [rule(0)],
    endings: [],
    endsWithinMs: 30_000,
    acknowledged: [],
    saidLatched: [],
    governor: { maxInFlight: 1, maxStartsPerMinute: 1, maxLostPerDay: 1 },
    leaders: 1,
    knockMs: 1000,
    newsMs: 0,
    haltNewsMs: 0,
    slackMs: 0,
    jumps: [],
    beginnings: [0],
    texts: new Set(['runs OpenWrt 2 r2']),
    canaries: ['canary'],
    load: { mostSessions: 1, mostSessionsOfOne: 1, writes: 10, deviceDays: 1 },
    rest: {
      atMs: restMs,
      wallMs: epochMs + restMs,
      longestWaitMs: dayMs,
      slowestProbeMs: minuteMs,
      devices: [
        device(
          {},
          {
            board: 'board',
            bootId: 'boot-1',
            release: target,
            buildRef: { name: 'new' },
            desiredBuildRef: { name: 'new' },
            policyRef: { name: 'all' },
            nextProbeTime,
          },
        ),
      ],
      operations: [operation(name, { phase: 'Succeeded', reason: 'Succeeded' })],
      policy: { ...policy(), status: { counts } },
      reachable: [{ name: 'ap-1', stoppedServices: [] }],
    },
  }
  return structuredClone(forged) as Forged
}

export interface Row {
  says: string
  forge: (forged: Forged) => void
}

/** Puts events into the history of the router, in the order of their times. */
export function happened({ routers }: Forged, ...events: RouterEvent[]): void {
  const history = routers[0]!.history as RouterEvent[]
  history.push(...events)
  history.sort((a, b) => a.atMs - b.atMs)
}

export const startOf = ({ routers }: Forged) =>
  routers[0]!.history[1] as Mutable<ReturnType<typeof started>> & {
    order: Mutable<StartOrder>
    board: string
    imageBoards: string[]
    uptimeSeconds: number
    bootId: string
  }
export const bootOf = ({ routers }: Forged) =>
  routers[0]!.history[3] as Mutable<RouterEvent> & { bootId: string; board: string; release: typeof old }
export const lastWrite = ({ writes }: Forged) => writes.at(-1)!
export const deviceOf = ({ rest }: Forged) => rest.devices[0]!
export const statusOf = ({ rest }: Forged) => rest.operations[0]!.status
