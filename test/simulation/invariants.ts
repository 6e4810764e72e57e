/** What must never be untrue of a world, by the ids of the test programme: predicates over what really happened. */
import type { Phase } from '../../src/api/resources.ts'
import type { FaultKind } from '../../src/simulator/faults.ts'
import { bootAt, eventsOf } from '../../src/simulator/history.ts'
import { judgeCounters, judgeExplain, judgeProgress } from './at-rest.ts'
import {
  dayMs,
  diedBefore,
  inFlash,
  isAtWork,
  isFinal,
  isWithin,
  liesAt,
  memoriesOf,
  minuteMs,
  rulesWithin,
  startsOf,
  stemOf,
  type Memory,
  type Past,
  type PhaseWrite,
  type RouterPast,
} from './past.ts'
import { judgeStop } from './stops.ts'
import { judgeIsolation, judgeSameEnd } from './twins.ts'

interface Invariant {
  name: string
  says: string
  /** What violates it. */
  judge(past: Past): Iterable<string>
}

/** Numbers that are missing belong to rules that do not exist yet. */
export const invariants = {
  I1: {
    name: 'rightImage',
    says: 'What is started is the image that the operation names, made for the board that the router has.',
    judge: judgeImages,
  },
  I2: {
    name: 'once',
    says: 'A router is flashed with the same image once, and once more for each order to try again.',
    judge: judgeOnce,
  },
  I3: {
    name: 'intentFirst',
    says: 'Before each start the store held its intent, with the boot and the latest uptime of that very start.',
    judge: judgeIntents,
  },
  I4: {
    name: 'oneInBoot',
    says: 'A second start in one boot comes after the first has come to nothing, and after that was proved.',
    judge: judgeBoots,
  },
  I6: {
    name: 'limits',
    says: 'No more upgrades of a policy are in flight than it allows.',
    judge: (past) => judgeSlots(past, 'Policy'),
  },
  I7: {
    name: 'rate',
    says: 'No more starts of a policy are sent in any minute than it allows.',
    judge: (past) => judgeRate(past, 'Policy'),
  },
  I8: {
    name: 'governor',
    says: 'I6 and I7 with the values of the command line, whatever manifests say.',
    judge: (past) => [...judgeSlots(past, 'Governor'), ...judgeRate(past, 'Governor')],
  },
  I9: {
    name: 'truthful',
    says: 'Who is said to have succeeded runs the target, on its board, and in a new boot if it was told to start.',
    judge: judgeSuccesses,
  },
  I10: {
    name: 'noBlindRetry',
    says: 'Who is queued again after an intent has not started, and cannot start any more.',
    judge: judgeRetries,
  },
  I11: {
    name: 'monotone',
    says: 'Phases follow their edges, and what has ended stays, apart from a lost device that is seen again.',
    judge: judgePhases,
  },
  I12: {
    name: 'stop',
    says: 'A second after a stop nothing it concerns is started, until it is lifted; then nobody speaks of it.',
    judge: judgeStop,
  },
  I15: {
    name: 'counters',
    says: 'At rest the counts of a policy are what counting its devices gives.',
    judge: judgeCounters,
  },
  I16: {
    name: 'explain',
    says: 'At rest whoever is off its target has exactly one reason of the closed list.',
    judge: judgeExplain,
  },
  I20: {
    name: 'secrets',
    says: 'No secret is in anything that is told or stored.',
    judge: judgeSecrets,
  },
  I21: {
    name: 'cleanText',
    says: 'What is told or stored is printable, and short.',
    judge: judgeTexts,
  },
  I22: {
    name: 'bounded',
    says: 'Sessions and writes stay within their bounds.',
    judge: judgeLoad,
  },
  I24: {
    name: 'hostKey',
    says: 'An image is sent only to a router that shows a pinned host key.',
    judge: judgeHostKeys,
  },
  I25: {
    name: 'progress',
    says: 'When faults have ended everything ends, or waits for something that has a name and a time.',
    judge: judgeProgress,
  },
} as const satisfies Record<string, Invariant>

/** Of two pasts of one seed. */
export const twinInvariants = {
  I17: {
    name: 'sameEnd',
    says: 'A world in which controllers crash ends as the one in which they do not.',
    judge: judgeSameEnd,
  },
  I19: {
    name: 'isolation',
    says: 'One bad object more leaves the starts of all others as they are.',
    judge: judgeIsolation,
  },
} as const

