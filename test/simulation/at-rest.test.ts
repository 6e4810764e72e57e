/** What counting one device gives, wherever it stands; what has no end and what has no reason, by its words. */
import { describe, expect, test } from 'vitest'
import type { CountName } from '../../src/api/resources.ts'
import { operation } from '../support/core-objects.ts'
import { judgeCounters, judgeExplain, judgeProgress } from './at-rest.ts'
import {
  at,
  booted,
  counts,
  deviceOf,
  happened,
  name,
  old,
  other,
  past,
  statusOf,
  stem,
  type Forged,
  type Row,
} from './forged-past.ts'
import { hourMs, minuteMs, type Past } from './past.ts'

const found = (judge: (past: Past) => Iterable<string>, forge: Row['forge']): string[] => {
  const forged = past()
  forge(forged)
  return [...judge(forged as Past)]
}

/** Off its target, without any upgrade. */
function off(forged: Forged, reason?: string): void {
  deviceOf(forged).status.buildRef!.name = 'old'
  forged.rest.operations = []
  if (reason !== undefined) deviceOf(forged).status.blocked = { reason, message: 'because' }
}
const upgraded = (forged: Forged, status: object, of = name): void =>
  void forged.rest.operations.push(operation(of, status) as Forged['rest']['operations'][number])
const failed = (failureClass: string): object => ({ phase: 'Failed', failureClass })

interface Standing extends Row {
  /** Besides `matched`. */
  in: CountName[]
}

const onTarget: CountName[] = ['eligible', 'onTarget']
const inLine: CountName[] = ['eligible', 'queued']
const byReason: Record<string, CountName[]> = {
  Unreachable: ['offline'],
  Quarantined: ['quarantined'],
  Held: ['held'],
  Pinned: ['held'],
  NoImage: ['unsupported'],
  AmbiguousImage: ['unsupported'],
  NeverProbed: ['unknown'],
  Lost: ['lost'],
  RolledBack: ['failed', 'rolledBack'],
  PolicyPaused: [],
  WaitingForSlot: inLine,
  WaitingForStart: inLine,
}

