import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { FailureClass, Phase } from '../../src/api/resources.ts'
import { defaultPolicySettings } from '../../src/api/defaults.ts'
import { nextStep, type OperationWorld } from '../../src/core/operation.ts'
import type { Probe } from '../../src/core/probe.ts'
import { judge, type Expectation, type Verdict } from '../../src/core/verdict.ts'
import { at, digest, now, operation } from '../support/core-objects.ts'
import { recordFigure } from '../support/figures.ts'
import { playProperty, secondsToPlay } from '../support/rounds.ts'

type Kind = Verdict['kind']

/*
 * What the evidence after a flash means, said twice by two ways of thinking, neither of which looks at the other or at the
 * code: as a chain of questions that an operator would ask, and as a table of three facts.
 */

/** Whom do I talk to; has it been away; does it run what it was to run; or what it ran before? */
function byQuestions(expected: Expectation, seen: Probe): Kind {
  const parts = (text: string): string[] => text.split(',').filter((part) => part.length > 0)
  if (expected.identity !== undefined && expected.identity !== seen.identity) {
    const shared = parts(expected.identity).filter((part) => parts(seen.identity).includes(part))
    if (shared.length === 0) return 'OtherDevice'
  }
  const hasRebooted = expected.bootIdBefore !== seen.bootId
  if (!hasRebooted) return 'SameBoot'
  const { to, from } = expected
  // A revision names one build; the text for people counts only where nothing better is known.
  let isTarget: boolean
  if (to.revision === undefined) isTarget = 'osIdentifier' in to && to.osIdentifier === seen.osIdentifier
  else isTarget = to.revision === seen.release.revision
  if (isTarget) return 'Succeeded'
  const isAsBefore = from.osIdentifier === seen.osIdentifier && from.revision === seen.release.revision
  return isAsBefore ? 'RolledBack' : 'WrongVersion'
}

const table: Record<string, Kind> = {
  'stranger, same boot, target': 'OtherDevice',
  'stranger, same boot, before': 'OtherDevice',
  'stranger, same boot, neither': 'OtherDevice',
  'stranger, new boot, target': 'OtherDevice',
  'stranger, new boot, before': 'OtherDevice',
  'stranger, new boot, neither': 'OtherDevice',
  'ours, same boot, target': 'SameBoot',
  'ours, same boot, before': 'SameBoot',
  'ours, same boot, neither': 'SameBoot',
  'ours, new boot, target': 'Succeeded',
  'ours, new boot, before': 'RolledBack',
  'ours, new boot, neither': 'WrongVersion',
}

/** The three facts, each by sets. */
function byTable(expected: Expectation, seen: Probe): Kind {
  const ofUs = new Set(expected.identity?.split(','))
  ofUs.delete('')
  const isKnown = expected.identity === undefined || expected.identity === seen.identity
  const isOurs = isKnown || seen.identity.split(',').some((part) => ofUs.has(part))
  const runs = JSON.stringify([seen.osIdentifier, seen.release.revision])
  const { revision = seen.release.revision, osIdentifier = seen.osIdentifier } = expected.to
  const wanted = [
    expected.to.revision !== undefined && JSON.stringify([seen.osIdentifier, revision]),
    expected.to.revision === undefined &&
      expected.to.osIdentifier !== undefined &&
      JSON.stringify([osIdentifier, seen.release.revision]),
  ]
  const before = JSON.stringify([expected.from.osIdentifier, expected.from.revision])
  const release = wanted.includes(runs) ? 'target' : runs === before ? 'before' : 'neither'
  const boot = new Set([expected.bootIdBefore, seen.bootId]).size === 1 ? 'same boot' : 'new boot'
  return table[`${isOurs ? 'ours' : 'stranger'}, ${boot}, ${release}`]!
}

