/** Writes down what happens in a world: every write that its store accepts, and every command that its routers get. */
import type {
  AnyResource,
  Device,
  FailureClass,
  Phase,
  UpgradeOperation,
  UpgradePolicy,
} from '../../src/api/resources.ts'
import { hasCode } from '../../src/core/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Connector, Session } from '../../src/ports/connector.ts'
import type { RecordStore } from '../../src/ports/record-store.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import type { Network } from '../../src/simulator/connector.ts'
import type { Moment } from './ambush.ts'
import { orderOf } from '../../src/simulator/guard.ts'
import { textsIn } from '../support/texts-in.ts'
import type { ActName } from './operator.ts'
import {
  isAtWork,
  minuteMs,
  type KnownImage,
  type PhaseWrite,
  type PutBack,
  type Rules,
  type Send,
  type Upload,
} from './past.ts'
import type { Trouble } from './troubled-store.ts'

/** What a recorder has noted so far. */
export interface Notes {
  images: Map<string, KnownImage>
  writes: PhaseWrite[]
  putBack: PutBack | undefined
  sends: Send[]
  uploads: Upload[]
  rules: Rules[]
  texts: Set<string>
  bugs: string[]
  load: { mostSessions: number; mostSessionsOfOne: number; writes: number }
  /** When a controller died. */
  deaths: number[]
  /** The phase that was told last of the operation of each device. */
  phases: Map<string, Phase>
  /** Routers that were given up, in words, while an operation was at work on them. */
  lostHolds: string[]
  /** Routers whose keys were pinned once, and which were connected to as if nothing were known of them. */
  trustedAnew: { atMs: number; device: string }[]
  /** Claims that somebody else was first with. */
  lostClaims: number
  /** Controllers that took an operation out of its queue, by their places. */
  writers: Set<number>
  acts: { atMs: number; name: ActName }[]
  /** When it was stored that the losses of a day, YYYY-MM-DD, stop all starts. */
  saidLatched: { atMs: number; date: string }[]
  /** When the store was in what kind of trouble. */
  storeTrouble: Record<Trouble, number[]>
  /** When a fetch of an image failed, in monotonic ms. */
  failedFetches: number[]
}

/** An operation is told, or stored, to be in a phase. */
export type PhaseListener = (phase: Moment, device: string) => void

export interface Recorder {
  notes: Notes
  /** Hears of each phase before anything else happens in it. */
  onPhase: (listener: PhaseListener) => void
  store: (store: DeclaredStore) => DeclaredStore
  records: (records: RecordStore) => RecordStore
  connector: (connector: Connector, network: Network) => Connector
  emit: (event: FleetEvent) => void
  halt: (halted: boolean) => void
  /** The store holds what it held at an earlier time, when so many of all writes had been made. */
  putBack: (objects: readonly AnyResource[], older: Pick<PutBack, 'ofMs' | 'writesKnown'>) => void
}

