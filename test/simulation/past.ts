/** What has happened in a world: told by its routers, by the store, and by those who gave orders; by no controller. */
import type { Device, FailureClass, Phase, UpgradeOperation, UpgradePolicy } from '../../src/api/resources.ts'
import type { GovernorSettings } from '../../src/controllers/governor.ts'
import { eventsOf, type RouterEvent, type StartOrder } from '../../src/simulator/history.ts'

/** All times are monotonic ms unless their name says otherwise. */
export interface RouterPast {
  name: string
  history: readonly RouterEvent[]
}

/** A status of an operation that the store accepted, where it is another phase or class than before. */
export interface PhaseWrite {
  atMs: number
  wallMs: number
  operation: string
  /** Of two operations with one name each has its own: one may be made when the other is forgotten. */
  uid: string
  device: string
  /** Absent: written by hand. */
  policy?: string
  phase: Phase
  failureClass?: FailureClass
  reason?: string
  attempts?: number
  bootIdBefore?: string
  bootIdAfter?: string
  maxUptime?: number
  /** Of its image. */
  sha256?: string
  build?: string
}

/** An older state was put in the place of the one that the controllers had come to. */
export interface PutBack {
  /** Of when it was. */
  ofMs: number
  /** So many of all writes it knows of: the first ones. */
  writesKnown: number
  /** So many writes had been made when it was put back. */
  writesMade: number
  atMs: number
}

/** The guard was sent to a router. */
export interface Send {
  atMs: number
  device: string
  order: StartOrder
}

/** An image was about to be sent over a session. */
export interface Upload {
  atMs: number
  device: string
  /** The router's true host keys. */
  shown: readonly string[]
  /** What the store held of the device then. */
  pins: readonly string[]
}

/** A controller that was told to end has done so. */
export interface Ending {
  /** When it was told. */
  sinceMs: number
  atMs: number
  /** Routers that it was uploading to or testing, of which each could be reached, and what it left stopped there. */
  left: readonly { device: string; services: readonly string[] }[]
}

/** What was in force from a moment on. */
export interface Rules {
  fromMs: number
  state: UpgradePolicy['spec']['state']
  maxConcurrent: number
  startsPerMinute: number
  retryToken: string
  build: string
  recalled: readonly string[]
  halted: boolean
}

/** An image as it was declared. */
export interface KnownImage {
  build: string
  boards: readonly string[]
  revision: string
}

/** The objects as they are when nothing has gone wrong for a while. */
export interface Rest {
  atMs: number
  wallMs: number
  /** No probe is planned further ahead. */
  longestWaitMs: number
  /** One that is due may be under way for so long. */
  slowestProbeMs: number
  devices: readonly Device[]
  operations: readonly UpgradeOperation[]
  policy: UpgradePolicy
  /** Routers that answer, and whose controllers know that. */
  reachable: readonly { name: string; stoppedServices: readonly string[] }[]
}

export interface Past {
  routers: readonly RouterPast[]
  images: ReadonlyMap<string, KnownImage>
  writes: readonly PhaseWrite[]
  putBack: PutBack | undefined
  sends: readonly Send[]
  uploads: readonly Upload[]
  /** A router whose keys were pinned once was connected to as if nothing were known of it. */
  trustedAnew: readonly { atMs: number; device: string }[]
  rules: readonly Rules[]
  endings: readonly Ending[]
  /** Whoever is told to end has done so. */
  endsWithinMs: number
  /** Losses of this day were acknowledged. */
  acknowledged: readonly { atMs: number; date: string }[]
  /** It was stored, or still is at the end, that the losses of this day stop all starts. */
  saidLatched: readonly { atMs: number; date: string }[]
  governor: GovernorSettings
  /** Controllers that work at the same time, whatever the others do. */
  leaders: number
  /** Between two knocks at a router that reboots. */
  knockMs: number
  /** How late a controller may hear of an order. */
  newsMs: number
  /** How long after the last look at HALT a start may be sent: as long as its intent is on its way. */
  haltNewsMs: number
  /** By how much less than a minute starts may lie apart, where the store takes its time. */
  slackMs: number
  /** Of the wall clock: by how much, and when. */
  jumps: readonly { atMs: number; byMs: number }[]
  /** When a controller began. */
  beginnings: readonly number[]
  /** Everything that was told or stored for people to read. */
  texts: ReadonlySet<string>
  /** Must be in none of them. */
  canaries: readonly string[]
  load: { mostSessions: number; mostSessionsOfOne: number; writes: number; deviceDays: number }
  rest: Rest
}

