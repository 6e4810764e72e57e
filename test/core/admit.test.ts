import { describe, expect, test } from 'vitest'
import type { FailureClass, UpgradeOperation } from '../../src/api/resources.ts'
import {
  admit,
  admitOperation,
  attemptsOf,
  byPriority,
  checkTitles,
  markerFellBack,
  ownerOf,
  upgradeStem,
  type Subject,
} from '../../src/core/admit.ts'
import { operationName } from '../../src/core/names.ts'
import {
  at,
  build,
  condition,
  device,
  digest,
  image,
  limits,
  now,
  operation,
  policy,
  subject,
  target,
} from '../support/core-objects.ts'

const hourMs = 3600_000
const { stem } = upgradeStem(subject())!
const attempt = (number: number, status: UpgradeOperation['status'], spec?: object): UpgradeOperation =>
  operation(operationName(stem, number), status, spec)
const byHand = (spec: object = { buildRef: { name: 'new' } }): UpgradeOperation =>
  operation('by-hand', {}, spec)
const withTarget = (spec: object): Subject =>
  subject({ target: { build: build('new', spec), images: [image()] } })
const failed = (failureClass: FailureClass, endedAt = now - hourMs): UpgradeOperation =>
  attempt(1, {
    phase: 'Failed',
    failureClass,
    message: 'the words of the failure',
    times: { Failed: at(endedAt) },
  })

