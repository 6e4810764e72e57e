/** Each invariant can fail: a past in which all is well, and what each term of them says when it is forged. */
import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { revisionOf, operationStem } from '../../src/core/names.ts'
import type { RouterEvent, RouterFact, StartOrder } from '../../src/simulator/history.ts'
import { device, operation, policy } from '../support/core-objects.ts'
import { type invariants, judgePast, provenElsewhere, twinInvariants } from './invariants.ts'
import { judgePrompt } from './quiet.ts'
import { dayMs, hourMs, minuteMs, type Past, type PhaseWrite, type Rules } from './past.ts'

type Mutable<T> = T extends string | number | boolean | undefined
  ? T
  : T extends ReadonlyMap<infer K, infer V>
    ? Map<K, Mutable<V>>
    : T extends ReadonlySet<infer V>
      ? Set<V>
      : { -readonly [P in keyof T]: Mutable<T[P]> }
type Forged = Mutable<Past>

const epochMs = Date.parse('2026-03-01T00:00:00Z')
const sha256 = 'a'.repeat(64)
const other = 'b'.repeat(64)
const revision = revisionOf('new', [sha256])
const stem = operationStem('ap-1', revision, '')
const name = `${stem}-1`
const order: StartOrder = {
  operation: name,
  bootId: 'boot-0',
  board: 'board',
  revision: 'r1',
  maxUptimeSeconds: 90,
  sha256,
}
const old = { distribution: 'OpenWrt', version: '1', revision: 'r1' }
const target = { distribution: 'OpenWrt', version: '2', revision: 'r2' }

const at = (atMs: number, fact: RouterFact): RouterEvent => ({ ...fact, atMs, wallMs: epochMs + atMs })
const booted = (atMs: number, bootId: string, release = target, board = 'board'): RouterEvent =>
  at(atMs, { type: 'Booted', bootId, board, release })
const started = (atMs: number, changes: Partial<StartOrder> = {}, bootId = 'boot-0'): RouterEvent =>
  at(atMs, {
    type: 'FlashStarted',
    bootId,
    board: 'board',
    uptimeSeconds: Math.floor(atMs / 1000),
    release: old,
    imageBoards: ['board'],
    order: { ...order, bootId, ...changes },
  })
const died = (atMs: number): RouterEvent => at(atMs, { type: 'FlashDied', operation: name, bootId: 'boot-0' })

