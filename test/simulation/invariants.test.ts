/** Each invariant can fail: what each term of them says when a past in which all is well is forged. */
import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Phase } from '../../src/api/resources.ts'
import { transitions } from '../../src/core/transitions.ts'
import type { RouterEvent, StartOrder } from '../../src/simulator/history.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import {
  at,
  booted,
  bootOf,
  counts,
  deviceOf,
  died,
  happened,
  lastWrite,
  name,
  old,
  order,
  other,
  past,
  rule,
  sha256,
  started,
  startOf,
  statusOf,
  stem,
  target,
  told,
  write,
  type Forged,
  type Row,
} from './forged-past.ts'
import { type invariants, judgePast, provenElsewhere, twinInvariants } from './invariants.ts'
import { judgePrompt, judgeQuiet } from './quiet.ts'
import { dayMs, hourMs, minuteMs, type Past, type PhaseWrite } from './past.ts'

/** A second operation in flight beside the first one. */
const twoInFlight = (forged: Forged): void => {
  forged.writes.splice(2, 0, write(10_000, { operation: 'ap-2-1', device: 'ap-2', phase: 'Connecting' }))
}
/** Operations that were ordered by hand; one of them may be named twice. */
const byHand = (forged: Forged, ...uids: string[]): void => {
  for (const uid of uids) {
    const { policy: _, ...ordered } = write(500, { operation: uid })
    forged.writes.unshift(ordered)
  }
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

/** Once more, by another operation. */
function flashedAgain(forged: Forged, operation: string, { byHand = false } = {}): void {
  happened(
    forged,
    started(110_000, { operation, maxUptimeSeconds: 200 }, 'boot-1'),
    booted(200_000, 'boot-2'),
  )
  const second = { operation, bootIdBefore: 'boot-1', maxUptime: 200 }
  const writes = [
    write(103_000, { ...second, phase: 'Connecting' }),
    write(109_000, { ...second, phase: 'Flashing' }),
    write(201_000, { ...second, phase: 'Succeeded', bootIdAfter: 'boot-2' }),
  ]
  if (byHand) for (const each of writes) delete each.policy
  forged.writes.push(...writes)
  deviceOf(forged).status.bootId = 'boot-2'
}
/** Told to start, and queued again, without a start. */
function takenBack(forged: Forged, atMs: number, history: RouterEvent[] = [booted(0, 'boot-0', old)]): void {
  forged.routers[0]!.history = []
  happened(forged, ...history)
  forged.writes.splice(2, 2, write(atMs, { phase: 'Queued' }))
  deviceOf(forged).status.bootId = 'boot-x'
}
const refusal = (atMs: number, changes: Partial<StartOrder> = {}, verdict = 93): RouterEvent =>
  at(atMs, {
    type: 'Guard',
    verdict,
    bootId: 'boot-0',
    uptimeSeconds: Math.floor(atMs / 1000),
    order: { ...order, ...changes },
  })
/** A start that is by hand, and so of no policy. */
function sentByHand(forged: Forged, atMs: number): void {
  const byHand = write(0, { operation: 'by-hand', device: 'ap-2' })
  delete byHand.policy
  forged.writes.unshift(byHand)
  forged.sends.push({ atMs, device: 'ap-2', order: { ...order, operation: 'by-hand' } })
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
      says: 'an image written without a start',
      forge: (f) => void f.routers[0]!.history.splice(1, 1),
    },
    {
      says: 'another image written than started',
      forge: (f) => void Object.assign(f.routers[0]!.history[2]!, { sha256: other }),
    },
  ],
  I2: [
    { says: 'two flashes for one operation', forge: (f) => happened(f, started(110_000, {}, 'boot-1')) },
    {
      says: 'two flashes for one operation, with two images',
      forge: (f) => happened(f, started(110_000, { sha256: other }, 'boot-1')),
    },
    {
      says: 'two flashes with one image, by attempts of one stem',
      forge: (f) => happened(f, started(110_000, { operation: `${stem}-2` }, 'boot-1')),
    },
    {
      says: 'two flashes for one stem, with two images, beside a flash by hand',
      forge: (f) => {
        sentByHand(f, 1000)
        happened(f, started(110_000, { operation: `${stem}-2`, sha256: other }, 'boot-1'))
      },
    },
    {
      says: 'two flashes with one image, for one of which another device has an order',
      forge: (f) => {
        flashedAgain(f, 'ap-1-other-1')
        sentByHand(f, 1000)
      },
    },
    {
      says: 'two flashes with one image, for one of which there is an order of another image',
      forge: (f) => {
        flashedAgain(f, 'ap-1-other-1')
        sentByHand(f, 1000)
        Object.assign(f.writes[0]!, { device: 'ap-1', sha256: other })
      },
    },
    {
      says: 'two flashes for one operation, of which the first is still remembered',
      forge: (f) => {
        flashedAgain(f, `${stem}-2`)
        f.jumps.push({ atMs: 102_000, byMs: 90 * dayMs - 1 })
      },
    },
    {
      says: 'two flashes with one image and one token',
      forge: (f) => happened(f, started(110_000, { operation: 'ap-1-other-1' }, 'boot-1')),
    },
  ],
  I3: [
    { says: 'no intent', forge: (f) => void f.writes.splice(1, 1) },
    { says: 'what an intent holds, in a phase before', forge: (f) => void (f.writes[1]!.phase = 'Testing') },
    {
      says: 'a start taken back of which there is no intent',
      forge: (f) =>
        void f.writes.splice(
          1,
          3,
          write(11_000, { phase: 'Rebooting', ...told }),
          write(12_000, { phase: 'Queued', ...told }),
        ),
    },
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
    {
      says: 'a second start when the first one was taken back while it ran',
      forge: (f) => {
        happened(f, started(20_000))
        f.writes.splice(3, 0, write(15_000, {}))
      },
    },
    ...(['Flashing', 'Rebooting', 'Verifying'] as const).map((phase) => ({
      says: `a second start after one that came to nothing, and was ${phase}`,
      forge: (f: Forged) => {
        happened(f, died(12_000), started(20_000))
        f.writes.splice(3, 0, write(15_000, { phase, ...told }))
      },
    })),
    {
      says: 'a second start after one that came to nothing, when only another operation was taken back',
      forge: (f) => {
        happened(f, died(12_000), started(20_000))
        f.writes.splice(3, 0, write(15_000, { operation: 'ap-2-1', device: 'ap-2' }))
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
      says: 'three starts in a minute, where two leaders may each start one',
      forge: (f) => {
        twoStarts(f)
        f.sends.push({ atMs: 69_100, device: 'ap-1', order })
        f.leaders = 2
      },
    },
    ...[[], [0, 200_000]].map((beginnings) => ({
      says: `two starts in a minute, the wall clock set forward in between, by controllers of ${beginnings.join()}`,
      forge: (f: Forged) => {
        twoStarts(f)
        f.governor.maxStartsPerMinute = 2
        f.jumps.push({ atMs: 20_000, byMs: hourMs })
        f.beginnings = beginnings
      },
    })),
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
    { says: 'two starts in a minute, of which one is by hand', forge: (f) => sentByHand(f, 69_000) },
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
    { says: 'success of a router that never booted', forge: (f) => void (f.routers[0]!.history = []) },
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
    ...(['Queued', 'Connecting', 'Checking', 'Uploading', 'Testing'] as const).map((phase) => ({
      says: `back to ${phase} while the flash runs`,
      forge: (f: Forged) => void f.writes.splice(2, 0, write(10_500, { phase })),
    })),
    {
      says: 'queued again when it was verified while the flash ran',
      forge: (f) =>
        void f.writes.splice(3, 0, write(11_500, { phase: 'Verifying' }), write(12_000, { phase: 'Queued' })),
    },
    {
      says: 'queued again while the flash runs, and another one begins',
      forge: (f) => {
        const another = { operation: 'ap-2-1', device: 'ap-2', phase: 'Flashing' } as const
        f.writes.splice(3, 0, write(11_500, another), write(12_000, { phase: 'Queued' }))
      },
    },
    {
      says: 'queued again while the flash runs, beside a router that never did anything',
      forge: (f) => {
        f.writes.splice(3, 0, write(12_000, { phase: 'Queued', ...told }))
        f.routers.unshift({ name: 'ap-0', history: [] })
      },
    },
    { says: 'queued again at once', forge: (f) => takenBack(f, 9000) },
    {
      says: 'queued again in the second in which a start is still possible',
      forge: (f) => takenBack(f, 90_000),
    },
    {
      says: 'queued again when a late start is possible, by the uptime',
      forge: (f) => takenBack(f, 93_000, [booted(5000, 'boot-0', old)]),
    },
    ...[
      ['later', refusal(13_000)],
      ['of another operation', refusal(10_000, { operation: 'x-1' })],
      ['of another boot', refusal(10_000, { bootId: 'boot-x' })],
      ['of another latest uptime', refusal(10_000, { maxUptimeSeconds: 80 })],
      ['that was none', refusal(10_000, {}, 0)],
    ].map(([what, guard]) => ({
      says: `queued again with a refusal ${what as string}`,
      forge: (f: Forged) => takenBack(f, 12_000, [booted(0, 'boot-0', old), guard as RouterEvent]),
    })),
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
    {
      says: 'a start after HALT that was lifted later',
      forge: (f) => void f.rules.push(rule(8000, { halted: true }), rule(20_000)),
    },
    {
      says: 'a start after HALT that nobody has written down',
      forge: (f) => {
        f.rules.push(rule(8000, { halted: true }))
        f.sends[0]!.order.operation = 'x-1'
      },
    },
    { says: 'a start after Pause', forge: (f) => void f.rules.push(rule(8000, { state: 'Pause' })) },
    { says: 'a start after Plan', forge: (f) => void f.rules.push(rule(8000, { state: 'Plan' })) },
    { says: 'a start after Abort', forge: (f) => void f.rules.push(rule(8000, { state: 'Abort' })) },
    {
      says: 'a start of a recalled build',
      forge: (f) => void f.rules.push(rule(8000, { recalled: ['new'] })),
    },
    { says: 'a start after a loss too many', forge: (f) => otherLost(f, 800) },
    {
      says: 'a start after two losses, of which the second is too many',
      forge: (f) => {
        f.governor.maxLostPerDay = 2
        otherLost(f, 800)
        f.writes.splice(
          2,
          0,
          write(900, { operation: 'ap-3-1', device: 'ap-3', phase: 'Failed', failureClass: 'Lost' }),
        )
      },
    },
    {
      says: 'a start after a loss on a day that had been acknowledged before',
      forge: (f) => {
        otherLost(f, 800)
        f.acknowledged.push({ atMs: 500, date: '2026-03-01' })
      },
    },
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
  I15: Object.keys(counts).map((count) => ({
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
    {
      says: 'too many writes for the two that were ordered by hand',
      forge: (f) => {
        byHand(f, 'a', 'b', 'b')
        f.load.writes = 861
      },
    },
  ],
  I24: [
    { says: 'another key than the pinned one', forge: (f) => void (f.uploads[0]!.shown = ['other']) },
    { says: 'nothing pinned', forge: (f) => void (f.uploads[0]!.pins = []) },
    { says: 'a known router trusted anew', forge: (f) => f.trustedAnew.push({ atMs: 5, device: 'ap-1' }) },
    {
      says: 'a known router trusted anew, 90 days on',
      forge: (f) => {
        f.trustedAnew.push({ atMs: 5, device: 'ap-1' })
        f.jumps.push({ atMs: 4, byMs: 90 * dayMs })
      },
    },
    {
      says: 'a known router trusted anew before the wall clock was set on by more',
      forge: (f) => {
        f.trustedAnew.push({ atMs: 5, device: 'ap-1' })
        f.jumps.push({ atMs: 6, byMs: 91 * dayMs })
      },
    },
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
    // It begins with what it is about, and says what is wrong with it.
    for (const found of judgePast(forged as Past)) expect(found).toMatch(/^I\d+ \w+: ["\w].*\w/)
  })
})

/** What looks like a violation, and is none. */
const allowed: Row[] = [
  { says: 'one upgrade', forge: () => {} },
  { says: 'a start that came to nothing, and another', forge: startedTwice },
  {
    says: 'two flashes with two tokens',
    forge: (f) => {
      flashedAgain(f, 'ap-1-other-1')
      f.rules.push(rule(102_000, { retryToken: 'again' }))
    },
  },
  { says: 'two flashes, the second one by hand', forge: (f) => flashedAgain(f, 'by-hand', { byHand: true }) },
  {
    says: 'two flashes by hand, whose names differ by a number',
    forge: (f) => {
      for (const each of f.writes) delete each.policy
      flashedAgain(f, `${stem}-2`, { byHand: true })
    },
  },
  {
    says: 'two flashes, the first so long ago that nobody remembers it',
    forge: (f) => {
      flashedAgain(f, `${stem}-2`)
      f.jumps.push({ atMs: 102_000, byMs: 90 * dayMs })
    },
  },
  {
    says: 'a small jump of the wall clock',
    forge: (f) => void f.jumps.push({ atMs: 102_000, byMs: hourMs }),
  },
  {
    says: 'a start in the last second that its order allows',
    forge: (f) => void (startOf(f).uptimeSeconds = 90),
  },
  { says: 'an intent stored in the moment of the start', forge: (f) => void (f.writes[1]!.atMs = 10_000) },
  {
    says: 'all steps before the flash in one moment',
    forge: (f) =>
      void f.writes.splice(0, 1, write(9000, { phase: 'Connecting' }), write(9000, { phase: 'Testing' })),
  },
  {
    says: 'an image written as soon as it is started',
    forge: (f) => void (f.routers[0]!.history[2]!.atMs = 10_000),
  },
  {
    says: 'already on the target',
    forge: (f) => {
      f.routers[0]!.history = []
      happened(f, booted(0, 'boot-1'))
      f.sends = []
      f.writes.splice(1, 3, write(2000, { phase: 'Succeeded', reason: 'AlreadyOnTarget' }))
      statusOf(f).reason = 'AlreadyOnTarget'
      f.rest.policy.status.counts!.succeeded = 0
    },
  },
  {
    says: 'a second start, beside a router that never did anything',
    forge: (f) => {
      startedTwice(f)
      f.routers.unshift({ name: 'ap-0', history: [] })
    },
  },
  ...[0, 1].map((index) => ({
    says: `two in flight within a second after the limit was ${['lowered', 'raised'][index]!}`,
    forge: (f: Forged) => {
      twoInFlight(f)
      f.governor.maxInFlight = 2
      f.rules = [rule(0, { maxConcurrent: 2 - index }), rule(9500, { maxConcurrent: 1 + index })]
    },
  })),
  {
    says: 'two in flight under a limit that was lowered later',
    forge: (f) => {
      twoInFlight(f)
      f.governor.maxInFlight = 2
      f.rules = [rule(0, { maxConcurrent: 2 }), rule(12_000)]
      f.writes.splice(4, 0, write(60_000, { phase: 'Verifying', ...told }))
    },
  },
  {
    says: 'two in flight, of which one is by hand',
    forge: (f) => {
      twoInFlight(f)
      delete f.writes[2]!.policy
      f.governor.maxInFlight = 2
    },
  },
  ...(['Queued', 'Cancelled', 'Failed'] as const).map((phase) => ({
    says: `one in flight, after one that is ${phase}`,
    forge: (f: Forged) => {
      const before = { operation: 'ap-2-1', device: 'ap-2' }
      f.writes.unshift(write(100, { ...before, phase: 'Connecting' }), write(500, { ...before, phase }))
    },
  })),
  {
    says: 'two leaders that each do as much as one may',
    forge: (f) => {
      f.leaders = 2
      twoInFlight(f)
      twoStarts(f)
      Object.assign(f.load, { mostSessions: 116, mostSessionsOfOne: 4, writes: 1600 })
    },
  },
  {
    says: 'two starts in a minute, of which one is by hand',
    forge: (f) => {
      f.governor.maxStartsPerMinute = 2
      sentByHand(f, 69_000)
    },
  },
  ...[0, 1000].map((slackMs) => ({
    says: `two starts a minute apart, and ${slackMs} ms less`,
    forge: (f: Forged) => {
      f.slackMs = slackMs
      f.sends.push({ atMs: 9500 + minuteMs - slackMs - 1, device: 'ap-1', order })
    },
  })),
  ...[
    [9500, 30_000],
    [30_000, 30_000],
    [20_000, 69_000],
  ].map(([jumpMs, beginMs]) => ({
    says: `two starts, with a jump at ${jumpMs} ms before a controller that began at ${beginMs} ms`,
    forge: (f: Forged) => {
      twoStarts(f)
      f.jumps.push({ atMs: jumpMs!, byMs: hourMs })
      f.beginnings.push(beginMs!)
    },
  })),
  {
    says: 'queued again in a new boot',
    forge: (f) => takenBack(f, 12_000, [booted(0, 'boot-0', old), booted(10_500, 'boot-1', old)]),
  },
  { says: 'queued again of a router that never booted', forge: (f) => takenBack(f, 12_000, []) },
  {
    says: 'queued again in the moment of the refusal',
    forge: (f) => takenBack(f, 12_000, [booted(0, 'boot-0', old), refusal(12_000)]),
  },
  {
    says: 'a phase that is told twice, with another class',
    forge: (f) =>
      void f.writes.splice(1, 0, write(1500, { phase: 'Connecting', failureClass: 'Unreachable' })),
  },
  {
    says: 'a failure that is told twice',
    forge: (f) => {
      const rolledBack = { phase: 'Failed', failureClass: 'RolledBack', ...told } as const
      f.writes.splice(3, 1, write(80_000, rolledBack), write(81_000, rolledBack))
    },
  },
  { says: 'one of two shown keys is pinned', forge: (f) => void f.uploads[0]!.shown.unshift('another') },
  { says: 'a start a second after HALT', forge: (f) => void f.rules.push(rule(8500, { halted: true })) },
  {
    says: 'a start in the moment in which HALT is lifted',
    forge: (f) => void f.rules.push(rule(1000, { halted: true }), rule(9500)),
  },
  {
    says: 'a start after HALT of which there has been no news',
    forge: (f) => {
      f.haltNewsMs = 5000
      f.rules.push(rule(4000, { halted: true }))
    },
  },
  ...[0, 5000].map((newsMs) => ({
    says: `a start of a build that was recalled just now, of which news take ${newsMs} ms`,
    forge: (f: Forged) => {
      f.newsMs = newsMs
      f.rules.push(rule(9000 - newsMs, { recalled: ['new'] }))
    },
  })),
  {
    says: 'a limit that is lowered below what is in flight',
    forge: (f) => {
      twoInFlight(f)
      f.governor.maxInFlight = 2
      f.rules = [rule(0, { maxConcurrent: 2 }), rule(10_500)]
    },
  },
  {
    says: 'as many writes as one controller may make for two that were ordered by hand',
    forge: (f) => {
      byHand(f, 'a', 'b', 'b')
      f.load.writes = 860
    },
  },
  {
    says: 'a known router trusted anew when the wall clock was set on by longer than it is remembered',
    forge: (f) => {
      f.trustedAnew.push({ atMs: 5, device: 'ap-1' })
      f.jumps.push({ atMs: 5, byMs: 90 * dayMs + 1 })
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

/** What violates much, and not this. */
const innocent: (Row & { of: keyof typeof invariants })[] = [
  {
    of: 'I1',
    says: 'another image, started in another boot before this one was written',
    forge: (f) => {
      f.images.set(other, { build: 'new', boards: ['board'], revision: 'r2' })
      happened(f, started(60_000, { sha256: other }, 'boot-x'))
    },
  },
  {
    of: 'I1',
    says: 'another image, started in the same boot when this one had been written',
    forge: (f) => {
      f.images.set(other, { build: 'new', boards: ['board'], revision: 'r2' })
      happened(f, started(80_000, { operation: 'x-1', sha256: other }))
    },
  },
  {
    of: 'I2',
    says: 'two flashes by hand after one that was not',
    forge: (f) => {
      flashedAgain(f, 'by-hand', { byHand: true })
      happened(f, started(210_000, { operation: 'another-by-hand' }, 'boot-2'))
      const byHand = write(209_000, { operation: 'another-by-hand', phase: 'Flashing' })
      delete byHand.policy
      f.writes.push(byHand)
    },
  },
  ...[10_000, 20_000].map((atMs) => ({
    of: 'I4' as const,
    says: `a second start after a proof that came at ${atMs} ms, as one of the two starts did`,
    forge: (f: Forged) => {
      happened(f, died(10_000), started(20_000))
      f.writes.splice(3, 0, write(atMs, {}))
    },
  })),
  {
    of: 'I12',
    says: 'a start after a loss that is written twice',
    forge: (f) => {
      f.governor.maxLostPerDay = 2
      otherLost(f, 700)
      otherLost(f, 800)
    },
  },
  {
    of: 'I12',
    says: 'a start after a loss that is not too many',
    forge: (f) => {
      f.governor.maxLostPerDay = 2
      otherLost(f, 800)
    },
  },
  {
    of: 'I12',
    says: 'a start of nobody knows what, before anything was ordered',
    forge: (f) => {
      f.sends[0]!.order.operation = 'x-1'
      f.rules = [rule(20_000)]
    },
  },
  {
    of: 'I12',
    says: 'a start of one of two leaders after a loss that the other one has seen',
    forge: (f) => {
      f.leaders = 2
      otherLost(f, 800)
    },
  },
]

test.each(innocent)('not $of: $says', ({ of, forge }) => {
  const forged = past()
  forge(forged)
  expect(idsOf(forged)).not.toContain(of)
})

test.each<Row & { finds: string }>([
  {
    says: 'boards',
    forge: (f) => void (f.images.get(sha256)!.boards = ['x', 'y']),
    finds: `I1 rightImage: ap-1, a board, was started with ${sha256}, declared for x, y`,
  },
  {
    says: 'boards of an image',
    forge: (f) => void (startOf(f).imageBoards = ['x', 'y']),
    finds: `I1 rightImage: ap-1, a board, was started with ${sha256}, and held one for x, y`,
  },
  {
    says: 'keys',
    forge: (f) => void Object.assign(f.uploads[0]!, { shown: ['a', 'b'], pins: ['c', 'd'] }),
    finds: 'I24 hostKey: an image was sent to ap-1, which showed a | b, pinned c | d',
  },
  {
    says: 'trust',
    forge: (f) => f.trustedAnew.push({ atMs: 5, device: 'ap-1' }),
    finds: 'I24 hostKey: at 5 ms any key of ap-1 would have been accepted, which was pinned before',
  },
  {
    says: 'HALT',
    forge: (f) => void f.rules.push(rule(8000, { halted: true })),
    finds: `I12 stop: ${name} was started 1500 ms after HALT`,
  },
  {
    says: 'Pause',
    forge: (f) => void f.rules.push(rule(8000, { state: 'Pause' })),
    finds: `I12 stop: ${name} was started 1500 ms after Pause`,
  },
  {
    says: 'Abort',
    forge: (f) => void f.rules.push(rule(8000, { state: 'Abort' })),
    finds: `I12 stop: ${name} was started 1500 ms after Abort`,
  },
  {
    says: 'losses',
    forge: (f) => otherLost(f, 800),
    finds: `I12 stop: ${name} was started 8700 ms after the losses of 2026-03-01`,
  },
])('the words tell $says', ({ forge, finds }) => {
  const forged = past()
  forge(forged)
  expect(judgePast(forged as Past)).toContain(finds)
})

/** Whether an operation may be seen in these two phases, one after the other. */
function mayFollow(from: Phase, to: Phase): boolean {
  const steps: Phase[] = ['Connecting', 'Checking', 'Uploading', 'Testing']
  const flash: Phase[] = ['Flashing', 'Rebooting', 'Verifying']
  const isOver = !['Queued', ...steps, ...flash].includes(from)
  if (from === to) return true
  if (isOver || (from === 'Verifying' && to === 'Queued')) return false
  if (from === 'Queued') return ['Connecting', 'Failed', 'Cancelled'].includes(to)
  // Who has been told to start is not cancelled, and nothing is sent to it any more.
  if (flash.includes(from))
    return flash.includes(to)
      ? flash.indexOf(to) > flash.indexOf(from)
      : ['Queued', 'Succeeded', 'Failed'].includes(to)
  return to !== 'Rebooting' && to !== 'Verifying'
}

const phases = Object.keys(transitions) as Phase[]
test.each(phases)('I11: what may follow %s', (from) => {
  const violates = (to: Phase): boolean => {
    const forged = past()
    // How it came to be there is another matter.
    forged.writes = [
      write(0, { phase: from, failureClass: 'Rejected' }),
      write(1000, { phase: to, failureClass: 'Rejected' }),
    ]
    return judgePast(forged as Past).some((found) => found.endsWith(`went from ${from} to ${to}`))
  }
  expect(phases.filter((to) => !violates(to))).toEqual(phases.filter((to) => mayFollow(from, to)))
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

  test('the same end, after something else happened', () => {
    expect(differs((f) => happened(f, at(150_000, { type: 'Fault', kind: 'Lies' })))).toBe(0)
  })

  test('the words tell which of the two differs', () => {
    const forged = past()
    bootOf(forged).release = old
    expect([...twinInvariants.I17.judge(forged as Past, past() as Past)]).toEqual([
      'without crashes: ap-1 runs r2',
      'with crashes: ap-1 runs r1',
    ])
  })

  test.each<Row>([
    { says: 'another release', forge: (f) => void (bootOf(f).release = old) },
    {
      says: 'another release, since a third boot',
      forge: (f) => happened(f, booted(150_000, 'boot-2', old)),
    },
    { says: 'a router that never booted', forge: (f) => void (f.routers[0]!.history = []) },
    { says: 'nothing known of what it runs', forge: (f) => delete deviceOf(f).status.buildRef },
    { says: 'an operation without a build', forge: ({ rest }) => delete rest.operations[0]!.spec.buildRef },
    {
      says: 'another reason',
      forge: (f) => void (deviceOf(f).status.blocked = { reason: 'Held', message: 'x' }),
    },
    { says: 'another end', forge: (f) => void (statusOf(f).phase = 'Failed') },
    {
      says: 'the same end of one operation more',
      forge: ({ rest }) => void rest.operations.push(structuredClone(rest.operations[0]!)),
    },
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

  test('the words tell which of the two differs', () => {
    const forged = past()
    startOf(forged).order.sha256 = other
    expect([...twinInvariants.I19.judge(forged as Past, past() as Past)]).toEqual([
      `without a bad object: ap-1 was started with ${sha256}`,
      `with a bad object: ap-1 was started with ${other}`,
    ])
  })

  test('one router more is none of the others', () => {
    const bad = { name: 'bad', history: [booted(0, 'b'), started(5)] } as Forged['routers'][number]
    expect(differs(({ routers }) => void routers.push(bad))).toBe(0)
  })

  test.each<Row>([
    { says: 'a start less', forge: ({ routers }) => void routers[0]!.history.splice(1) },
    { says: 'a start more', forge: (f) => happened(f, started(50_000, { sha256: other })) },
    { says: 'a start more, with the same image', forge: (f) => happened(f, started(50_000)) },
    { says: 'another image', forge: (f) => void (startOf(f).order.sha256 = other) },
  ])('$says', ({ forge }) => {
    expect(differs(forge)).toBeGreaterThan(0)
  })
})

describe('quiet', () => {
  const { revision } = knownReleases['24.10.8']
  const found = (forge: (forged: Forged) => void, hasBadObject = false): string[] => {
    const forged = past()
    bootOf(forged).release = { ...target, revision }
    forge(forged)
    return [...judgeQuiet(forged as Past, hasBadObject)]
  }
  const answer = (f: Forged, verdict: number) =>
    at(9000, { type: 'Guard', verdict, bootId: 'boot-0', uptimeSeconds: 9, order: startOf(f).order })

  test.each<Row & { finds: string[] }>([
    { says: 'all is well', forge: () => {}, finds: [] },
    {
      says: 'another release',
      forge: (f) => void (bootOf(f).release = old),
      finds: ['quiet: ap-1 is not on target'],
    },
    {
      says: 'another release, since a third boot',
      forge: (f) => happened(f, booted(150_000, 'boot-2', old)),
      finds: ['quiet: ap-1 is not on target'],
    },
    {
      says: 'no flash',
      forge: (f) => void f.routers[0]!.history.splice(2, 1),
      finds: ['quiet: ap-1 was flashed 0 times'],
    },
    {
      says: 'a router that never booted',
      forge: (f) => void (f.routers[0]!.history = []),
      finds: ['quiet: ap-1 is not on target', 'quiet: ap-1 was flashed 0 times'],
    },
    { says: 'a start that the router takes', forge: (f) => happened(f, answer(f, 0)), finds: [] },
    {
      says: 'a start that the router refuses',
      forge: (f) => happened(f, answer(f, 93)),
      finds: ['quiet: ap-1 refused 1 starts, the first with 93'],
    },
    {
      says: 'a start that the router refuses to one of several leaders',
      forge: (f) => {
        f.leaders = 2
        happened(f, answer(f, 93))
      },
      finds: [],
    },
    {
      says: 'an operation that failed',
      forge: (f) => void (statusOf(f).phase = 'Failed'),
      finds: ['quiet: 0 of 1 operations succeeded'],
    },
  ])('$says', ({ forge, finds }) => {
    expect(found(forge)).toEqual(finds)
  })

  test('a bad object is never upgraded', () => {
    expect(found((f) => void (statusOf(f).phase = 'Failed'), true)).toEqual([])
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
    { says: 'a first upgrade just in time', forge: ({ writes }) => void (writes[0]!.atMs = 5000) },
    { says: 'a verdict just in time', forge: (f) => void (bootOf(f).atMs = 96_000) },
    {
      says: 'a verdict just in time, when knocks are rare',
      forge: (f) => {
        f.knockMs = 20_000
        bootOf(f).atMs = 77_000
      },
    },
    { says: 'a verdict in the moment of the boot', forge: (f) => void (bootOf(f).atMs = 101_000) },
    {
      says: 'a verdict beside a router that booted long ago',
      forge: ({ routers }) => {
        const history = structuredClone(routers[0]!.history.slice(0, 1))
        routers.unshift({ name: 'ap-0', history })
      },
    },
    { says: 'the next one as soon as its slot is free', forge: (f) => another(f, 101_900) },
    ...(['maxConcurrent', 'maxInFlight'] as const).map((limit) => ({
      says: `the next one as soon as its slot is free, when two are allowed but for ${limit}`,
      forge: (f: Forged) => {
        f.rules[0]!.maxConcurrent = limit === 'maxConcurrent' ? 1 : 2
        f.governor.maxInFlight = limit === 'maxInFlight' ? 1 : 2
        another(f, 101_900)
      },
    })),
    ...(['startsPerMinute', 'maxStartsPerMinute'] as const).map((limit) => ({
      says: `the next one as soon as its minute has come, when two are allowed but for ${limit}`,
      forge: (f: Forged) => {
        f.rules[0]!.maxConcurrent = 2
        f.governor.maxInFlight = 2
        f.rules[0]!.startsPerMinute = limit === 'startsPerMinute' ? 1 : 2
        f.governor.maxStartsPerMinute = limit === 'maxStartsPerMinute' ? 1 : 2
        another(f, 61_900)
      },
    })),
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
    {
      says: 'a verdict long after its boot, though knocks are rare',
      forge: (f) => {
        f.knockMs = 20_000
        bootOf(f).atMs = 76_999
      },
    },
    {
      says: 'a first upgrade that has waited in the queue',
      forge: ({ writes }) => {
        writes[0]!.atMs = 5001
        writes.unshift(write(0, {}))
      },
    },
    {
      says: 'a verdict long after its boot, and before another one',
      forge: (f) => {
        bootOf(f).atMs = 95_999
        happened(f, booted(150_000, 'boot-2'))
      },
    },
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

  test('the words tell what might have been', () => {
    const forged = past()
    bootOf(forged).atMs = 95_999
    another(forged, 102_001)
    expect([...judgePrompt(forged as Past)]).toEqual([
      'prompt: ap-1 booted at 95999 ms, its verdict came at 101000 ms',
      'prompt: an upgrade began at 102001 ms, and might have by 102000 ms',
    ])
  })

  test('what was in the moment asked for is judged', () => {
    expect(late((f) => void (bootOf(f).atMs = 95_999), 101_000)).toBe(1)
  })

  test('what was before the moment asked for is not judged', () => {
    expect(late((f) => void (f.writes[0]!.atMs = 5001), 9000)).toBe(0)
    expect(late((f) => void (bootOf(f).atMs = 95_999), 102_000)).toBe(0)
  })
})

test.each(Object.entries(provenElsewhere))('%s is proved in %s', (_, path) => {
  expect(existsSync(path)).toBe(true)
})