/** Each row is blocked for this reason alone, in the order of the checks. */
const rows: [reason: string, check: string, subject: Subject, words: RegExp][] = [
  ['NoPolicy', 'policy', subject({ policies: [] }), /^no policy selects this device$/],
  [
    'PolicyPlanned',
    'policy',
    subject({ policies: [policy('all', { state: 'Plan' })] }),
    /policy all only plans \(state: Plan\)/,
  ],
  [
    'PolicyPaused',
    'policy',
    subject({ policies: [policy('all', { state: 'Pause' })] }),
    /policy all is paused \(state: Pause\)/,
  ],
  [
    'PolicyAborted',
    'policy',
    subject({ policies: [policy('all', { state: 'Abort' })] }),
    /policy all is aborted \(state: Abort\)/,
  ],
  [
    'PolicyNotReady',
    'policy',
    subject({ target: undefined }),
    /build new, the target of policy all, does not exist/,
  ],
  [
    'PolicyNotReady',
    'policy',
    subject({ target: undefined, request: byHand() }),
    /the build or image of operation by-hand does not exist/,
  ],
  [
    'PolicyNotReady',
    'policy',
    withTarget({ categoryRef: { name: 'lora' } }),
    /build new is of category lora, the device of category ap/,
  ],
  [
    'BuildRecalled',
    'build',
    withTarget({ lifecycle: 'Recalled', reason: 'bricks' }),
    /build new is recalled: bricks/,
  ],
  [
    'BuildNotReady',
    'build',
    subject({ target: { build: build(), images: [] } }),
    /no image of build new is Ready/,
  ],
  [
    'BuildNotReady',
    'build',
    subject({ target: { build: build(), images: [image('image', { status: { observedGeneration: 0 } })] } }),
    /no image of build new is Ready/,
  ],
  [
    'BuildNotReady',
    'build',
    subject({ request: byHand({ imageRef: { name: 'other' } }) }),
    /image other is not Ready/,
  ],
  [
    'NoImage',
    'build',
    subject({ device: device({}, { board: 'else' }) }),
    /build new has no image for board else/,
  ],
  [
    'BuildNotReady',
    'build',
    subject({
      device: device({}, { board: 'else' }),
      target: {
        build: build(),
        images: [image(), image('late', { status: { observedGeneration: 0, conditions: [] } })],
      },
    }),
    /build new has no image for board else; not Ready: late \(Loading\)$/,
  ],
  [
    'AmbiguousImage',
    'build',
    subject({ target: { build: build(), images: [image('b'), image('a')] } }),
    /build new has 2 images for board toy: a, b$/,
  ],
  [
    'Held',
    'device',
    subject({ device: device({ hold: { reason: 'concert' } }) }),
    /held by the operator: concert/,
  ],
  [
    'Pinned',
    'device',
    subject({ device: device({ pinnedBuildRef: { name: 'old' } }) }),
    /pinned to build old/,
  ],
  [
    'NoCredentials',
    'access',
    subject({ credentialsProblem: 'Secret routers does not exist' }),
    /Secret routers does not exist/,
  ],
  [
    'AddressConflict',
    'access',
    subject({ addressTwin: 'default/ap-2' }),
    /Device default\/ap-2 has the same address; both are left alone/,
  ],
  ...(['AuthFailed', 'HostKeyChanged', 'IdentityChanged', 'Unsupported'] as const).map(
    (reason): (typeof rows)[number] => [
      reason,
      'access',
      subject({ device: device({}, { conditions: [condition('Stalled', reason)] }) }),
      /Stalled is True/,
    ],
  ),
  [
    'NeverProbed',
    'probe',
    subject({ device: device({}, { bootId: undefined }) }),
    /^never reached: Reachable is True$/,
  ],
  [
    'NeverProbed',
    'probe',
    subject({ device: device({}, { board: undefined }) }),
    /^never reached: Reachable is True$/,
  ],
  [
    'UnknownVersion',
    'version',
    subject({ device: device({}, { release: { revision: 'r1', version: 'SNAPSHOT' } }) }),
    /version SNAPSHOT cannot be compared with 2\.0\.0; set target\.onUnknownVersion/,
  ],
  [
    'UnknownVersion',
    'version',
    subject({ device: device({}, { release: undefined }) }),
    /version unknown cannot be compared/,
  ],
  [
    'Downgrade',
    'version',
    subject({ device: device({}, { release: { version: '3.0.0' } }) }),
    /runs 3\.0\.0, newer than 2\.0\.0; set target\.allowDowngrade/,
  ],
  [
    'HopNotAllowed',
    'version',
    withTarget({ upgradeFrom: { minVersion: '1.5' } }),
    /runs 1\.0\.0; 2\.0\.0 can be installed from 1\.5 on/,
  ],
  [
    'PolicyConflict',
    'owner',
    subject({ policies: [policy('all'), policy('some')] }),
    /policies all and some both select it at priority 100/,
  ],
  [
    'OwnedByPolicy',
    'owner',
    subject({ policies: [policy('all', { target: { buildRef: { name: 'other' } } })], request: byHand() }),
    /policy all wants build other on this device; pin the device or exclude it there first/,
  ],
  [
    'Upgrading',
    'attempts',
    subject({ operations: [attempt(1, { phase: 'Uploading' })] }),
    /operation \S+-1 is upgrading it/,
  ],
  [
    'Upgrading',
    'busy',
    subject({ operations: [operation('by-hand', {}, { buildRef: { name: 'new' } })] }),
    /operation by-hand is upgrading it/,
  ],
  [
    'Retrying',
    'attempts',
    subject({
      operations: [
        attempt(1, { phase: 'Queued', retryTime: at(now + 60_000), message: 'attempt 2 of 4 in 60s' }),
      ],
    }),
    /attempt 2 of 4 in 60s/,
  ],
  [
    'Cancelled',
    'attempts',
    subject({ operations: [attempt(1, { phase: 'Cancelled', reason: 'CancelRequested' })] }),
    /was cancelled; change retryToken to try again/,
  ],
  [
    'AlreadyFlashed',
    'attempts',
    subject({ operations: [attempt(1, { phase: 'Succeeded' })] }),
    /succeeded, but the device runs Toy 1\.0\.0 now; change retryToken to flash it again/,
  ],
  ...(['RolledBack', 'WrongVersion', 'Unhealthy', 'Lost'] as const).map((reason): (typeof rows)[number] => [
    reason,
    'attempts',
    subject({ operations: [failed(reason)] }),
    /the words of the failure/,
  ]),
  [
    'Rejected',
    'attempts',
    subject({ operations: [failed('Rejected')] }),
    /the words of the failure; change retryToken to try again/,
  ],
  [
    'Rejected',
    'attempts',
    subject({ operations: [failed('Unsupported')] }),
    /the words of the failure; change retryToken to try again/,
  ],
  [
    'AuthFailed',
    'attempts',
    subject({ operations: [failed('AuthFailed', now)] }),
    /the words of the failure/,
  ],
  [
    'Unreachable',
    'attempts',
    subject({ operations: [failed('Unreachable', now)] }),
    /the words of the failure/,
  ],
  [
    'Quarantined',
    'attempts',
    subject({ operations: [failed('UploadFailed')] }),
    /used up its attempts: the words of the failure/,
  ],
  ['Quarantined', 'attempts', subject({ operations: [failed('NotStarted')] }), /used up its attempts/],
  [
    'RolledBack',
    'marker',
    subject({
      device: device(
        {},
        { lastFlash: { operation: operationName(stem, 3), sha256: digest, bootId: 'boot-0' } },
      ),
    }),
    /the device's own marker says that operation \S+-3 flashed it already, and it fell back/,
  ],
  [
    'Unreachable',
    'reachable',
    subject({ device: device({}, { conditions: [condition('Reachable', 'NotAnswering', 'Unknown')] }) }),
    /has not answered since 2026-01-01T11:59:00\.000Z/,
  ],
]

