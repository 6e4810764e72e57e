/** What has to happen now and then: a simulation that never meets it proves nothing about it. */
import type { Phase } from '../../src/api/resources.ts'
import { eventsOf, type RouterEvent } from '../../src/simulator/history.ts'
import type { FaultKind } from '../../src/simulator/faults.ts'
import type { ActName } from './operator.ts'
import {
  dayMs,
  inFlash,
  lastOf,
  memoriesOf,
  standing,
  type Past,
  type PhaseWrite,
  type RouterPast,
} from './past.ts'
import type { Notes } from './recorder.ts'
import { latchesOf, type Stop } from './stops.ts'

/** A world that has ended. */
export interface Seen {
  past: Past
  notes: Notes
}

const inFlight = new Set<Phase>(['Connecting', 'Checking', 'Uploading', 'Testing'])

const latches = (past: Past): Stop[] => memoriesOf(past).flatMap((memory) => latchesOf(memory, past))

const isOneInFlight = (writes: readonly PhaseWrite[]): boolean =>
  lastOf(writes).some(({ phase }) => inFlight.has(phase) || inFlash.has(phase))

const isAny = (
  past: Past,
  times: readonly number[],
  fits: (write: PhaseWrite, atMs: number) => boolean,
): boolean => times.some((atMs) => standing(past, atMs).some((write) => fits(write, atMs)))

const isSent = ({ sends }: Past, { operation, bootIdBefore, maxUptime }: PhaseWrite, byMs: number): boolean =>
  sends.some(
    ({ atMs, order }) =>
      atMs <= byMs &&
      order.operation === operation &&
      order.bootId === bootIdBefore &&
      order.maxUptimeSeconds === maxUptime,
  )

const lacksServices = ({ history }: RouterPast, atMs: number): boolean =>
  history.findLast((event) => event.atMs <= atMs && endsOfServices.has(event.type))?.type ===
  'ServicesStopped'
const endsOfServices = new Set<RouterEvent['type']>(['ServicesStopped', 'ServicesStarted', 'Booted'])

const refusals =
  (verdict: number) =>
  ({ past }: Seen) =>
    past.routers.some(({ history }) => eventsOf(history, 'Guard').some((guard) => guard.verdict === verdict))

const met =
  (kind: FaultKind) =>
  ({ past }: Seen) =>
    past.routers.some(({ history }) => eventsOf(history, 'Fault').some((fault) => fault.kind === kind))

const ended =
  (fits: (write: PhaseWrite) => boolean) =>
  ({ past }: Seen) =>
    past.writes.some(fits)

/** An operation that was Lost and became this, so long after. */
const healed =
  (fits: (write: PhaseWrite) => boolean, afterMs = 0) =>
  ({ past }: Seen) =>
    past.writes.some((write) => {
      if (!fits(write)) return false
      const lost = past.writes.find(
        ({ operation, failureClass, atMs }) =>
          operation === write.operation && failureClass === 'Lost' && atMs < write.atMs,
      )
      return lost !== undefined && write.atMs - lost.atMs >= afterMs
    })

/** Whether an operator did this while an operation was in one of these phases. */
const actedIn =
  (phases: ReadonlySet<Phase>, ...names: ActName[]) =>
  ({ past, notes }: Seen) =>
    isAny(
      past,
      notes.acts.filter(({ name }) => names.includes(name)).map(({ atMs }) => atMs),
      ({ phase }) => phases.has(phase),
    )

const troubledInFlight =
  (timesOf: (notes: Notes) => readonly number[]) =>
  ({ past, notes }: Seen) =>
    isAny(past, timesOf(notes), ({ phase }) => inFlight.has(phase) || inFlash.has(phase))

const succeeded = ({ phase, reason }: PhaseWrite): boolean =>
  phase === 'Succeeded' && reason !== 'AlreadyOnTarget'

