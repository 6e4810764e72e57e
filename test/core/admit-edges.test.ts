/** The checks of the admission at their edges: what is missing, what is equal, what is nearly the other case. */
import { describe, expect, test } from 'vitest'
import type { UpgradeOperation } from '../../src/api/resources.ts'
import {
  admit,
  attemptsOf,
  byPriority,
  chosenImage,
  currentVersion,
  hasAnsweredSince,
  isHeld,
  markerFellBack,
  upgradeStem,
  type Subject,
} from '../../src/core/admit.ts'
import { operationName } from '../../src/core/names.ts'
import {
  at,
  build,
  condition,
  device,
  image,
  limits,
  now,
  operation,
  policy,
  subject,
} from '../support/core-objects.ts'

const hourMs = 3600_000
const { stem } = upgradeStem(subject())!
const attempt = (number: number, status: UpgradeOperation['status']): UpgradeOperation =>
  operation(operationName(stem, number), status)
const failedAt = (endedAt: number, failureClass: 'UploadFailed' | 'AuthFailed' | 'Lost'): UpgradeOperation =>
  attempt(1, { phase: 'Failed', failureClass, message: 'why', times: { Failed: at(endedAt) } })
const byHand = (spec: object = { buildRef: { name: 'new' } }, status = {}): UpgradeOperation =>
  operation('by-hand', status, spec)
const messageOf = (judged: Subject): string | undefined => admit(judged).blocked?.message
const reasonOf = (judged: Subject): string | undefined => admit(judged).blocked?.reason
const unready = (name: string, reason: string) =>
  image(name, { status: { conditions: [condition('Ready', reason, 'False')] } })

test('policies of equal priority are ordered by name', () => {
  const policies = ['b', 'a', 'c'].map((name) => policy(name))
  const names = (all: readonly { metadata: { name: string } }[]) => all.map(({ metadata }) => metadata.name)
  expect(names(policies.toSorted(byPriority))).toEqual(['a', 'b', 'c'])
  expect(names(policies.toReversed().toSorted(byPriority))).toEqual(['a', 'b', 'c'])
  expect(names([...policies, policy('z', { priority: 200 })].toSorted(byPriority))[0]).toBe('z')
})

test('a device is held only where somebody holds it, and until that time', () => {
  expect(isHeld(device(), now)).toBe(false)
  expect(isHeld(device({ hold: { reason: 'x' } }), now)).toBe(true)
  expect(isHeld(device({ hold: { reason: 'x', until: at(now + 1) } }), now)).toBe(true)
  expect(isHeld(device({ hold: { reason: 'x', until: at(now) } }), now)).toBe(false)
})

describe('the image', () => {
  const two = { build: build(), images: [image('a'), image('b')] }

  test('is the one that is asked for by name, or none', () => {
    const asked = (name: string) =>
      chosenImage(subject({ target: two, request: byHand({ imageRef: { name } }) }))?.metadata.name
    expect(['a', 'b', 'c'].map(asked)).toEqual(['a', 'b', undefined])
    expect(chosenImage(subject({ target: two }))).toBeUndefined()
    expect(chosenImage(subject({ target: undefined }))).toBeUndefined()
    expect(chosenImage(subject({ device: device({}, { board: undefined }) }))).toBeUndefined()
    expect(chosenImage(subject())?.metadata.name).toBe('image')
  })

  test('that is not Ready is named, with its words', () => {
    const of = (...images: ReturnType<typeof image>[]) =>
      subject({
        target: { build: build(), images: [image('else', { status: { boards: ['q'] } }), ...images] },
      })
    const none = 'build new has no image for board toy'
    expect(messageOf(of())).toBe(none)
    expect(messageOf(of(unready('a', 'ImageInvalid')))).toBe(`${none}; not Ready: a (Ready is False)`)
    expect(reasonOf(of(unready('a', 'ImageInvalid')))).toBe('NoImage')
    expect(reasonOf(of(unready('a', 'ImageInvalid'), unready('b', 'Loading')))).toBe('BuildNotReady')
    expect(messageOf(of(unready('a', 'ImageInvalid'), unready('b', 'Loading')))).toBe(
      `${none}; not Ready: a (ImageInvalid), b (Loading)`,
    )
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => unready(`i${index}`, 'DigestMismatch'))
    const five =
      'i0 (DigestMismatch), i1 (DigestMismatch), i2 (DigestMismatch), i3 (DigestMismatch), i4 (DigestMismatch)'
    expect(messageOf(of(...many(5)))).toBe(`${none}; not Ready: ${five}`)
    expect(messageOf(of(...many(7)))).toBe(`${none}; not Ready: ${five} and 2 more`)
  })
})