describe('I15: one device is counted as', () => {
  const standings: Standing[] = [
    { says: 'one that was upgraded', forge: () => {}, in: [...onTarget, 'succeeded'] },
    {
      says: 'one that ran its target before',
      forge: (f) => void (statusOf(f).reason = 'AlreadyOnTarget'),
      in: onTarget,
    },
    ...Object.entries(byReason).map(([reason, names]) => ({
      says: `one that is off its target: ${reason}`,
      forge: (f: Forged) => off(f, reason),
      in: names,
    })),
    {
      says: 'one that was upgraded, and has fallen back since',
      forge: (f) => void (deviceOf(f).status.buildRef!.name = 'old'),
      in: ['succeeded'],
    },
    {
      says: 'one of which nobody knows what it runs',
      forge: (f) => delete deviceOf(f).status.buildRef,
      in: ['succeeded'],
    },
    {
      says: 'one that is lost',
      forge: (f) => {
        off(f, 'Lost')
        upgraded(f, failed('Lost'))
      },
      in: ['failed', 'lost'],
    },
    {
      says: 'one that has fallen back, and does not answer any more',
      forge: (f) => {
        off(f, 'Unreachable')
        upgraded(f, failed('RolledBack'))
      },
      in: ['failed', 'rolledBack', 'offline'],
    },
    {
      says: 'one that failed otherwise than it is blocked',
      forge: (f) => {
        off(f, 'Lost')
        upgraded(f, failed('WrongVersion'))
      },
      in: ['failed'],
    },
    {
      says: 'one that was lost, and runs its target by now',
      forge: (f) => void Object.assign(statusOf(f), failed('Lost')),
      in: onTarget,
    },
    {
      says: 'one of many attempts, of which the tenth succeeded',
      forge: (f) => {
        f.rest.operations = []
        upgraded(f, failed('Lost'), `${stem}-9`)
        upgraded(f, { phase: 'Succeeded' }, `${stem}-10`)
        upgraded(f, failed('Lost'), `${stem}-8`)
      },
      in: [...onTarget, 'succeeded'],
    },
    {
      says: 'one whose upgrade to something else failed',
      forge: (f) => {
        off(f, 'PolicyPaused')
        upgraded(f, failed('Lost'), 'ap-1-other-1')
      },
      in: [],
    },
    {
      says: 'one that is for one image of several',
      forge: (f) => {
        const images = new Map(f.images)
        f.images.clear()
        f.images.set(other, { build: 'old', boards: ['board'], revision: 'r1' })
        f.images.set('c'.repeat(64), { build: 'new', boards: ['x'], revision: 'r2' })
        for (const [sha256, image] of images) f.images.set(sha256, image)
      },
      in: [...onTarget, 'succeeded'],
    },
    {
      says: 'one that no image is for',
      forge: (f) => {
        off(f, 'NoImage')
        upgraded(f, failed('Lost'))
        deviceOf(f).status.board = 'x'
      },
      in: ['unsupported'],
    },
    {
      says: 'one of a board that nobody knows',
      forge: (f) => {
        off(f, 'NeverProbed')
        upgraded(f, failed('Lost'))
        delete deviceOf(f).status.board
      },
      in: ['unknown'],
    },
    ...(['Retrying', undefined] as const).map((reason) => ({
      says: `one that waits in the queue: ${reason}`,
      forge: (f: Forged) => {
        off(f, reason)
        upgraded(f, reason ? { phase: 'Queued' } : {})
      },
      in: inLine,
    })),
    {
      says: 'one that is at work',
      forge: (f) => {
        off(f, 'Upgrading')
        upgraded(f, { phase: 'Checking' })
        deviceOf(f).status.operationRef = { name }
      },
      in: ['eligible', 'inFlight'],
    },
    {
      says: 'one on its target that waits in the queue',
      forge: (f) => void (statusOf(f).phase = 'Queued'),
      in: onTarget,
    },
    ...(['Failed', 'Cancelled'] as const).map((phase) => ({
      says: `one whose upgrade to something else is ${phase}`,
      forge: (f: Forged) => {
        off(f, 'PolicyPaused')
        upgraded(f, { phase }, 'ap-1-other-1')
      },
      in: [],
    })),
    {
      says: 'one when another waits in the queue',
      forge: (f) => {
        off(f, 'PolicyPaused')
        upgraded(f, {})
        f.rest.operations[0]!.spec.deviceRef.name = 'ap-2'
      },
      in: [],
    },
  ]

  const zero = Object.fromEntries(Object.keys(counts).map((count) => [count, 0])) as typeof counts
  test.each(standings)('$says', ({ forge, in: names }) => {
    const told = { ...zero, matched: 1, ...Object.fromEntries(names.map((count) => [count, 1])) }
    const forgeAll = (f: Forged): void => {
      forge(f)
      f.rest.policy.status.counts = told
    }
    expect(found(judgeCounters, forgeAll)).toEqual([])
  })

  test.each<Row>([
    { says: 'of another policy', forge: (f) => void (deviceOf(f).status.policyRef!.name = 'x') },
    { says: 'of no policy', forge: (f) => delete deviceOf(f).status.policyRef },
  ])('none, $says', ({ forge }) => {
    const forgeAll = (f: Forged): void => {
      forge(f)
      f.rest.policy.status.counts = zero
    }
    expect(found(judgeCounters, forgeAll)).toEqual([])
  })

  test('what is not told is missed', () => {
    const missed = found(judgeCounters, (f) => delete f.rest.policy.status.counts)
    expect(missed.toSorted()).toEqual(
      Object.entries(counts)
        .map(([count, is]) => `undefined ${count}, counted ${is}`)
        .toSorted(),
    )
  })
})