describe('the first "no"', () => {
  test('is none where nothing speaks against it', () => {
    expect(admit(subject(), limits())).toEqual({
      admitted: true,
      checks: Object.keys(checkTitles).map((id) => ({
        id,
        outcome: 'Passed',
      })),
    })
  })

  test.each(rows)('is %s, from %s', (reason, check, blockedSubject, words) => {
    const { admitted, blocked, checks } = admit(blockedSubject)
    expect({ admitted, reason: blocked?.reason }).toEqual({ admitted: false, reason })
    expect(blocked!.message).toMatch(words)
    expect(checks.find(({ outcome }) => outcome === 'Failed')).toEqual({
      id: check,
      outcome: 'Failed',
      blocked,
    })
  })

  test('is that of the first check, when every check says no', () => {
    const everything: Subject = {
      ...subject(),
      policies: [policy('all', { state: 'Pause' }), policy('some')],
      target: {
        build: build('new', { lifecycle: 'Recalled', reason: 'bricks', upgradeFrom: { minVersion: '1.5' } }),
        images: [image()],
      },
      device: device({ hold: { reason: 'concert' } }),
      operations: [failed('RolledBack')],
    }
    const repairs: [reason: string, repair: Partial<Subject>][] = [
      ['PolicyPaused', { policies: [policy('all'), policy('some')] }],
      [
        'BuildRecalled',
        { target: { build: build('new', { upgradeFrom: { minVersion: '1.5' } }), images: [image()] } },
      ],
      ['Held', { device: device() }],
      ['HopNotAllowed', { target: target() }],
      ['PolicyConflict', { policies: [policy('all')] }],
      ['RolledBack', { operations: [] }],
    ]
    const halted = limits({ stop: { reason: 'Halted', message: 'x' } })
    let current = everything
    for (const [reason, repair] of repairs) {
      expect(admit(current, halted).blocked?.reason).toBe(reason)
      current = { ...current, ...repair }
    }
    expect(admit(current, halted).blocked?.reason).toBe('Halted')
  })

  test('leaves the checks after it unreached', () => {
    const { checks } = admit(subject({ device: device({ hold: { reason: 'x' } }) }), limits())
    expect(checks.map(({ id, outcome }) => `${id} ${outcome}`)).toEqual([
      'policy Passed',
      'build Passed',
      'device Failed',
      'access NotReached',
      'probe NotReached',
      'version NotReached',
      'owner NotReached',
      'attempts NotReached',
      'busy NotReached',
      'marker NotReached',
      'reachable NotReached',
      'slots NotReached',
    ])
  })

  test('is never longer than a status may be, and never ends in half a character', () => {
    const { blocked } = admit(subject({ device: device({ hold: { reason: `x${'😀'.repeat(600)}` } }) }))
    expect(blocked!.message.length).toBeLessThanOrEqual(1024)
    expect(blocked!.message.isWellFormed()).toBe(true)
  })

  test('of a device that is being removed is Removed', () => {
    const removed = device()
    removed.metadata.deletionTimestamp = at(now)
    expect(admit(subject({ device: removed })).blocked?.reason).toBe('Removed')
  })

  test('of a build that is being removed is BuildNotReady', () => {
    const wanted = target()
    wanted.build.metadata.deletionTimestamp = at(now)
    expect(admit(subject({ target: wanted })).blocked).toMatchObject({
      reason: 'BuildNotReady',
      message: 'build new is being removed',
    })
  })
})

