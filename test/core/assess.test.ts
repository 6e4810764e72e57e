import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CountName } from '../../src/api/resources.ts'
import { upgradeStem, type Subject } from '../../src/core/admit.ts'
import { assess } from '../../src/core/assess.ts'
import { operationName } from '../../src/core/names.ts'
import {
  at,
  build,
  condition,
  device,
  image,
  now,
  operation,
  policy,
  subject,
  target,
} from '../support/core-objects.ts'

const { stem } = upgradeStem(subject())!
const attempt = (number: number, status: object) => operation(operationName(stem, number), status)
const ended = (failureClass: string, ms = now - 1000) =>
  attempt(1, { phase: 'Failed', failureClass, message: 'x', times: { Failed: at(ms) } })
const onTarget = { osIdentifier: 'Toy 2.0.0', release: { revision: 'r2', version: '2.0.0' } }
const countsOf = (judged: Subject, name = 'all'): CountName[] =>
  (assess(judged).counts.get(name) ?? []).toSorted((a, b) => a.localeCompare(b))

describe('the counts of one device', () => {
  test.each<[string, Subject, CountName[]]>([
    ['a candidate', subject(), ['eligible', 'matched', 'queued']],
    ['on target', subject({ device: device({}, onTarget) }), ['eligible', 'matched', 'onTarget']],
    [
      'upgraded by us',
      subject({
        device: device({}, onTarget),
        operations: [attempt(1, { phase: 'Succeeded', reason: 'Succeeded' })],
      }),
      ['eligible', 'matched', 'onTarget', 'succeeded'],
    ],
    [
      'there already',
      subject({
        device: device({}, onTarget),
        operations: [attempt(1, { phase: 'Succeeded', reason: 'AlreadyOnTarget' })],
      }),
      ['eligible', 'matched', 'onTarget'],
    ],
    [
      'in flight',
      subject({ operations: [attempt(1, { phase: 'Uploading' })] }),
      ['eligible', 'inFlight', 'matched'],
    ],
    ['queued', subject({ operations: [attempt(1, { phase: 'Queued' })] }), ['eligible', 'matched', 'queued']],
    [
      'in flight behind one that is queued',
      subject({
        operations: [
          operation('by-hand', { phase: 'Queued' }, { buildRef: { name: 'new' } }),
          attempt(1, { phase: 'Flashing' }),
        ],
      }),
      ['eligible', 'inFlight', 'matched'],
    ],
    ['held', subject({ device: device({ hold: { reason: 'x' } }) }), ['held', 'matched']],
    [
      'held on target',
      subject({ device: device({ hold: { reason: 'x' } }, onTarget) }),
      ['eligible', 'matched', 'onTarget'],
    ],
    ['pinned', subject({ device: device({ pinnedBuildRef: { name: 'old' } }) }), ['held', 'matched']],
    [
      'offline',
      subject({ device: device({}, { conditions: [condition('Reachable', 'NotAnswering', 'Unknown')] }) }),
      ['matched', 'offline'],
    ],
    ['never probed', subject({ device: device({}, { bootId: undefined }) }), ['matched', 'unknown']],
    ['no image', subject({ device: device({}, { board: 'else' }) }), ['matched', 'unsupported']],
    [
      'two images',
      subject({ target: { build: build(), images: [image('a'), image('b')] } }),
      ['matched', 'unsupported'],
    ],
    ['quarantined', subject({ operations: [ended('UploadFailed')] }), ['failed', 'matched', 'quarantined']],
    ['rolled back', subject({ operations: [ended('RolledBack')] }), ['failed', 'matched', 'rolledBack']],
    ['lost', subject({ operations: [ended('Lost', now)] }), ['failed', 'lost', 'matched']],
    [
      'failed once, on target by now',
      subject({ device: device({}, onTarget), operations: [ended('RolledBack')] }),
      ['eligible', 'matched', 'onTarget'],
    ],
    [
      'fallen back, by its own marker',
      subject({
        device: device({}, { lastFlash: { operation: `${stem}-1`, sha256: 'x', bootId: 'boot-0' } }),
      }),
      ['failed', 'matched', 'rolledBack'],
    ],
    [
      'left Lost by another upgrade',
      subject({
        operations: [
          operation('else', { phase: 'Failed', failureClass: 'Lost', times: { Failed: at(now) } }),
        ],
      }),
      ['lost', 'matched'],
    ],
    [
      'claimed by what nobody knows yet',
      subject({ device: device({}, { operationRef: { name: 'else' } }) }),
      ['eligible', 'inFlight', 'matched'],
    ],
    ['paused', subject({ policies: [policy('all', { state: 'Pause' })] }), ['matched']],
    ['a downgrade', subject({ device: device({}, { release: { version: '3.0.0' } }) }), ['matched']],
  ])('%s', (_, judged, counts) => {
    expect(countsOf(judged)).toEqual(counts)
  })

  test('that two policies select is held by whoever does not own it', () => {
    const policies = [policy('all', { priority: 200 }), policy('low', { priority: 1 })]
    expect([countsOf(subject({ policies })), countsOf(subject({ policies }), 'low')]).toEqual([
      ['eligible', 'matched', 'queued'],
      ['held', 'matched'],
    ])
  })

  test('in conflict is held by both', () => {
    const policies = [policy('a'), policy('b')]
    expect([countsOf(subject({ policies }), 'a'), countsOf(subject({ policies }), 'b')]).toEqual([
      ['held', 'matched'],
      ['held', 'matched'],
    ])
  })

  test('that nobody selects is nowhere', () => {
    expect(assess(subject({ policies: [] }))).toMatchObject({ onTarget: false, counts: new Map() })
  })
})