/** Those that other suites prove. */
export const provenElsewhere = {
  I18: 'test/contract/resource-store.ts',
  I23: 'test/server/any-request.test.ts',
} as const

export const judgePast = (past: Past): string[] =>
  Object.entries(invariants).flatMap(([id, { name, judge }]) =>
    // What two memories share is judged with each of them.
    Array.from(new Set(judge(past)), (found) => `${id} ${name}: ${found}`),
  )

type Start = ReturnType<typeof startsOf>[number]

const intentOf = (past: Past, router: RouterPast, { order, bootId, atMs }: Start): PhaseWrite | undefined =>
  past.writes.find(
    (write) =>
      write.phase === 'Flashing' &&
      write.operation === order.operation &&
      write.device === router.name &&
      write.bootIdBefore === bootId &&
      write.maxUptime === order.maxUptimeSeconds &&
      write.atMs <= atMs,
  )

function* judgeImages(past: Past): Generator<string> {
  for (const router of past.routers) {
    for (const start of startsOf(router)) {
      const { order, board } = start
      const image = past.images.get(order.sha256)
      const intent = intentOf(past, router, start)
      const what = `${router.name}, a ${board}, was started with ${order.sha256}`
      if (intent && intent.sha256 !== order.sha256) yield `${what}; ${order.operation} names ${intent.sha256}`
      if (intent && image?.build !== intent.build) yield `${what}, which is no image of ${intent.build}`
      if (!image?.boards.includes(board)) yield `${what}, declared for ${image?.boards.join(', ')}`
      if (!start.imageBoards.includes(board))
        yield `${what}, and held one for ${start.imageBoards.join(', ')}`
    }
    for (const { bootId, sha256, atMs } of eventsOf(router.history, 'FlashWritten')) {
      const start = startsOf(router).findLast((each) => each.bootId === bootId && each.atMs <= atMs)
      if (start?.order.sha256 !== sha256)
        yield `${router.name} wrote ${sha256} when it was started with ${start?.order.sha256}`
    }
  }
}

/** `history.keepFor`, unless a policy says otherwise. */
const rememberedMs = 90 * dayMs

/** How often a device may be flashed with the same image. */
function grantsOf(past: Past, router: RouterPast, sha256: string): number {
  const tokens = new Set(past.rules.map(({ retryToken }) => retryToken))
  const byHand = new Set(
    past.writes
      .filter((write) => write.device === router.name && !write.policy && write.sha256 === sha256)
      .map(({ operation }) => operation),
  )
  return tokens.size + byHand.size + timesForgotten(past)
}

/** What was done longer ago than anybody remembers may be ordered anew; a jump of the wall clock makes it that old. */
const timesForgotten = ({ jumps }: Past): number => jumps.filter(({ byMs }) => byMs >= rememberedMs).length

/** Whether this state knows nothing of a start, which was made under another one. */
function isUnknown(memory: Memory, past: Past, router: RouterPast, start: Start): boolean {
  const intent = intentOf(past, router, start)
  return intent !== undefined && start.atMs < memory.fromMs && !memory.writes.includes(intent)
}

/** Whether the router knows nothing of it either by then: its marker tells of the last start alone. */
function isForgotten(memory: Memory, past: Past, router: RouterPast, start: Start): boolean {
  if (!isUnknown(memory, past, router, start)) return false
  const next = startsOf(router).find(({ atMs }) => atMs > start.atMs)
  const losesIt = (to: Start): boolean =>
    eventsOf(router.history, 'Fault').some(
      ({ kind, atMs }) => losesMarker.has(kind) && atMs >= start.atMs && atMs < to.atMs,
    )
  return next !== undefined && (upgradeOf(past, next) !== upgradeOf(past, start) || losesIt(next))
}

const losesMarker = new Set<FaultKind>(['ConfigLost', 'OtherDevice'])

/** What all attempts at one upgrade have in common. */
const upgradeOf = ({ writes }: Past, { order: { operation } }: Start): string =>
  writes.some((write) => write.operation === operation && !write.policy) ? operation : stemOf(operation)

function* judgeOnce(past: Past): Generator<string> {
  for (const memory of memoriesOf(past))
    for (const router of past.routers) yield* judgeOnceOf(memory, past, router)
}