export const minuteMs = 60_000
export const hourMs = 60 * minuteMs
export const dayMs = 24 * hourMs

type Start = ReturnType<typeof startsOf>[number]

export const startsOf = ({ history }: RouterPast) => eventsOf(history, 'FlashStarted')

/** A start that came to nothing before it touched the flash, by the router's own account. */
export const diedBefore = (router: RouterPast, start: Start, beforeMs = Infinity): boolean =>
  eventsOf(router.history, 'FlashDied').some(
    ({ bootId, operation, atMs }) =>
      bootId === start.bootId &&
      operation === start.order.operation &&
      atMs >= start.atMs &&
      atMs <= beforeMs,
  )

/** Everything that was in force at some instant between the two. */
export const rulesWithin = (rules: readonly Rules[], fromMs: number, toMs: number): Rules[] =>
  rules.filter((rule, index) => rule.fromMs <= toMs && (rules[index + 1]?.fromMs ?? Infinity) >= fromMs)

/** What one state of the controllers came to hold: all writes and acknowledgements behind it. */
export interface Memory extends Pick<Past, 'writes' | 'acknowledged'> {
  /** From when to when it was in use. */
  fromMs: number
  toMs: number
}

/** One after the other: two of them where an older state was put back. */
export function memoriesOf(past: Pick<Past, 'writes' | 'acknowledged' | 'putBack'>): Memory[] {
  const { writes, acknowledged, putBack } = past
  if (!putBack) return [{ fromMs: -Infinity, toMs: Infinity, writes, acknowledged }]
  const { ofMs, atMs, writesKnown, writesMade } = putBack
  // Whoever begins over the older state may do so at the very moment, and nobody runs then who had the newer one.
  const isLater = (each: { atMs: number }): boolean => each.atMs >= atMs
  return [
    {
      fromMs: -Infinity,
      toMs: atMs,
      writes: writes.slice(0, writesMade),
      acknowledged: acknowledged.filter((each) => !isLater(each)),
    },
    {
      fromMs: atMs,
      toMs: Infinity,
      writes: [...writes.slice(0, writesKnown), ...writes.slice(writesMade)],
      acknowledged: acknowledged.filter((each) => each.atMs <= ofMs || isLater(each)),
    },
  ]
}

/** Whether it was while this was the state in use. */
export const isWithin = ({ fromMs, toMs }: Memory, { atMs }: { atMs: number }): boolean =>
  atMs >= fromMs && atMs < toMs

/** From the intent of a start to what has come of it. */
export const inFlash: ReadonlySet<Phase> = new Set<Phase>(['Flashing', 'Rebooting', 'Verifying'])

/** Whether an operation has its device to itself in this phase, and holds a slot. */
export const isAtWork = (phase: Phase): boolean => phase !== 'Queued' && !isFinal(phase)
export const isFinal = (phase: Phase): boolean =>
  phase === 'Succeeded' || phase === 'Failed' || phase === 'Cancelled'

/** The last of each operation. */
export const lastOf = (writes: readonly PhaseWrite[]): PhaseWrite[] => [
  ...new Map(writes.map((write) => [write.operation, write])).values(),
]

/** The last that was written of each operation, up to a moment. */
export const standing = ({ writes }: Pick<Past, 'writes'>, atMs: number): PhaseWrite[] =>
  lastOf(writes.filter((write) => write.atMs <= atMs))

/** The name of an operation without its attempt: the same for a device, revision and retry token. */
export const stemOf = (operation: string): string => operation.slice(0, operation.lastIndexOf('-'))

/** Whether a router says of itself what is not so, in the boot that it is in at that time. */
export const liesAt = (router: RouterPast, atMs: number): boolean => {
  const lie = eventsOf(router.history, 'Fault').findLast(
    ({ kind, atMs: at }) => (kind === 'Lies' || kind === 'ReleaseEdited') && at <= atMs,
  )
  const boot = eventsOf(router.history, 'Booted').findLast(({ atMs: at }) => at <= atMs)
  return lie !== undefined && boot !== undefined && lie.atMs >= boot.atMs
}