describe('words for what nobody said', () => {
  test.each<[string, Subject]>([
    [
      'build new is recalled: no reason given',
      subject({ target: { build: build('new', { lifecycle: 'Recalled' }), images: [image()] } }),
    ],
    ['not reached yet', subject({ device: device({}, { bootId: undefined, conditions: [] }) })],
    ['has never answered', subject({ device: device({}, { lastProbeTime: undefined, conditions: [] }) })],
    ['the device is being removed', subject({ device: removed() })],
    [
      `operation ${stem}-1 succeeded, but the device runs something else now; change retryToken to flash it again`,
      subject({
        operations: [attempt(1, { phase: 'Succeeded' })],
        device: device({}, { osIdentifier: undefined }),
      }),
    ],
    [
      `operation ${stem}-1 tries again`,
      subject({ operations: [attempt(1, { phase: 'Queued', retryTime: at(now + 1000) })] }),
    ],
    [
      'operation else: never came back',
      subject({
        operations: [
          operation('else', { phase: 'Failed', failureClass: 'Lost', times: { Failed: at(now) } }),
        ],
      }),
    ],
    [
      'operation else: gone with the wind',
      subject({
        operations: [
          operation('else', {
            phase: 'Failed',
            failureClass: 'Lost',
            message: 'gone with the wind',
            times: { Failed: at(now) },
          }),
        ],
      }),
    ],
    [
      `operation ${stem}-1: ; change retryToken to try again`,
      subject({ operations: [attempt(1, { phase: 'Failed', failureClass: 'Rejected' })] }),
    ],
  ])('%s', (words, judged) => {
    expect(messageOf(judged)).toBe(words)
  })

  function removed() {
    const going = device()
    return { ...going, metadata: { ...going.metadata, deletionTimestamp: at(now) } }
  }
})

describe('versions', () => {
  test('of a device that says none are none', () => {
    expect(currentVersion(subject({ device: device({}, { release: undefined }) }))).toStrictEqual({})
    expect(currentVersion(subject())).toStrictEqual({ version: '1.0.0' })
    const running = { build: build('old', { osIdentifier: 'Toy 1.0.0', version: '1.0.0' }), images: [] }
    expect(currentVersion(subject({ builds: [running] }))).toStrictEqual({ version: '1.0.0' })
  })

  test('that are equal are no downgrade', () => {
    const same = device({}, { release: { revision: 'r1', version: '2.0.0' } })
    expect(admit(subject({ device: same })).admitted).toBe(true)
  })

  test('a pin to the target is no obstacle', () => {
    expect(admit(subject({ device: device({ pinnedBuildRef: { name: 'new' } }) })).admitted).toBe(true)
  })
})

test('a retry token that nobody set is the empty one', () => {
  const empty = subject({ policies: [policy('all', { retryToken: '' })] })
  expect(upgradeStem(subject({ policies: [] }))).toEqual(upgradeStem(empty))
})

test('attempts are those whose name goes on with a number, and with nothing else', () => {
  const named = (suffix: string) => operation(`${stem}${suffix}`)
  expect(attemptsOf(stem, ['-1', 'x-2', '-x-3', '-4x', ''].map(named))).toEqual([named('-1')])
})