describe('what passes by itself has a time', () => {
  test.each([
    ['a hold', subject({ device: device({ hold: { reason: 'x', until: at(now + hourMs) } }) }), now + hourMs],
    ['quarantine', subject({ operations: [failed('UploadFailed', now - hourMs)] }), now + 23 * hourMs],
    [
      'a retry',
      subject({ operations: [attempt(1, { phase: 'Queued', retryTime: at(now + 5000) })] }),
      now + 5000,
    ],
    [
      'an unknown device',
      subject({ device: device({}, { bootId: undefined, nextProbeTime: at(now + 7000) }) }),
      now + 7000,
    ],
  ])('%s', (_, waiting, until) => {
    expect(admit(waiting).blocked?.until).toBe(at(until))
  })

  test('and a hold ends at that very time', () => {
    const held = subject({ device: device({ hold: { reason: 'x', until: at(now) } }) })
    expect(admit({ ...held, now: now - 1 }).blocked?.reason).toBe('Held')
    expect(admit(held).admitted).toBe(true)
  })
})

describe('slots come last', () => {
  const noSlot = limits({ inFlight: { policy: 10, all: 50, maxAll: 50 } })

  test.each(rows)('%s (%s) is told before a missing slot', (reason, _check, blockedSubject) => {
    const { blocked, checks } = admit(blockedSubject, noSlot)
    expect(blocked?.reason).toBe(reason)
    expect(checks.at(-1)).toEqual({ id: 'slots', outcome: 'NotReached' })
  })

  test.each([
    ['Halted', limits({ stop: { reason: 'Halted', message: 'HALT exists' } }), /^HALT exists$/],
    ['LostLimit', limits({ stop: { reason: 'LostLimit', message: '5 lost' } }), /^5 lost$/],
    [
      'WaitingForSlot',
      limits({ inFlight: { policy: 10, all: 10, maxAll: 50 } }),
      /^policy all upgrades at most 10 at once$/,
    ],
    [
      'WaitingForSlot',
      limits({ inFlight: { policy: 0, all: 50, maxAll: 50 } }),
      /^at most 50 upgrades run at once \(--max-in-flight\)$/,
    ],
    ['WaitingForStart', limits({ nextStartAt: now + 5000 }), /^the next start is allowed in 5s$/],
  ])('%s', (reason, shared, words) => {
    const { blocked } = admit(subject(), shared)
    expect(blocked?.reason).toBe(reason)
    expect(blocked!.message).toMatch(words)
  })

  test('a policy does not lift the ceiling of the command line', () => {
    const wide = subject({ policies: [policy('all', { limits: { maxConcurrent: 1000 } })] })
    const full = limits({ inFlight: { policy: 50, all: 50, maxAll: 50 } })
    expect(admit(wide, full).blocked?.message).toBe('at most 50 upgrades run at once (--max-in-flight)')
  })

  test('one below each limit is admitted', () => {
    expect(
      admit(subject(), limits({ inFlight: { policy: 9, all: 49, maxAll: 50 }, nextStartAt: now })).admitted,
    ).toBe(true)
  })

  test('a stop is told before a missing slot', () => {
    expect(admit(subject(), { ...noSlot, stop: { reason: 'Halted', message: 'x' } }).blocked?.reason).toBe(
      'Halted',
    )
  })
})