/** Few words, so that all that can be equal often is. */
const boots = fc.constantFrom('boot-1', 'boot-2', 'boot-1 ')
const systems = fc.constantFrom('Toy 1', 'Toy 2', 'Toy 2 ', 'toy 2', '')
const revisions = fc.constantFrom('r1', 'r2', 'r2-dirty', 'R2', '')
const identities = fc.oneof(
  fc.array(fc.constantFrom('aa', 'bb', 'cc', 'a', 'serial=1'), { minLength: 1, maxLength: 3 }).map(String),
  fc.constantFrom('', ',', 'aa,', ',bb'),
)
const facts = fc.record({ osIdentifier: systems, revision: revisions }, { requiredKeys: [] })
const evidence = fc.record({
  expected: fc.record({
    bootIdBefore: boots,
    identity: fc.option(identities, { nil: undefined }),
    from: facts,
    to: facts,
  }) as fc.Arbitrary<Expectation>,
  seen: fc.record({
    osIdentifier: systems,
    release: fc.record({ revision: revisions, version: fc.constant('2') }, { requiredKeys: [] }),
    board: fc.constantFrom('toy', 'other'),
    bootId: boots,
    uptimeSeconds: fc.constantFrom(0, 100, 591, 1e9),
    identity: identities,
    upgrading: fc.boolean(),
  }) as fc.Arbitrary<Probe>,
})

const usual = 3000
const seconds = secondsToPlay()
test('the verdict is what both oracles say', { timeout: (seconds + 60) * 1000 }, async () => {
  const seen = new Map<Kind, number>()
  let judged = 0
  await playProperty(
    fc.property(evidence, ({ expected, seen: probe }) => {
      const verdict = judge(expected, probe).kind
      judged += 1
      seen.set(verdict, (seen.get(verdict) ?? 0) + 1)
      expect([verdict, byTable(expected, probe)]).toEqual([byQuestions(expected, probe), verdict])
    }),
    usual,
    { share: 1 / 2 },
  )
  for (const kind of ['Succeeded', 'RolledBack', 'WrongVersion', 'SameBoot', 'OtherDevice'] as const)
    expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(0)
  recordFigure({ suite: 'fuzz', name: 'verdict: evidence judged', value: judged })
  recordFigure({ suite: 'fuzz', name: 'verdict: disagreements with two oracles', value: 0, goal: '0' })
})

/** An operation that was flashed, in each phase in which evidence comes. */
const flashed: readonly { phase: Phase; failureClass?: FailureClass }[] = [
  { phase: 'Flashing' },
  { phase: 'Rebooting' },
  { phase: 'Failed', failureClass: 'Lost' },
]

test('an operation has Succeeded on no other evidence', { timeout: (seconds + 60) * 1000 }, async () => {
  const succeeded = new Set<string>()
  await playProperty(
    fc.property(
      evidence,
      fc.constantFrom(...flashed),
      fc.constantFrom('Mine', 'None', 'Other'),
      ({ expected, seen }, { phase, failureClass }, claim) => {
        const { bootIdBefore, identity, from, to } = expected
        const before = operation('ap-1-abc-1', {
          phase,
          ...(failureClass && { failureClass }),
          attempts: 1,
          from,
          to,
          bootIdBefore,
          maxUptime: 590,
          image: { name: 'image', sha256: digest, size: 1000 },
          times: { Flashing: at(now - 60_000), [phase]: at(now - 30_000) },
        })
        const world: OperationWorld = {
          claim: claim as OperationWorld['claim'],
          admission: { admitted: true, checks: [] },
          hasSession: true,
          outcome: { kind: 'Looked', probe: seen, log: [] },
          target: undefined,
          hasImage: true,
          from,
          identity,
          settings: defaultPolicySettings,
          watchedMs: 0,
          answeredSinceLost: true,
          random01: 0.5,
        }
        const { status } = nextStep(before, world, now)
        const isEvidence = byQuestions(expected, seen) === 'Succeeded'
        if (status.phase === 'Succeeded') {
          expect(isEvidence).toBe(true)
          expect(status.bootIdAfter).toBe(seen.bootId)
          succeeded.add(phase)
        } else if (isEvidence && claim === 'Mine') expect(status.phase).toBe('Succeeded')
      },
    ),
    usual,
    { share: 1 / 2 },
  )
  expect([...succeeded].toSorted()).toEqual(flashed.map(({ phase }) => phase).toSorted())
})