export function createRecorder(clock: Clock): Recorder {
  const notes: Notes = {
    images: new Map(),
    writes: [],
    putBack: undefined,
    sends: [],
    uploads: [],
    rules: [],
    texts: new Set(),
    bugs: [],
    load: { mostSessions: 0, mostSessionsOfOne: 0, writes: 0 },
    deaths: [],
    phases: new Map(),
    lostHolds: [],
    trustedAnew: [],
    lostClaims: 0,
    writers: new Set(),
    acts: [],
    saidLatched: [],
    storeTrouble: { Error: [], Full: [], Slow: [] },
    failedFetches: [],
  }
  const listeners: PhaseListener[] = []
  const last = new Map<string, Standing>()
  const pins = new Map<string, readonly string[]>()
  /** When keys of a device were pinned first, by its name, in monotonic ms; also of removed ones. */
  const pinnedAt = new Map<string, number>()
  const claims = new Map<string, string | undefined>()
  let now: Omit<Rules, 'fromMs'> = {
    state: 'Run',
    maxConcurrent: 0,
    startsPerMinute: 0,
    retryToken: '',
    build: '',
    recalled: [],
    halted: false,
  }

  function rule(next: Partial<Rules>): void {
    now = { ...now, ...next }
    notes.rules.push({ ...now, fromMs: clock.monotonic() })
  }

  function notePolicy({ spec }: UpgradePolicy): void {
    const { state, limits, retryToken, target } = spec
    const { maxConcurrent, startsPerMinute } = limits
    rule({ state, maxConcurrent, startsPerMinute, retryToken, build: target.buildRef.name })
  }

  function noteOperation(operation: UpgradeOperation): void {
    const { metadata, spec, status } = operation
    const { phase, failureClass } = standingOf(operation)
    const { reason, attempts, bootIdBefore, bootIdAfter, maxUptime, image } = status
    const before = last.get(metadata.uid)
    if (before?.phase === phase && before.failureClass === failureClass) return
    last.set(metadata.uid, { phase, failureClass })
    notes.writes.push({
      atMs: clock.monotonic(),
      wallMs: clock.now(),
      operation: metadata.name,
      uid: metadata.uid,
      device: spec.deviceRef.name,
      phase,
      ...(spec.policyRef && { policy: spec.policyRef.name }),
      ...(spec.buildRef && { build: spec.buildRef.name }),
      ...(failureClass && { failureClass }),
      ...(reason !== undefined && { reason }),
      ...(attempts !== undefined && { attempts }),
      ...(bootIdBefore !== undefined && { bootIdBefore }),
      ...(bootIdAfter !== undefined && { bootIdAfter }),
      ...(maxUptime !== undefined && { maxUptime }),
      ...(image && { sha256: image.sha256 }),
    })
    if (before?.phase !== phase && isStoredFirst(phase)) hear(phase, spec.deviceRef.name)
  }

  function hear(phase: Moment, device: string): void {
    for (const listener of listeners) listener(phase, device)
  }

  function note(object: AnyResource): void {
    switch (object.kind) {
      case 'UpgradeOperation':
        return noteOperation(object)
      case 'UpgradePolicy':
        return notePolicy(object)
      case 'Device':
        claims.set(object.metadata.name, object.status.operationRef?.name)
        if (object.status.hostKeys && !pinnedAt.has(object.metadata.name))
          pinnedAt.set(object.metadata.name, clock.monotonic())
        return void pins.set(object.metadata.name, object.spec.hostKeys ?? object.status.hostKeys ?? [])
      case 'FirmwareImage': {
        const { sha256, boards = [], metadata } = object.status
        // Of one that has just been brought back nobody has said yet for which boards it is.
        if (sha256 !== undefined && (boards.length > 0 || !notes.images.has(sha256)))
          notes.images.set(sha256, {
            build: object.spec.buildRef.name,
            boards,
            revision: metadata?.revision ?? '',
          })
        return
      }
      case 'Build':
      case 'Category':
    }
  }

  function noteHold({ metadata, status }: Device): void {
    const before = claims.get(metadata.name)
    if (before === undefined || before === status.operationRef?.name || notes.putBack) return
    const phase = notes.writes.findLast(({ operation }) => operation === before)?.phase
    if (phase !== undefined && isAtWork(phase))
      notes.lostHolds.push(`claim: ${metadata.name} was given up while ${before} was ${phase}`)
  }

  /** A device that is to be taken, and not one that is only written while it is. */
  const isClaim = (object: AnyResource): boolean =>
    object.kind === 'Device' &&
    object.status.operationRef !== undefined &&
    object.status.operationRef.name !== claims.get(object.metadata.name)

  return {
    notes,
    onPhase: (listener) => void listeners.push(listener),
    store: (store) => ({
      ...store,
      async apply(manifest) {
        const object = await store.apply(manifest)
        if (object.kind === 'Build') {
          const { name } = object.metadata
          const others = now.recalled.filter((build) => build !== name)
          rule({ recalled: object.spec.lifecycle === 'Recalled' ? [...others, name] : others })
        } else note(object)
        return object
      },
      async saveStatus(object) {
        notes.load.writes += 1
        try {
          const saved = await store.saveStatus(object)
          for (const text of textsIn(saved.status)) notes.texts.add(text)
          if (saved.kind === 'Device') noteHold(saved)
          if (saved.kind !== 'UpgradePolicy') note(saved)
          for (const date of latchesIn(saved)) notes.saidLatched.push({ atMs: clock.monotonic(), date })
          return saved
        } catch (error) {
          if (hasCode(error, 'Conflict') && isClaim(object)) notes.lostClaims += 1
          throw error
        }
      },
    }),
    records: (records) => ({
      ...records,
      async delete(name) {
        await records.delete(name)
        const [kind, , device] = name.split('/')
        if (kind === 'removed-device') hear('Returned', device!)
      },
    }),
    connector: (connector, network) => watchSessions(connector, { network, clock, notes, pins, pinnedAt }),
    emit(event) {
      if (event.type === 'Bug')
        notes.bugs.push(
          `bug: ${JSON.stringify(event, (_, value: unknown) => (value instanceof Error ? value.stack : value))}`,
        )
      else if (event.type === 'Log') notes.texts.add(event.line)
      else if (event.type !== 'Progress') notes.texts.add(event.message)
      if (event.type === 'Phase') notes.phases.set(event.device.name, event.phase)
      if (event.type === 'Phase' && event.before !== event.phase && !isStoredFirst(event.phase))
        hear(event.phase, event.device.name)
    },
    halt: (halted) => rule({ halted }),
    putBack(objects, older) {
      notes.putBack = { ...older, atMs: clock.monotonic(), writesMade: notes.writes.length }
      for (const known of [last, pins, claims, pinnedAt]) known.clear()
      for (const object of objects) {
        if (object.kind === 'Device') note(object)
        else if (object.kind === 'UpgradeOperation') last.set(object.metadata.uid, standingOf(object))
      }
    },
  }
}