describe('version rules', () => {
  const targeting = (rules: object): Subject =>
    subject({
      device: device({}, { release: { version: '3.0.0' } }),
      policies: [
        policy('all', {
          target: { buildRef: { name: 'new' }, allowDowngrade: false, onUnknownVersion: 'Skip', ...rules },
        }),
      ],
    })
  test('a downgrade that is allowed passes', () => {
    expect(admit(targeting({ allowDowngrade: true })).admitted).toBe(true)
  })
  test('an unknown version passes where the policy says so', () => {
    const unknown = {
      ...targeting({ onUnknownVersion: 'Upgrade' }),
      device: device({}, { release: { version: 'SNAPSHOT' } }),
    }
    expect(admit(unknown).admitted).toBe(true)
  })
  test('the order of builds wins over their versions', () => {
    const older = {
      build: build('old', { version: '9.0.0', osIdentifier: 'Toy 1.0.0', order: 1 }),
      images: [],
    }
    const wanted = { build: build('new', { order: 2 }), images: [image()] }
    expect(admit(subject({ target: wanted, builds: [older, wanted] })).admitted).toBe(true)
    const first = {
      build: build('old', { version: '1.0.0', osIdentifier: 'Toy 1.0.0', order: 3 }),
      images: [],
    }
    expect(admit(subject({ target: wanted, builds: [first, wanted] })).blocked?.reason).toBe('Downgrade')
  })
  test('a hop that cannot be judged is unknown, and not allowed by chance', () => {
    const hop = withTarget({ upgradeFrom: { minVersion: 'SNAPSHOT' } })
    expect(admit(hop).blocked).toMatchObject({ reason: 'UnknownVersion' })
    expect(admit(hop).blocked!.message).toContain('cannot be compared with SNAPSHOT')
  })
})

describe('a hand-written operation', () => {
  const asking = (changes: Partial<Subject> = {}, request = byHand()): Subject =>
    subject({ request, operations: [request], ...changes })

  test('needs no policy, and no running one', () => {
    expect(admit(asking({ policies: [] })).admitted).toBe(true)
    for (const state of ['Plan', 'Pause', 'Abort'])
      expect(admit(asking({ policies: [policy('all', { state })] })).admitted).toBe(true)
  })
  test('may go back, and may not be compared', () => {
    expect(admit(asking({ device: device({}, { release: { version: '3.0.0' } }) })).admitted).toBe(true)
    expect(admit(asking({ device: device({}, { release: { version: 'SNAPSHOT' } }) })).admitted).toBe(true)
  })
  test('chooses its image by name among two for the board', () => {
    const two = { build: build(), images: [image('a'), image('b')] }
    expect(admit(asking({ target: two }, byHand({ imageRef: { name: 'b' } }))).admitted).toBe(true)
    expect(admit(asking({ target: two })).blocked?.reason).toBe('AmbiguousImage')
  })
  test('yields to the operation that has the claim, and to no other', () => {
    const other = attempt(1, { phase: 'Queued' })
    const request = byHand()
    expect(admit(asking({ operations: [request, other] })).admitted).toBe(true)
    const claimed = device({}, { operationRef: { name: other.metadata.name } })
    expect(admit(asking({ operations: [request, other], device: claimed })).blocked?.reason).toBe('Upgrading')
  })
  test('is held back by a device that is Lost, whatever left it so', () => {
    expect(admit(asking({ operations: [failed('Lost', now)] })).blocked?.reason).toBe('Lost')
  })
  test('is not repeated after its own marker', () => {
    const marked = device({}, { lastFlash: { operation: 'by-hand', sha256: digest, bootId: 'boot-0' } })
    expect(admit(asking({ device: marked })).blocked?.reason).toBe('RolledBack')
  })
  test('that is refused holds no policy back; one that waits for its turn does', () => {
    const refused = operation(
      'by-hand',
      { phase: 'Queued', reason: 'OwnedByPolicy' },
      { buildRef: { name: 'other' } },
    )
    expect(admit(subject({ operations: [refused] })).admitted).toBe(true)
    const claimed = subject({
      operations: [refused],
      device: device({}, { operationRef: { name: 'by-hand' } }),
    })
    expect(admit(claimed).blocked?.reason).toBe('Upgrading')
    for (const reason of [undefined, 'WaitingForSlot', 'Retrying', 'Halted', 'Unreachable']) {
      const waiting = operation(
        'by-hand',
        { phase: 'Queued', ...(reason ? { reason } : {}) },
        { buildRef: { name: 'new' } },
      )
      expect(admit(subject({ operations: [waiting] })).blocked?.reason, reason ?? 'new').toBe('Upgrading')
    }
  })
})