const write = (atMs: number, changes: Partial<PhaseWrite>): PhaseWrite => ({
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
const told = { bootIdBefore: 'boot-0', maxUptime: 90 }
const rule = (fromMs: number, changes: Partial<Mutable<Rules>> = {}): Mutable<Rules> => ({
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

const counts = {
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
function past(): Forged {
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
    sends: [{ atMs: 9500, device: 'ap-1', order }],
    uploads: [{ atMs: 2000, device: 'ap-1', shown: ['key'], pins: ['key'] }],
    rules: [rule(0)],
    acknowledged: [],
    governor: { maxInFlight: 1, maxStartsPerMinute: 1, maxLostPerDay: 1 },
    leaders: 1,
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

interface Row {
  says: string
  forge: (forged: Forged) => void
}

/** Puts events into the history of the router, in the order of their times. */
function happened({ routers }: Forged, ...events: RouterEvent[]): void {
  const history = routers[0]!.history as RouterEvent[]
  history.push(...events)
  history.sort((a, b) => a.atMs - b.atMs)
}

const startOf = ({ routers }: Forged) =>
  routers[0]!.history[1] as Mutable<ReturnType<typeof started>> & {
    order: Mutable<StartOrder>
    board: string
    imageBoards: string[]
    uptimeSeconds: number
    bootId: string
  }
const bootOf = ({ routers }: Forged) =>
  routers[0]!.history[3] as Mutable<RouterEvent> & { bootId: string; board: string; release: typeof old }
const lastWrite = ({ writes }: Forged) => writes.at(-1)!
const deviceOf = ({ rest }: Forged) => rest.devices[0]!
const statusOf = ({ rest }: Forged) => rest.operations[0]!.status

/** A second operation in flight beside the first one. */
const twoInFlight = (forged: Forged): void => {
  forged.writes.splice(2, 0, write(10_000, { operation: 'ap-2-1', device: 'ap-2', phase: 'Connecting' }))
}
const twoStarts = (forged: Forged): void => {
  forged.sends.push({ atMs: 69_000, device: 'ap-1', order })
}
/** The start came to nothing, which was seen when the device could not start any more; then it was started again. */
const startedTwice = (forged: Forged): void => {
  const again = { bootIdBefore: 'boot-0', maxUptime: 300 }
  forged.routers[0]!.history.splice(2)
  happened(
    forged,
    died(12_000),
    started(200_000, { maxUptimeSeconds: 300 }),
    at(270_000, { type: 'FlashWritten', operation: name, sha256, release: target, bootId: 'boot-0' }),
    booted(300_000, 'boot-1'),
  )
  forged.sends.push({ atMs: 199_000, device: 'ap-1', order })
  forged.writes.splice(
    3,
    1,
    write(100_000, { phase: 'Queued', ...told }),
    write(150_000, { phase: 'Connecting', ...told }),
    write(198_000, { phase: 'Flashing', ...again }),
    write(301_000, { phase: 'Succeeded', ...again, bootIdAfter: 'boot-1' }),
  )
}
const lostAt = (atMs: number): PhaseWrite => write(atMs, { phase: 'Failed', failureClass: 'Lost', ...told })
/** Of another device, in the words of this one's day. */
const otherLost = (forged: Forged, atMs: number): void => {
  forged.writes.unshift(
    write(0, { operation: 'ap-2-1', device: 'ap-2', phase: 'Connecting' }),
    write(atMs, { operation: 'ap-2-1', device: 'ap-2', phase: 'Failed', failureClass: 'Lost' }),
  )
}

const violated: { [Id in keyof typeof invariants]: Row[] } = {
  I1: [
    {
      says: 'another digest than the one of the operation',
      forge: (f) => void (f.writes[1]!.sha256 = other),
    },
    { says: 'an image that nobody declared', forge: (f) => f.images.clear() },
    { says: 'an image of another build', forge: (f) => void (f.images.get(sha256)!.build = 'old') },
    { says: 'an image declared for other boards', forge: (f) => void (f.images.get(sha256)!.boards = ['x']) },
    { says: 'a board that the image is not for', forge: (f) => void (startOf(f).board = 'x') },
    { says: 'an image on the router for other boards', forge: (f) => void (startOf(f).imageBoards = ['x']) },
    {
      says: 'another image written than started',
      forge: (f) => void Object.assign(f.routers[0]!.history[2]!, { sha256: other }),
    },
  ],
  I2: [
    { says: 'two flashes for one operation', forge: (f) => happened(f, started(110_000, {}, 'boot-1')) },
    {
      says: 'two flashes with one image, by attempts of one stem',
      forge: (f) => happened(f, started(110_000, { operation: `${stem}-2` }, 'boot-1')),
    },
    {
      says: 'two flashes with one image and one token',
      forge: (f) => happened(f, started(110_000, { operation: 'ap-1-other-1' }, 'boot-1')),
    },
  ],
  I3: [
    { says: 'no intent', forge: (f) => void f.writes.splice(1, 1) },
    { says: 'an intent that came later', forge: (f) => void (f.writes[1]!.atMs = 10_500) },
    { says: 'an intent for another boot', forge: (f) => void (f.writes[1]!.bootIdBefore = 'boot-x') },
    { says: 'an intent with another latest uptime', forge: (f) => void (f.writes[1]!.maxUptime = 91) },
    { says: 'an intent of another operation', forge: (f) => void (f.writes[1]!.operation = 'x-1') },
    { says: 'an intent for another device', forge: (f) => void (f.writes[1]!.device = 'x') },
    { says: 'a token of another boot', forge: (f) => void (startOf(f).order.bootId = 'boot-x') },
    { says: 'a start past its latest uptime', forge: (f) => void (startOf(f).uptimeSeconds = 91) },
  ],
  I4: [
    { says: 'a second start while the first one runs', forge: (f) => happened(f, started(20_000)) },
    {
      says: 'a second start after one that came to nothing, which nobody had seen',
      forge: (f) => happened(f, died(12_000), started(20_000)),
    },
    {
      says: 'a second start after one that was only lost',
      forge: (f) => {
        happened(f, died(12_000), started(20_000))
        f.writes.splice(3, 0, lostAt(15_000))
      },
    },
  ],
  I6: [
    {
      says: 'two in flight where one is allowed',
      forge: (f) => {
        twoInFlight(f)
        f.governor.maxInFlight = 2
      },
    },
    {
      says: 'two in flight a while after the limit was lowered',
      forge: (f) => {
        twoInFlight(f)
        f.governor.maxInFlight = 2
        f.rules = [rule(0, { maxConcurrent: 2 }), rule(8000)]
      },
    },
  ],
  I7: [
    {
      says: 'two starts in a minute where one is allowed',
      forge: (f) => {
        twoStarts(f)
        f.governor.maxStartsPerMinute = 2
      },
    },
    {
      says: 'two starts in a minute, whose controller saw the wall clock set forward in between',
      forge: (f) => {
        twoStarts(f)
        f.governor.maxStartsPerMinute = 2
        f.beginnings.push(20_000)
        f.jumps.push({ atMs: 30_000, byMs: hourMs })
      },
    },
    {
      says: 'two starts in a minute, the second by a controller that began when the wall clock had been set back',
      forge: (f) => {
        twoStarts(f)
        f.governor.maxStartsPerMinute = 2
        f.jumps.push({ atMs: 20_000, byMs: -hourMs })
        f.beginnings.push(30_000)
      },
    },
    {
      says: 'two starts in a minute, the wall clock having been set forward before the first',
      forge: (f) => {
        twoStarts(f)
        f.governor.maxStartsPerMinute = 2
        f.jumps.push({ atMs: 1000, byMs: hourMs })
        f.beginnings.push(30_000)
      },
    },
  ],
  I8: [
    {
      says: 'two in flight, whatever the policy allows',
      forge: (f) => {
        twoInFlight(f)
        f.rules[0]!.maxConcurrent = 1000
      },
    },
    {
      says: 'two in flight, of which one was written by hand',
      forge: (f) => {
        twoInFlight(f)
        delete f.writes[2]!.policy
      },
    },
    {
      says: 'two starts in a minute, whatever the policy allows',
      forge: (f) => {
        twoStarts(f)
        f.rules[0]!.startsPerMinute = 1000
      },
    },
  ],
  I9: [
    { says: 'success with another release', forge: (f) => void (bootOf(f).release = old) },
    { says: 'success on another board', forge: (f) => void (bootOf(f).board = 'x') },
    { says: 'success in the boot of the start', forge: (f) => void (lastWrite(f).bootIdBefore = 'boot-1') },
    {
      says: 'success judged in the boot of the start',
      forge: (f) => void (lastWrite(f).bootIdAfter = 'boot-0'),
    },
    { says: 'success before the new boot', forge: (f) => void (lastWrite(f).atMs = 99_000) },
    { says: 'success of a device that is not there', forge: (f) => void (lastWrite(f).device = 'x') },
    { says: 'success with an image that nobody declared', forge: (f) => f.images.clear() },
    {
      says: 'already on the target, by a lie in the boot of the start',
      forge: (f) => {
        happened(f, at(20_000, { type: 'Fault', kind: 'Lies' }))
        f.writes.splice(3, 1, write(50_000, { phase: 'Succeeded', reason: 'AlreadyOnTarget', ...told }))
      },
    },
  ],
  I10: [
    {
      says: 'queued again while the flash runs',
      forge: (f) => void f.writes.splice(3, 0, write(12_000, { phase: 'Queued', ...told })),
    },
    {
      says: 'queued again when a late start is still possible',
      forge: (f) => {
        f.routers[0]!.history.splice(1, 2)
        f.writes.splice(3, 0, write(12_000, { phase: 'Queued', ...told }))
      },
    },
    {
      says: 'queued again when it was refused another start',
      forge: (f) => {
        f.routers[0]!.history.splice(1, 2)
        const refused = { ...order, maxUptimeSeconds: 80 }
        happened(
          f,
          at(10_000, { type: 'Guard', verdict: 93, bootId: 'boot-0', uptimeSeconds: 85, order: refused }),
        )
        f.writes.splice(3, 0, write(12_000, { phase: 'Queued', ...told }))
      },
    },
    {
      says: 'a lost one that is said not to have started, and had',
      forge: (f) =>
        void f.writes.splice(
          3,
          1,
          lostAt(80_000),
          write(101_000, { phase: 'Failed', failureClass: 'NotStarted', ...told }),
        ),
    },
  ],
  I11: [
    { says: 'a phase out of the queue that there is not', forge: (f) => void f.writes.shift() },
    { says: 'an end that is left', forge: (f) => void f.writes.push(write(102_000, { phase: 'Queued' })) },
    {
      says: 'an end that becomes another',
      forge: (f) => void f.writes.push(write(102_000, { phase: 'Failed', failureClass: 'WrongVersion' })),
    },
    {
      says: 'a failure that becomes another',
      forge: (f) =>
        void f.writes.splice(
          3,
          1,
          write(80_000, { phase: 'Failed', failureClass: 'RolledBack' }),
          write(81_000, { phase: 'Failed', failureClass: 'WrongVersion' }),
        ),
    },
    {
      says: 'a lost one that begins anew',
      forge: (f) => void f.writes.splice(3, 1, lostAt(80_000), write(81_000, { phase: 'Connecting' })),
    },
    {
      says: 'a flash that is cancelled',
      forge: (f) => void f.writes.splice(3, 1, write(80_000, { phase: 'Cancelled' })),
    },
  ],
  I12: [
    { says: 'a start after HALT', forge: (f) => void f.rules.push(rule(8000, { halted: true })) },
    { says: 'a start after Pause', forge: (f) => void f.rules.push(rule(8000, { state: 'Pause' })) },
    { says: 'a start after Plan', forge: (f) => void f.rules.push(rule(8000, { state: 'Plan' })) },
    { says: 'a start after Abort', forge: (f) => void f.rules.push(rule(8000, { state: 'Abort' })) },
    {
      says: 'a start of a recalled build',
      forge: (f) => void f.rules.push(rule(8000, { recalled: ['new'] })),
    },
    { says: 'a start after a loss too many', forge: (f) => otherLost(f, 800) },
    {
      says: 'a start after a loss that was acknowledged with another day',
      forge: (f) => {
        otherLost(f, 800)
        f.acknowledged.push({ atMs: 900, date: '2026-02-28' })
      },
    },
    {
      says: 'a start after HALT of one that was written by hand',
      forge: (f) => {
        f.rules.push(rule(8000, { halted: true }))
        for (const each of f.writes) delete each.policy
      },
    },
  ],
  I15: Object.keys(counts)
    .filter((count) => !['eligible', 'queued', 'succeeded'].includes(count))
    .map((count) => ({
      says: `one too many ${count}`,
      forge: ({ rest }: Forged) => {
        const told_ = rest.policy.status.counts!
        rest.policy.status.counts = { ...told_, [count]: told_[count as 'matched'] + 1 }
      },
    })),
  I16: [
    { says: 'off its target for no reason', forge: (f) => void (deviceOf(f).status.buildRef!.name = 'old') },
    {
      says: 'a reason that is on no list',
      forge: (f) => {
        deviceOf(f).status.buildRef!.name = 'old'
        deviceOf(f).status.blocked = { reason: 'Whatever', message: 'because' }
      },
    },
    {
      says: 'a reason without words',
      forge: (f) => {
        deviceOf(f).status.buildRef!.name = 'old'
        deviceOf(f).status.blocked = { reason: 'Held', message: '' }
      },
    },
    {
      says: 'a reason though it is on its target',
      forge: (f) => void (deviceOf(f).status.blocked = { reason: 'Held', message: 'held' }),
    },
    {
      says: 'another release than it runs',
      forge: (f) => void (deviceOf(f).status.release = { ...old }),
    },
  ],
  I20: [{ says: 'a secret', forge: (f) => void f.texts.add('the password is canary, they say') }],
  I21: [
    { says: 'an escape sequence', forge: (f) => void f.texts.add('runs \u001b[2J') },
    { says: 'two lines', forge: (f) => void f.texts.add('one\ntwo') },
    { says: 'more than 1024 characters', forge: (f) => void f.texts.add('x'.repeat(1025)) },
  ],
  I22: [
    { says: 'too many sessions', forge: (f) => void (f.load.mostSessions = 59) },
    { says: 'too many sessions with one router', forge: (f) => void (f.load.mostSessionsOfOne = 3) },
    { says: 'too many writes', forge: (f) => void (f.load.writes = 801) },
  ],
  I24: [
    { says: 'another key than the pinned one', forge: (f) => void (f.uploads[0]!.shown = ['other']) },
    { says: 'nothing pinned', forge: (f) => void (f.uploads[0]!.pins = []) },
  ],
  I25: [
    { says: 'an operation in flight', forge: (f) => void (statusOf(f).phase = 'Testing') },
    {
      says: 'an operation that is queued for nothing',
      forge: (f) => {
        statusOf(f).phase = 'Queued'
        delete statusOf(f).reason
      },
    },
    {
      says: 'an operation that is queued for what is on no list',
      forge: (f) => Object.assign(statusOf(f), { phase: 'Queued', reason: 'Whatever' }),
    },
    { says: 'a claim', forge: (f) => void (deviceOf(f).status.operationRef = { name }) },
    { says: 'no next look', forge: (f) => void delete deviceOf(f).status.nextProbeTime },
    { says: 'a next look too far ahead', forge: (f) => void (f.rest.longestWaitMs = minuteMs) },
    { says: 'a next look that was missed', forge: (f) => void (f.rest.wallMs += 2 * hourMs) },
    { says: 'stopped services', forge: (f) => void f.rest.reachable[0]!.stoppedServices.push('dnsmasq') },
  ],
}

const idsOf = (forged: Forged): string[] => judgePast(forged as Past).map((found) => found.split(' ', 1)[0]!)

describe.each(Object.entries(violated))('%s', (id, rows) => {
  test.each(rows)('$says', ({ forge }) => {
    const forged = past()
    forge(forged)
    expect(idsOf(forged)).toContain(id)
  })
})

/** What looks like a violation, and is none. */
const allowed: Row[] = [
  { says: 'one upgrade', forge: () => {} },
  { says: 'a start that came to nothing, and another', forge: startedTwice },
  {
    says: 'two flashes with two tokens',
    forge: (f) => {
      happened(
        f,
        started(110_000, { operation: 'ap-1-other-1', maxUptimeSeconds: 200 }, 'boot-1'),
        booted(200_000, 'boot-2'),
      )
      f.rules.push(rule(102_000, { retryToken: 'again' }))
      const second = { operation: 'ap-1-other-1', bootIdBefore: 'boot-1', maxUptime: 200 }
      f.writes.push(
        write(103_000, { ...second, phase: 'Connecting' }),
        write(109_000, { ...second, phase: 'Flashing' }),
      )
      deviceOf(f).status.bootId = 'boot-2'
    },
  },
  {
    says: 'a limit that is lowered below what is in flight',
    forge: (f) => {
      twoInFlight(f)
      f.governor.maxInFlight = 2
      f.rules = [rule(0, { maxConcurrent: 2 }), rule(10_500)]
    },
  },
  { says: 'a start in the second after HALT', forge: (f) => void f.rules.push(rule(8600, { halted: true })) },
  {
    says: 'a start after HALT was lifted',
    forge: (f) => void f.rules.push(rule(1000, { halted: true }), rule(9400)),
  },
  {
    says: 'two starts in a minute that is none to a controller that began when the wall clock had been set forward',
    forge: (f) => {
      twoStarts(f)
      f.jumps.push({ atMs: 20_000, byMs: hourMs })
      f.beginnings.push(30_000)
    },
  },
  {
    says: 'a start by hand while the policy is paused',
    forge: (f) => {
      f.rules.push(rule(8000, { state: 'Pause' }))
      for (const each of f.writes) delete each.policy
    },
  },
  {
    says: 'a start when the losses have been acknowledged',
    forge: (f) => {
      otherLost(f, 800)
      f.acknowledged.push({ atMs: 900, date: '2026-03-01' })
    },
  },
  { says: 'a lost one that is seen again', forge: (f) => void f.writes.splice(3, 0, lostAt(80_000)) },
  {
    says: 'a lost one that has fallen back',
    forge: (f) => {
      f.writes.splice(
        3,
        1,
        lostAt(80_000),
        write(101_000, { phase: 'Failed', failureClass: 'RolledBack', ...told }),
      )
    },
  },
  {
    says: 'queued again when the guard has refused',
    forge: (f) => {
      startedTwice(f)
      const again = { bootIdBefore: 'boot-0', maxUptime: 170 }
      const refused = { ...order, maxUptimeSeconds: 170 }
      happened(
        f,
        at(161_000, { type: 'Guard', verdict: 95, bootId: 'boot-0', uptimeSeconds: 161, order: refused }),
      )
      f.writes.splice(
        5,
        0,
        write(160_000, { phase: 'Flashing', ...again }),
        write(162_000, { phase: 'Queued', ...again }),
        write(190_000, { phase: 'Connecting', ...again }),
      )
    },
  },
  {
    says: 'a lie that only a new boot could tell apart',
    forge: (f) => {
      bootOf(f).release = old
      deviceOf(f).status.bootId = 'boot-x'
      happened(f, at(100_500, { type: 'Fault', kind: 'Lies' }))
    },
  },
]

test.each(allowed)('allowed: $says', ({ forge }) => {
  const forged = past()
  forge(forged)
  expect(judgePast(forged as Past)).toEqual([])
})

describe('I17', () => {
  const differs = (forge: (forged: Forged) => void): number => {
    const forged = past()
    forge(forged)
    return [...twinInvariants.I17.judge(forged as Past, past() as Past)].length
  }

  test('the same end, after more attempts and later', () => {
    expect(differs(startedTwice)).toBe(0)
  })

  test.each<Row>([
    { says: 'another release', forge: (f) => void (bootOf(f).release = old) },
    {
      says: 'another reason',
      forge: (f) => void (deviceOf(f).status.blocked = { reason: 'Held', message: 'x' }),
    },
    { says: 'another end', forge: (f) => void (statusOf(f).phase = 'Failed') },
    { says: 'other counts', forge: ({ rest }) => void (rest.policy.status.counts!.onTarget = 0) },
  ])('$says', ({ forge }) => {
    expect(differs(forge)).toBeGreaterThan(0)
  })
})

describe('I19', () => {
  const differs = (forge: (forged: Forged) => void): number => {
    const forged = past()
    forge(forged)
    return [...twinInvariants.I19.judge(forged as Past, past() as Past)].length
  }

  test('one router more is none of the others', () => {
    const bad = { name: 'bad', history: [booted(0, 'b'), started(5)] } as Forged['routers'][number]
    expect(differs(({ routers }) => void routers.push(bad))).toBe(0)
  })

  test.each<Row>([
    { says: 'a start less', forge: ({ routers }) => void routers[0]!.history.splice(1) },
    { says: 'a start more', forge: (f) => happened(f, started(50_000, { sha256: other })) },
    { says: 'another image', forge: (f) => void (startOf(f).order.sha256 = other) },
  ])('$says', ({ forge }) => {
    expect(differs(forge)).toBeGreaterThan(0)
  })
})

describe('prompt', () => {
  const late = (forge: (forged: Forged) => void, sinceMs?: number): number => {
    const forged = past()
    forge(forged)
    return [...judgePrompt(forged as Past, sinceMs)].length
  }
  const another = (forged: Forged, atMs: number): void => {
    forged.writes.push(write(atMs, { operation: 'another-1', device: 'ap-2', phase: 'Connecting' }))
  }

  test.each<Row>([
    { says: 'one upgrade, at once', forge: () => {} },
    { says: 'the next one as soon as its slot is free', forge: (f) => another(f, 101_900) },
    {
      says: 'the next one as soon as its minute has come',
      forge: (f) => {
        f.rules[0]!.maxConcurrent = 2
        f.governor.maxInFlight = 2
        another(f, 61_900)
      },
    },
  ])('$says', ({ forge }) => {
    expect(late(forge)).toBe(0)
  })

  test.each<Row>([
    { says: 'a first upgrade that has waited', forge: ({ writes }) => void (writes[0]!.atMs = 5001) },
    { says: 'a verdict long after its boot', forge: (f) => void (bootOf(f).atMs = 95_999) },
    { says: 'a slot left empty', forge: (f) => another(f, 102_001) },
    {
      says: 'a minute that was over',
      forge: (f) => {
        f.rules[0]!.maxConcurrent = 2
        f.governor.maxInFlight = 2
        another(f, 62_001)
      },
    },
  ])('$says', ({ forge }) => {
    expect(late(forge)).toBe(1)
  })

  test('what was before the moment asked for is not judged', () => {
    expect(late((f) => void (f.writes[0]!.atMs = 5001), 9000)).toBe(0)
    expect(late((f) => void (bootOf(f).atMs = 95_999), 102_000)).toBe(0)
  })
})

test.each(Object.entries(provenElsewhere))('%s is proved in %s', (_, path) => {
  expect(existsSync(path)).toBe(true)
})