export const sometimes: Readonly<Record<string, (seen: Seen) => boolean>> = {
  'crash after the intent, before the start': ({ past, notes }) =>
    isAny(past, notes.deaths, (write, atMs) => write.phase === 'Flashing' && !isSent(past, write, atMs)),
  'crash after the start, before its answer': ({ past, notes }) =>
    isAny(past, notes.deaths, (write, atMs) => write.phase === 'Flashing' && isSent(past, write, atMs)),
  'guard refuses another boot (90)': refusals(90),
  'guard refuses another board (91)': refusals(91),
  'guard refuses another release (92)': refusals(92),
  'guard refuses a late start by its uptime (93)': refusals(93),
  'guard refuses while another holds the lock (94)': refusals(94),
  'guard refuses another image than the one checked (95)': refusals(95),
  'guard refuses while an upgrade runs (96)': refusals(96),
  'guard refuses what sysupgrade refuses (97)': refusals(97),
  'guard refuses when it cannot write its marker (98)': refusals(98),
  'two leaders each take an operation': ({ notes }) => notes.writers.size > 1,
  'claim lost to somebody else': ({ notes }) => notes.lostClaims > 0,
  'lost, then Succeeded': healed(({ phase }) => phase === 'Succeeded'),
  'lost, then RolledBack': healed(({ failureClass }) => failureClass === 'RolledBack'),
  'lost for ten days, and back': healed(({ failureClass }) => failureClass !== 'Lost', 10 * dayMs),
  'image damaged on its way': met('UploadCorrupted'),
  'host key changed': ended(({ failureClass }) => failureClass === 'HostKeyChanged'),
  'identity changed': ended(({ failureClass }) => failureClass === 'IdentityChanged'),
  'router lies about its release': met('Lies'),
  'governor latched by losses': ({ past }) => latches(past).length > 0,
  'governor latched with another one in flight': ({ past }) =>
    latches(past).some(({ fromMs }) => isOneInFlight(past.writes.filter(({ atMs }) => atMs <= fromMs))),
  'told to end while services are stopped': ({ past }) =>
    past.endings.some(({ sinceMs }) => past.routers.some((router) => lacksServices(router, sinceMs))),
  'losses acknowledged': ({ past }) => latches(past).some(({ toMs }) => toMs < Infinity),
  'governor reached by what is in flight': ({ past }) => isGovernorReached(past),
  'HALT in a start': actedIn(inFlash, 'halt'),
  'HALT in an upload': actedIn(inFlight, 'halt'),
  'Pause in an upload': actedIn(inFlight, 'pause'),
  'abort cancels': ended(({ phase, reason }) => phase === 'Cancelled' && reason === 'PolicyAborted'),
  'cancelled by the operator': ended(({ reason }) => reason === 'CancelRequested'),
  'superseded by another target': ended(({ reason }) => reason === 'Superseded'),
  'device held in flight': ended(({ phase, reason }) => phase === 'Cancelled' && reason === 'Held'),
  'device removed in flight': ended(
    ({ phase, reason }) => phase === 'Cancelled' && reason === 'DeviceRemoved',
  ),
  'device removed in its flash': actedIn(inFlash, 'removeDevice'),
  'target rolled back in a flash': actedIn(inFlash, 'rollBack'),
  'by hand, and Succeeded': ended((write) => write.policy === undefined && succeeded(write)),
  'what is declared taken away in flight': actedIn(new Set([...inFlight, ...inFlash]), 'withdraw'),
  'tenth attempt at one upgrade': ({ past }) =>
    past.writes.some(({ policy, operation }) => policy !== undefined && /-\d\d$/.test(operation)),
  'retry budget used up': ended(({ phase, attempts = 0 }) => phase === 'Failed' && attempts >= 4),
  'wall clock jumped in a flash': ({ past }) =>
    isAny(
      past,
      past.jumps.map(({ atMs }) => atMs),
      ({ phase }) => inFlash.has(phase),
    ),
  'store failed in flight': troubledInFlight(({ storeTrouble }) => storeTrouble.Error),
  'disk full in flight': troubledInFlight(({ storeTrouble }) => storeTrouble.Full),
  'store slow in flight': troubledInFlight(({ storeTrouble }) => storeTrouble.Slow),
  'older state put back, with one in flight': ({ past: { writes, putBack } }) =>
    putBack !== undefined && isOneInFlight(writes.slice(0, putBack.writesKnown)),
  'older state put back, which knows nothing of a start': ({ past: { writes, putBack } }) =>
    putBack !== undefined &&
    writes.slice(putBack.writesKnown, putBack.writesMade).some(({ phase }) => phase === 'Flashing'),
  'older state put back, which knows nothing of a fall-back': ({ past: { writes, putBack } }) =>
    putBack !== undefined &&
    writes
      .slice(putBack.writesKnown, putBack.writesMade)
      .some(({ failureClass }) => failureClass === 'RolledBack'),
  'image not to be had in flight': troubledInFlight(({ failedFetches }) => failedFetches),
}

export const coverageOf = (seen: Seen): string[] =>
  Object.entries(sometimes).flatMap(([name, isMet]) => (isMet(seen) ? [name] : []))

function isGovernorReached({ writes, governor }: Past): boolean {
  if (governor.maxInFlight > 3) return false
  const slots = new Set<string>()
  for (const { operation, phase } of writes) {
    if (inFlight.has(phase) || inFlash.has(phase)) slots.add(operation)
    else slots.delete(operation)
    if (slots.size === governor.maxInFlight) return true
  }
  return false
}