describe('I16', () => {
  test.each<Row & { finds: string }>([
    { says: 'off its target for no reason', forge: off, finds: 'ap-1 is off its target and nobody says why' },
    {
      says: 'nothing known of what it runs',
      forge: (f) => delete deviceOf(f).status.buildRef,
      finds: 'ap-1 is off its target and nobody says why',
    },
    {
      says: 'a reason that is on no list',
      forge: (f) => off(f, 'Whatever'),
      finds: 'ap-1 is blocked by Whatever: because',
    },
    {
      says: 'a reason without words',
      forge: (f) => {
        off(f)
        deviceOf(f).status.blocked = { reason: 'Held', message: '' }
      },
      finds: 'ap-1 is blocked by Held: ',
    },
    {
      says: 'a reason though it is on its target',
      forge: (f) => void (deviceOf(f).status.blocked = { reason: 'Held', message: 'held' }),
      finds: 'ap-1 is on its target, and blocked by Held',
    },
    {
      says: 'another release than it runs',
      forge: (f) => void (deviceOf(f).status.release = { ...old }),
      finds: 'ap-1 runs r2, and is said to run r1',
    },
    {
      says: 'no release though it was reached',
      forge: (f) => delete deviceOf(f).status.release,
      finds: 'ap-1 runs r2, and is said to run undefined',
    },
    {
      says: 'a release of a router that never ran',
      forge: (f) => {
        f.routers[0]!.history = []
        delete deviceOf(f).status.bootId
      },
      finds: 'ap-1 runs undefined, and is said to run r2',
    },
  ])('$says', ({ forge, finds }) => {
    expect(found(judgeExplain, forge)).toEqual([finds])
  })

  test.each<Row>([
    { says: 'on its target', forge: () => {} },
    { says: 'off its target for a reason', forge: (f) => off(f, 'Held') },
    {
      says: 'wanted to run nothing',
      forge: (f) => {
        off(f)
        delete deviceOf(f).status.desiredBuildRef
      },
    },
    {
      says: 'wanted to run nothing, and not known',
      forge: (f) => {
        off(f, 'NoPolicy')
        delete deviceOf(f).status.desiredBuildRef
        delete deviceOf(f).status.buildRef
      },
    },
    {
      says: 'another release, in a boot before',
      forge: (f) => void Object.assign(deviceOf(f).status, { release: { ...old }, bootId: 'boot-0' }),
    },
    {
      says: 'another release, by a lie',
      forge: (f) => {
        deviceOf(f).status.release = { ...old }
        happened(f, at(100_500, { type: 'Fault', kind: 'Lies' }))
      },
    },
    {
      says: 'beside a router that runs another release',
      forge: (f) => {
        f.routers.unshift({ name: 'ap-0', history: [] })
        happened(f, booted(0, 'boot-1', old))
      },
    },
    {
      says: 'a device without a router',
      forge: (f) => {
        f.routers = []
        delete deviceOf(f).status.bootId
      },
    },
    {
      says: 'a router that never ran',
      forge: (f) => {
        f.routers[0]!.history = []
        delete deviceOf(f).status.bootId
        delete deviceOf(f).status.release
      },
    },
  ])('allowed: $says', ({ forge }) => {
    expect(found(judgeExplain, forge)).toEqual([])
  })
})