function* judgeOnceOf(memory: Memory, past: Past, router: RouterPast): Generator<string> {
  const byUpgrade = new Map<string, number>()
  const byImage = new Map<string, number>()
  for (const start of startsOf(router)) {
    if (start.atMs >= memory.toMs || diedBefore(router, start)) continue
    if (isForgotten(memory, past, router, start)) continue
    const { sha256 } = start.order
    const upgrade = upgradeOf(past, start)
    byUpgrade.set(upgrade, (byUpgrade.get(upgrade) ?? 0) + 1)
    byImage.set(sha256, (byImage.get(sha256) ?? 0) + 1)
  }
  for (const [upgrade, count] of byUpgrade)
    if (count > 1 + timesForgotten(past)) yield `${router.name} was flashed ${count} times for ${upgrade}`
  for (const [sha256, count] of byImage) {
    const grants = grantsOf(past, router, sha256)
    if (count > grants) yield `${router.name} was flashed ${count} times with ${sha256}, allowed ${grants}`
  }
}

function* judgeIntents(past: Past): Generator<string> {
  for (const router of past.routers)
    for (const start of startsOf(router)) {
      const { order, bootId, uptimeSeconds } = start
      if (!intentOf(past, router, start))
        yield `${router.name} was started by ${order.operation} in boot ${bootId} without an intent`
      if (bootId !== order.bootId || uptimeSeconds > order.maxUptimeSeconds)
        yield `${router.name} was started by ${order.operation} with a dead token`
    }
}

function* judgeBoots(past: Past): Generator<string> {
  for (const memory of memoriesOf(past))
    for (const router of past.routers) yield* judgeBootsOf(memory, past, router)
}

function* judgeBootsOf(memory: Memory, past: Past, router: RouterPast): Generator<string> {
  const starts = startsOf(router)
  for (const [index, second] of starts.entries()) {
    if (!isWithin(memory, second)) continue
    for (const first of starts.slice(0, index)) {
      if (first.bootId !== second.bootId) continue
      const what = `${router.name} was started twice in boot ${first.bootId}`
      if (!diedBefore(router, first, second.atMs)) yield `${what}, the first time not in vain`
      else if (!isProvenDead(memory, first, second.atMs) && !isUnknown(memory, past, router, first))
        yield `${what}, and nobody had looked in between`
    }
  }
}

/** Whether the operation of a start was taken back before that time: it was seen that nothing had come of it. */
const isProvenDead = ({ writes }: Memory, { order, atMs }: Start, beforeMs: number): boolean =>
  writes.some(
    (write) =>
      write.operation === order.operation &&
      write.atMs >= atMs &&
      write.atMs <= beforeMs &&
      !inFlash.has(write.phase) &&
      write.failureClass !== 'Lost',
  )

/** Whose limit, and how much it allows between two instants. */
type Limit = 'Policy' | 'Governor'

const mostOf = (
  past: Past,
  name: 'maxConcurrent' | 'startsPerMinute',
  [fromMs, toMs]: readonly [number, number],
): number => Math.max(...rulesWithin(past.rules, fromMs - 1000 - past.newsMs, toMs).map((rule) => rule[name]))

function* judgeSlots(past: Past, limit: Limit): Generator<string> {
  for (const { writes } of memoriesOf(past)) yield* judgeSlotsOf(writes, past, limit)
}

function* judgeSlotsOf(writes: readonly PhaseWrite[], past: Past, limit: Limit): Generator<string> {
  const slots = new Set<string>()
  for (const { operation, policy, phase, atMs } of writes) {
    if (limit === 'Policy' && policy === undefined) continue
    const isNew = isAtWork(phase) && !slots.has(operation)
    if (isAtWork(phase)) slots.add(operation)
    else slots.delete(operation)
    const most =
      limit === 'Governor' ? past.governor.maxInFlight : mostOf(past, 'maxConcurrent', [atMs, atMs])
    // Who all lead count what each of them knows.
    if (isNew && slots.size > most * past.leaders)
      yield `${slots.size} in flight with ${operation}, ${most} allowed`
  }
}

/** After a restart the times of starts are known as they are stored, in whole milliseconds. */
const storedToMs = 1