describe('a candidate', () => {
  test('has the name and the number of the operation to make', () => {
    // The build beside the revision, from one look: the policy may name another one by the time the operation is made.
    const { target } = subject()
    expect(assess(subject()).candidate).toMatchObject({
      stem,
      attempt: 1,
      build: target!.build.metadata.name,
    })
    const cancelled = attempt(3, { phase: 'Cancelled', reason: 'Held' })
    expect(assess(subject({ operations: [cancelled] })).candidate).toMatchObject({ stem, attempt: 4 })
  })
  test('counts attempts by their whole number', () => {
    const cancelled = attempt(12, { phase: 'Cancelled', reason: 'Held' })
    expect(assess(subject({ operations: [cancelled] })).candidate).toMatchObject({ attempt: 13 })
  })
  test('is none where the build is not there, and nobody owns what nobody selects', () => {
    const judged = assess(subject({ target: undefined, builds: [] }))
    expect(judged.candidate).toBeUndefined()
    expect(judged.onTarget).toBe(false)
    expect(assess(subject({ policies: [] }))).toStrictEqual({
      running: [],
      onTarget: false,
      counts: new Map(),
    })
    expect(assess(subject())).toMatchObject({ desired: 'new', owner: 'all' })
  })
  test('is none on the target, and none that is blocked', () => {
    expect(assess(subject({ device: device({}, onTarget) })).candidate).toBeUndefined()
    expect(assess(subject({ device: device({ hold: { reason: 'x' } }) })).candidate).toBeUndefined()
  })
})

test('a rebuild under the same release is on target, and both builds are told', () => {
  const rebuilt = { build: build('again'), images: [image('other', { build: 'again' })] }
  const judged = assess(subject({ device: device({}, onTarget), builds: [target(), rebuilt] }))
  expect(judged).toMatchObject({ onTarget: true, running: ['new', 'again'], desired: 'new' })
})

test('whatever stands in the way: matched once, never both on target and held, a candidate exactly where nothing blocks', () => {
  const devices = fc.record({
    hold: fc.boolean(),
    pinned: fc.boolean(),
    board: fc.constantFrom('toy', 'else', undefined),
    here: fc.boolean(),
    reachable: fc.boolean(),
  })
  const histories = fc.array(
    fc.constantFrom(
      ended('RolledBack'),
      ended('Lost', now),
      ended('UploadFailed'),
      attempt(2, { phase: 'Cancelled', reason: 'Held' }),
      attempt(3, { phase: 'Uploading' }),
      attempt(4, { phase: 'Queued' }),
      attempt(5, { phase: 'Succeeded' }),
    ),
    { maxLength: 3 },
  )
  const states = fc.constantFrom('Run', 'Pause', 'Plan', 'Abort')
  fc.assert(
    fc.property(
      devices,
      histories,
      states,
      fc.boolean(),
      ({ hold, pinned, board, here, reachable }, operations, state, conflict) => {
        const judged = subject({
          device: device(
            {
              ...(hold ? { hold: { reason: 'x' } } : {}),
              ...(pinned ? { pinnedBuildRef: { name: 'old' } } : {}),
            },
            {
              board,
              ...(here ? onTarget : {}),
              conditions: [condition('Reachable', 'Answered', reachable ? 'True' : 'Unknown')],
            },
          ),
          policies: [policy('all', { state }), ...(conflict ? [policy('other')] : [])],
          operations,
        })
        const { counts, candidate, blocked, onTarget: arrived } = assess(judged)
        const own = counts.get('all')!
        expect(own.filter((name) => name === 'matched')).toHaveLength(1)
        expect(new Set(own).size).toBe(own.length)
        expect(own.includes('onTarget') && own.includes('held')).toBe(false)
        expect(own.includes('inFlight') && own.includes('queued')).toBe(false)
        expect(candidate !== undefined).toBe(!arrived && blocked === undefined)
        if (candidate) expect(own).toContain('eligible')
      },
    ),
    { numRuns: 1000 },
  )
})