describe('an operation that exists', () => {
  test('goes on where somebody else has flashed its device under its very name', () => {
    const own = attempt(1, { phase: 'Queued' })
    const marked = { lastFlash: { operation: own.metadata.name, sha256: digest, bootId: 'boot-0' } }
    const target = { build: build('new', { version: '2.0.0', osIdentifier: 'Toy 2.0.0' }), images: [image()] }
    const reasonOn = (osIdentifier: string) =>
      admitOperation(
        own,
        subject({ target, operations: [own], device: device({}, { ...marked, osIdentifier }) }),
        { inFlight: { policy: 0, all: 0, maxAll: 50 } },
      ).blocked?.reason
    expect(reasonOn('Toy 1.0.0')).toBe('RolledBack')
    expect(reasonOn('Toy 2.0.0')).toBe(undefined)
  })
  test('is no obstacle to itself', () => {
    const own = attempt(1, { phase: 'Testing' })
    expect(admitOperation(own, subject({ operations: [own] }), limits()).admitted).toBe(true)
  })
  test('is held back by what came of another attempt', () => {
    const own = attempt(2, { phase: 'Testing' })
    expect(
      admitOperation(own, subject({ operations: [own, failed('RolledBack')] }), limits()).blocked?.reason,
    ).toBe('RolledBack')
  })
  test('is asked as its own request when it was written by hand', () => {
    const request = byHand()
    const paused = subject({ operations: [request], policies: [policy('all', { state: 'Pause' })] })
    expect(admitOperation(request, paused, limits()).admitted).toBe(true)
  })
})