/** The days of which it says that their losses stop all starts. */
export function latchesIn({ kind, status }: AnyResource): string[] {
  const said = kind === 'UpgradeOperation' ? [status] : kind === 'UpgradePolicy' ? status.conditions : []
  return (said ?? []).flatMap(({ reason, message = '' }) =>
    reason === 'LostLimit' ? (/\d{4}-\d\d-\d\d/.exec(message) ?? []) : [],
  )
}

interface Standing {
  phase: Phase
  failureClass: FailureClass | undefined
}

const standingOf = ({ status }: UpgradeOperation): Standing => ({
  phase: status.phase ?? 'Queued',
  failureClass: status.failureClass,
})

/** Other phases are told as they begin, and may never be stored. */
const isStoredFirst = (phase: Phase): boolean => storedFirst.has(phase)
const storedFirst = new Set<Phase>(['Flashing', 'Rebooting', 'Failed'])

/** Within so long every controller knows what another one has written. */
const newsMs = minuteMs

interface Watched {
  network: Network
  clock: Clock
  notes: Notes
  pins: ReadonlyMap<string, readonly string[]>
  pinnedAt: ReadonlyMap<string, number>
}

/** Sessions of which it is noted how many there are, and what of consequence is sent over them. */
function watchSessions(connector: Connector, watched: Watched): Connector {
  const { network, clock, notes, pins, pinnedAt } = watched
  const open = new Map<string, number>()
  let all = 0

  function watch(session: Session, device: string, shown: readonly string[]): Session {
    const ofOne = (open.get(device) ?? 0) + 1
    open.set(device, ofOne)
    all += 1
    notes.load.mostSessions = Math.max(notes.load.mostSessions, all)
    notes.load.mostSessionsOfOne = Math.max(notes.load.mostSessionsOfOne, ofOne)
    let isOpen = true
    return {
      ...session,
      exec(command, options, signal) {
        if (command[3] === 'guard' && !signal.aborted)
          notes.sends.push({ atMs: clock.monotonic(), device, order: orderOf(command.slice(4)) })
        return session.exec(command, options, signal)
      },
      upload(command, content, options, signal) {
        notes.uploads.push({ atMs: clock.monotonic(), device, shown, pins: pins.get(device) ?? [] })
        return session.upload(command, content, options, signal)
      },
      close() {
        if (isOpen) {
          isOpen = false
          all -= 1
          open.set(device, open.get(device)! - 1)
        }
        return session.close()
      },
    }
  }

  return {
    ...connector,
    async connect(target, deadlineMs, signal) {
      const beganMs = clock.monotonic()
      const session = await connector.connect(target, deadlineMs, signal)
      const router = network(session.address, target.port)!
      const shown = router.state.hostKeys.map(({ line }) => line)
      // Of two controllers that meet a new router at one time, neither knows what the other one has seen.
      const isKnown = beganMs - (pinnedAt.get(router.name) ?? Infinity) > newsMs
      if (target.hostKeys.length === 0 && isKnown)
        notes.trustedAnew.push({ atMs: beganMs, device: router.name })
      return watch(session, router.name, shown)
    },
  }
}