function* judgeRate(past: Past, limit: Limit): Generator<string> {
  const byPolicy = new Set(past.writes.filter(({ policy }) => policy).map(({ operation }) => operation))
  const times = past.sends
    .filter(({ order }) => limit === 'Governor' || byPolicy.has(order.operation))
    .map(({ atMs }) => atMs)
  for (const [index, atMs] of times.entries()) {
    const endMs = atMs + minuteMs - past.slackMs - storedToMs
    const most =
      limit === 'Governor' ? past.governor.maxStartsPerMinute : mostOf(past, 'startsPerMinute', [atMs, endMs])
    const later = times[index + most * past.leaders]
    if (later !== undefined && later < endMs - msSetForward(past, atMs, later))
      yield `more than ${most} starts in the minute from ${atMs} ms`
  }
}

/** By how much a start looks older to the controller that began last: all that it knows of it is its wall time. */
function msSetForward({ jumps, beginnings }: Past, fromMs: number, toMs: number): number {
  const begunMs = beginnings.findLast((atMs) => atMs <= toMs) ?? -Infinity
  const inBetween = jumps.filter(({ atMs }) => atMs >= fromMs && atMs <= begunMs)
  return Math.max(
    0,
    inBetween.reduce((ms, { byMs }) => ms + byMs, 0),
  )
}

function* judgeSuccesses(past: Past): Generator<string> {
  for (const write of past.writes) {
    if (write.phase !== 'Succeeded') continue
    const router = past.routers.find(({ name }) => name === write.device)
    const boot = router && bootAt(router.history, write.atMs)
    const image = past.images.get(write.sha256 ?? '')
    const what = `${write.operation} Succeeded while ${write.device}`
    if (!router || !boot) {
      yield `${what} never booted`
      continue
    }
    // Told to start, it may have come to nothing, and somebody else may have brought it to the target.
    if (write.bootIdBefore === boot.bootId) yield `${what} was still in the boot of its start`
    if (write.reason !== 'AlreadyOnTarget' && write.bootIdAfter === write.bootIdBefore)
      yield `${what} was judged in the boot of its start`
    if (boot.release.revision !== image?.revision && !liesAt(router, write.atMs))
      yield `${what} ran ${boot.release.revision}, not ${image?.revision}`
    if (!image?.boards.includes(boot.board)) yield `${what} was a ${boot.board}`
  }
}

const beforeFlash = new Set<Phase>(['Queued', 'Connecting', 'Checking', 'Uploading', 'Testing'])

function* judgeRetries(past: Past): Generator<string> {
  for (const { writes } of memoriesOf(past)) yield* judgeRetriesOf(writes, past)
}

function* judgeRetriesOf(writes: readonly PhaseWrite[], past: Past): Generator<string> {
  const last = new Map<string, PhaseWrite>()
  for (const write of writes) {
    const before = last.get(write.operation)
    last.set(write.operation, write)
    const isTakenBack = beforeFlash.has(write.phase) || write.failureClass === 'NotStarted'
    const wasOut = before && (inFlash.has(before.phase) || before.failureClass === 'Lost')
    const router = past.routers.find(({ name }) => name === write.device)
    if (!isTakenBack || !wasOut || !router) continue
    const intent = writes.findLast(
      ({ operation, phase, atMs }) =>
        operation === write.operation && phase === 'Flashing' && atMs <= write.atMs,
    )
    if (intent) yield* judgeRetry(router, intent, write)
  }
}

/** Who tries again must have proof that nothing was started, and that nothing can be. */
function* judgeRetry(router: RouterPast, intent: PhaseWrite, write: PhaseWrite): Generator<string> {
  const isIts = ({ order, atMs }: { order: Start['order']; atMs: number }): boolean =>
    atMs <= write.atMs &&
    order.operation === intent.operation &&
    order.bootId === intent.bootIdBefore &&
    order.maxUptimeSeconds === intent.maxUptime
  const start = startsOf(router).find(isIts)
  if (start && !diedBefore(router, start, write.atMs))
    yield `${intent.operation} was taken back while its flash ran`
  const refused = eventsOf(router.history, 'Guard').some((guard) => isIts(guard) && guard.verdict !== 0)
  const boot = bootAt(router.history, write.atMs)
  const uptimeSeconds = (write.atMs - (boot?.atMs ?? 0)) / 1000
  const mayStart = boot?.bootId === intent.bootIdBefore && uptimeSeconds <= intent.maxUptime!
  if (!refused && mayStart) yield `${intent.operation} was taken back while it could still start`
}