describe('earlier attempts', () => {
  test('that go on say so, unless they wait for their next try without the device', () => {
    const retryTime = at(now + 1000)
    const held = device({}, { operationRef: { name: `${stem}-1` } })
    const of = (phase: 'Queued' | 'Connecting', claimed: boolean): string | undefined =>
      reasonOf(
        subject({
          operations: [attempt(1, { phase, retryTime })],
          ...(claimed ? { device: held } : {}),
        }),
      )
    expect(of('Queued', false)).toBe('Retrying')
    expect(of('Queued', true)).toBe('Upgrading')
    expect(of('Connecting', false)).toBe('Upgrading')
    expect(of('Connecting', true)).toBe('Upgrading')
  })

  test('count from their creation where no time was written', () => {
    const timeless = attempt(1, { phase: 'Failed', failureClass: 'UploadFailed', message: 'why' })
    const quarantined = subject({ operations: [timeless] })
    // Objects of these tests are an hour old.
    expect(admit({ ...quarantined, now: now + 23 * hourMs - 1 }).blocked?.reason).toBe('Quarantined')
    expect(admit({ ...quarantined, now: now + 23 * hourMs }).admitted).toBe(true)
  })

  test('are quarantined for as long as the policy says, and not by a clock that was wrong', () => {
    const retry = { ...policy().spec.retry, quarantine: '1h' }
    const of = (endedAt: number) =>
      reasonOf(
        subject({
          policies: [policy('all', { retry })],
          operations: [failedAt(endedAt, 'UploadFailed')],
        }),
      )
    expect(of(now - hourMs + 1)).toBe('Quarantined')
    expect(of(now - hourMs)).toBeUndefined()
    expect(of(now)).toBe('Quarantined')
    expect(of(now + 1)).toBeUndefined()
  })

  test('that failed for the device need an answer that is newer', () => {
    const probedAt = now - 60_000
    expect(reasonOf(subject({ operations: [failedAt(probedAt, 'AuthFailed')] }))).toBe('AuthFailed')
    expect(admit(subject({ operations: [failedAt(probedAt - 1, 'AuthFailed')] })).admitted).toBe(true)
  })
})

describe('other operations of the device', () => {
  test('leave it alone when they are Lost and it has not answered since, and only then', () => {
    const other = (failureClass: 'Lost' | 'UploadFailed', endedAt: number) =>
      operation('else', { phase: 'Failed', failureClass, times: { Failed: at(endedAt) } })
    const probedAt = now - 60_000
    expect(reasonOf(subject({ operations: [other('Lost', probedAt)] }))).toBe('Lost')
    expect(admit(subject({ operations: [other('Lost', probedAt - 1)] })).admitted).toBe(true)
    expect(admit(subject({ operations: [other('UploadFailed', now)] })).admitted).toBe(true)
  })

  test('that asks itself is no other', () => {
    const lost = { phase: 'Failed', failureClass: 'Lost', times: { Failed: at(now) } }
    const given = byHand({ buildRef: { name: 'new' } }, lost)
    expect(admit(subject({ request: given, operations: [given] })).admitted).toBe(true)
    const begun = byHand({ buildRef: { name: 'new' } }, { phase: 'Testing' })
    const claimed = device({}, { operationRef: { name: 'by-hand' } })
    expect(admit(subject({ request: begun, operations: [begun], device: claimed })).admitted).toBe(true)
  })

  test('that has ended holds it no more, whatever its claim', () => {
    const ended = operation('else', { phase: 'Succeeded' })
    const claimed = device({}, { operationRef: { name: 'else' } })
    expect(admit(subject({ operations: [ended], device: claimed })).admitted).toBe(true)
  })

  test('that a policy made, or that is past the queue, is never refused', () => {
    const made = operation('else', { phase: 'Queued', reason: 'OwnedByPolicy' })
    expect(reasonOf(subject({ operations: [made] }))).toBe('Upgrading')
    const begun = byHand({ buildRef: { name: 'other' } }, { phase: 'Testing', reason: 'OwnedByPolicy' })
    expect(reasonOf(subject({ operations: [begun] }))).toBe('Upgrading')
  })
})

describe('slots', () => {
  test('are not looked at where nobody gives limits', () => {
    expect(admit(subject()).checks.map(({ id }) => id)).not.toContain('slots')
    expect(admit(subject(), limits()).checks.at(-1)).toEqual({ id: 'slots', outcome: 'Passed' })
  })

  test('of a device without a policy are those of the command line', () => {
    const request = byHand()
    const alone = subject({ policies: [], request })
    expect(admit(alone, limits({ inFlight: { policy: 99, all: 49, maxAll: 50 } })).admitted).toBe(true)
  })
})

test('a marker without anything to compare it with proves nothing', () => {
  expect(markerFellBack({ operation: 'undefined-1', sha256: 'x', bootId: 'b' }, 'c', undefined)).toBe(false)
})

describe('an answer since a time', () => {
  test.each([
    ['of this very moment', now, now - 1, true],
    ['of that very time', now - 1, now - 1, false],
    ['of before it', now - 2, now - 1, false],
    ['of the future, before the wall clock was set back', now + 1, now - 1, false],
    ['that came after the wall clock was set back behind it', now, now + 1, true],
  ])('%s', (_, probedAt, since, isSince) => {
    expect(hasAnsweredSince(device({}, { lastProbeTime: at(probedAt) }), since, now)).toBe(isSince)
  })
})