describe('I25', () => {
  const soon = (f: Forged, ms: number): string =>
    (deviceOf(f).status.nextProbeTime = new Date(f.rest.wallMs + ms).toISOString())

  test.each<Row & { finds: string | RegExp }>([
    ...(['Connecting', 'Verifying'] as const).map((phase) => ({
      says: `an operation that is ${phase}`,
      forge: (f: Forged) => void Object.assign(statusOf(f), { phase, reason: 'Waiting', message: 'hm' }),
      finds: `${name} is still ${phase}: hm`,
    })),
    {
      says: 'queued for nothing',
      forge: (f) => {
        delete statusOf(f).phase
        delete statusOf(f).reason
      },
      finds: `${name} waits in the queue for undefined`,
    },
    {
      says: 'queued for what is on no list',
      forge: (f) => void Object.assign(statusOf(f), { phase: 'Queued', reason: 'Whatever' }),
      finds: `${name} waits in the queue for Whatever`,
    },
    {
      says: 'a claim',
      forge: (f) => void (deviceOf(f).status.operationRef = { name }),
      finds: `ap-1 is still claimed by ${name}`,
    },
    {
      says: 'no next look',
      forge: (f) => delete deviceOf(f).status.nextProbeTime,
      finds: 'ap-1 is looked at next at undefined',
    },
    {
      says: 'a next look too far ahead',
      forge: (f) => soon(f, f.rest.longestWaitMs + 1),
      finds: /^ap-1 is looked at next at 2026/,
    },
    {
      says: 'a next look that was missed',
      forge: (f) => soon(f, -f.rest.slowestProbeMs),
      finds: /^ap-1 is looked at next at 2026/,
    },
    ...['WaitingForSlot', 'WaitingForStart'].map((reason) => ({
      says: `a turn that nobody has, ${reason}`,
      forge: (f: Forged) => off(f, reason),
      finds: 'ap-1 waits for its turn, and nobody is at work',
    })),
    ...['WaitingForSlot', 'WaitingForStart'].map((reason) => ({
      says: `queued for a turn that nobody has, ${reason}`,
      forge: (f: Forged) => void Object.assign(statusOf(f), { phase: 'Queued', reason }),
      finds: `${name} waits for its turn, and nobody is at work`,
    })),
    {
      says: 'a turn that nobody has, with another one in the queue',
      forge: (f) => {
        off(f, 'WaitingForSlot')
        upgraded(f, { phase: 'Queued', reason: 'PolicyPaused' })
      },
      finds: 'ap-1 waits for its turn, and nobody is at work',
    },
    {
      says: 'a turn that somebody has',
      forge: (f) => {
        off(f, 'WaitingForSlot')
        upgraded(f, { phase: 'Connecting', message: 'hm' })
      },
      finds: `${name} is still Connecting: hm`,
    },
    {
      says: 'a turn that nobody has, when all was stopped a moment before',
      forge: (f) => {
        off(f, 'WaitingForSlot')
        f.saidLatched.push({ atMs: f.rest.atMs - 1, date: '2026-03-01' })
      },
      finds: 'ap-1 waits for its turn, and nobody is at work',
    },
    {
      says: 'stopped services',
      forge: ({ rest }) => void rest.reachable[0]!.stoppedServices.push('dnsmasq', 'uhttpd'),
      finds: 'ap-1 is left without dnsmasq, uhttpd',
    },
  ])('$says', ({ forge, finds }) => {
    const all = found(judgeProgress, forge)
    expect(all).toHaveLength(1)
    expect(all[0]).toMatch(finds)
  })

  test.each<Row>([
    { says: 'succeeded', forge: () => {} },
    { says: 'failed', forge: (f) => void (statusOf(f).phase = 'Failed') },
    { says: 'cancelled', forge: (f) => void (statusOf(f).phase = 'Cancelled') },
    {
      says: 'queued for a reason of the list',
      forge: (f) => void Object.assign(statusOf(f), { phase: 'Queued', reason: 'PolicyPaused' }),
    },
    {
      says: 'queued for its turn',
      forge: (f) => void Object.assign(statusOf(f), { phase: 'Queued', reason: 'Waiting' }),
    },
    {
      says: 'off its target for what is no turn',
      forge: (f) => off(f, 'Held'),
    },
    {
      says: 'queued for a turn while losses stop all',
      forge: (f) => {
        Object.assign(statusOf(f), { phase: 'Queued', reason: 'WaitingForSlot' })
        f.saidLatched.push({ atMs: f.rest.atMs, date: '2026-03-01' })
      },
    },
    {
      says: 'a turn while the policy is paused',
      forge: (f) => {
        off(f, 'WaitingForSlot')
        f.rest.policy.spec.state = 'Pause'
      },
    },
    {
      says: 'a turn while losses stop all',
      forge: (f) => {
        off(f, 'WaitingForSlot')
        f.saidLatched.push({ atMs: f.rest.atMs, date: '2026-03-01' })
      },
    },
    { says: 'looked at as late as may be', forge: (f) => void soon(f, f.rest.longestWaitMs) },
    { says: 'looked at just now', forge: (f) => void soon(f, 1 - f.rest.slowestProbeMs) },
    {
      says: 'looked at soon, of many hours',
      forge: (f) => {
        f.rest.longestWaitMs = hourMs
        soon(f, minuteMs)
      },
    },
  ])('allowed: $says', ({ forge }) => {
    expect(found(judgeProgress, forge)).toEqual([])
  })
})