const giveUps: readonly Phase[] = ['Queued', 'Failed', 'Cancelled']
/** Where an operation may be seen next. What lies between need not have been written. */
const edges: Readonly<Record<Phase, readonly Phase[]>> = {
  Queued: ['Connecting', 'Failed', 'Cancelled'],
  Connecting: ['Checking', 'Uploading', 'Testing', 'Flashing', 'Succeeded', ...giveUps],
  Checking: ['Connecting', 'Uploading', 'Testing', 'Flashing', 'Succeeded', ...giveUps],
  Uploading: ['Connecting', 'Checking', 'Testing', 'Flashing', 'Succeeded', ...giveUps],
  Testing: ['Connecting', 'Checking', 'Uploading', 'Flashing', 'Succeeded', ...giveUps],
  Flashing: ['Rebooting', 'Verifying', 'Succeeded', 'Failed', 'Queued'],
  Rebooting: ['Verifying', 'Succeeded', 'Failed', 'Queued'],
  Verifying: ['Succeeded', 'Failed'],
  Succeeded: [],
  Failed: [],
  Cancelled: [],
}

function* judgePhases(past: Past): Generator<string> {
  for (const { writes } of memoriesOf(past)) yield* judgePhasesOf(writes)
}

function* judgePhasesOf(writes: readonly PhaseWrite[]): Generator<string> {
  const last = new Map<string, PhaseWrite>()
  for (const write of writes) {
    const before = last.get(write.uid)
    last.set(write.uid, write)
    const from = before?.phase ?? 'Queued'
    const wasLost = before?.failureClass === 'Lost'
    const isCorrected = wasLost && write.phase === 'Succeeded'
    if (from === write.phase) {
      if (isFinal(from) && before?.failureClass !== write.failureClass && !wasLost)
        yield `${write.operation} was ${before?.failureClass} and became ${write.failureClass}`
    } else if (!edges[from].includes(write.phase) && !isCorrected)
      yield `${write.operation} went from ${from} to ${write.phase}`
  }
}

function* judgeSecrets({ texts, canaries }: Past): Generator<string> {
  for (const text of texts)
    for (const canary of canaries) if (text.includes(canary)) yield `a secret is in: ${JSON.stringify(text)}`
}

const clean = /^[\x20-\x7e]{0,1024}$/

function* judgeTexts({ texts }: Past): Generator<string> {
  for (const text of texts) if (!clean.test(text)) yield JSON.stringify(text)
}

/** Of one controller: a session for each probe and each operation at work, and one for each start that is looked after. */
const mostSessions = 8 + 50
/** Each probe is a write or two, and a fault may cost a few more; who fights writes ten thousands. */
const writesPerDay = 400
/** Somebody may order one after the other by hand. */
const writesOfOne = 30

function* judgeLoad({ load, leaders, writes }: Past): Generator<string> {
  if (load.mostSessions > mostSessions * leaders) yield `${load.mostSessions} sessions at once`
  if (load.mostSessionsOfOne > 2 * leaders) yield `${load.mostSessionsOfOne} sessions with one router at once`
  const byHand = new Set(writes.filter(({ policy }) => !policy).map(({ uid }) => uid)).size
  if (load.writes > leaders * (writesPerDay * (1 + load.deviceDays) + writesOfOne * byHand))
    yield `${load.writes} writes in ${load.deviceDays} days of a device`
}

function* judgeHostKeys({ uploads, trustedAnew, jumps }: Past): Generator<string> {
  for (const { device, shown, pins } of uploads)
    if (!shown.some((key) => pins.includes(key)))
      yield `an image was sent to ${device}, which showed ${shown.join(' | ')}, pinned ${pins.join(' | ')}`
  // A wall clock that is set on by so much makes all that is remembered too old.
  const forgottenMs = jumps.find(({ byMs }) => byMs > rememberedMs)?.atMs ?? Infinity
  for (const { atMs, device } of trustedAnew.filter((each) => each.atMs < forgottenMs))
    yield `at ${atMs} ms any key of ${device} would have been accepted, which was pinned before`
}