describe('earlier attempts', () => {
  test('count by number, the latest first, and only those of this very upgrade', () => {
    const names = [`${stem}-2`, `${stem}-10`, `${stem}-1`, `${stem}-1e3`, `${stem}-x`, 'other-11', `${stem}`]
    expect(
      attemptsOf(
        stem,
        names.map((name) => operation(name)),
      ).map(({ metadata }) => metadata.name),
    ).toEqual([`${stem}-10`, `${stem}-2`, `${stem}-1`])
  })
  test('are forgotten for another retry token', () => {
    const again = subject({
      policies: [policy('all', { retryToken: 'again' })],
      operations: [failed('RolledBack')],
    })
    expect(admit(again).admitted).toBe(true)
    expect(upgradeStem(again)!.stem).not.toBe(stem)
  })
  test('are forgotten for another image, but not for another name of the file', () => {
    const other = { build: build(), images: [image('renamed', { status: { sha256: 'cd'.repeat(32) } })] }
    expect(admit(subject({ target: other, operations: [failed('RolledBack')] })).admitted).toBe(true)
    const renamed = { build: build(), images: [image('renamed')] }
    expect(admit(subject({ target: renamed, operations: [failed('RolledBack')] })).blocked?.reason).toBe(
      'RolledBack',
    )
  })
  test('that were cancelled for another reason than a wish leave the way free', () => {
    for (const reason of [
      'Held',
      'PolicyAborted',
      'DeviceRemoved',
      'Superseded',
      'OperationRemoved',
      'PolicyRemoved',
    ]) {
      expect(
        admit(subject({ operations: [attempt(1, { phase: 'Cancelled', reason })] })).admitted,
        reason,
      ).toBe(true)
    }
  })
  test('that failed for the device leave the way free once it has answered since', () => {
    for (const failureClass of ['AuthFailed', 'HostKeyChanged', 'IdentityChanged', 'Unreachable'] as const) {
      expect(
        admit(subject({ operations: [failed(failureClass, now - hourMs)] })).admitted,
        failureClass,
      ).toBe(true)
    }
  })
  test('only the latest decides', () => {
    const operations = [failed('RolledBack'), attempt(2, { phase: 'Cancelled', reason: 'Held' })]
    expect(admit(subject({ operations })).admitted).toBe(true)
  })
  test('quarantine ends at its very end', () => {
    const quarantined = subject({ operations: [failed('UploadFailed', now - 24 * hourMs)] })
    expect(admit({ ...quarantined, now: now - 1 }).blocked?.reason).toBe('Quarantined')
    expect(admit(quarantined).admitted).toBe(true)
  })
  test('a device that any operation left Lost is left alone until it has answered', () => {
    const lost = (name: string, endedAt: number): UpgradeOperation =>
      operation(name, {
        phase: 'Failed',
        failureClass: 'Lost',
        message: 'gone',
        times: { Failed: at(endedAt) },
      })
    expect(admit(subject({ operations: [lost('older', now)] })).blocked).toMatchObject({ reason: 'Lost' })
    expect(admit(subject({ operations: [lost('older', now - hourMs)] })).admitted).toBe(true)
    const twice = [lost('older', now - hourMs), lost('newer', now)]
    expect(admit(subject({ operations: twice })).blocked?.message).toContain('operation newer')
  })
})

describe('the marker on the device', () => {
  const marker = (name: string, bootId = 'boot-0') => ({ operation: name, sha256: digest, bootId })
  test.each([
    [true, marker('ap-1-abc-1'), 'ap-1-abc'],
    [true, marker('ap-1-abc-12'), 'ap-1-abc'],
    [true, marker('by-hand'), 'by-hand'],
    [false, marker('ap-1-abc-1', 'boot-1'), 'ap-1-abc'],
    [false, marker('ap-1-abcd-1'), 'ap-1-abc'],
    [false, marker('ap-1-abc-x'), 'ap-1-abc'],
    [false, marker('ap-1-abc-1-2'), 'ap-1-abc'],
    [false, marker('else'), 'by-hand'],
    [false, marker('ap-1-abc-1'), undefined],
    [false, undefined, 'ap-1-abc'],
  ])('%s: %j for %s', (expected, flash, name) => {
    expect(markerFellBack(flash, 'boot-1', name)).toBe(expected)
  })
})

describe('the owner', () => {
  test('is the highest priority, whatever the order of names', () => {
    const policies = [
      policy('a', { priority: 1 }),
      policy('b', { priority: 9 }),
      policy('c', { priority: 5 }),
    ].toSorted(byPriority)
    expect(policies.map(({ metadata }) => metadata.name)).toEqual(['b', 'c', 'a'])
    expect(ownerOf(policies)?.metadata.name).toBe('b')
  })
  test('is nobody where two are equal at the top, and unmoved by a tie below', () => {
    expect(ownerOf([policy('a'), policy('b')])).toBeUndefined()
    expect(ownerOf([policy('a', { priority: 200 }), policy('b'), policy('c')])?.metadata.name).toBe('a')
    expect(ownerOf([])).toBeUndefined()
  })
})
