import { describe, expect, test } from 'vitest'
import type { Probe } from '../../src/core/probe.ts'
import { isRelease, judge, type Expectation } from '../../src/core/verdict.ts'

const expected: Expectation = {
  bootIdBefore: 'boot-1',
  identity: 'aa,bb',
  from: { osIdentifier: 'Toy 1', revision: 'r1' },
  to: { build: 'new', osIdentifier: 'Toy 2', revision: 'r2' },
}
const probe = (changes: Partial<Probe>): Probe => ({
  osIdentifier: 'Toy 2',
  release: { revision: 'r2' },
  board: 'toy',
  bootId: 'boot-2',
  uptimeSeconds: 10,
  identity: 'aa,bb',
  upgrading: false,
  ...changes,
})
const old = { osIdentifier: 'Toy 1', release: { revision: 'r1' } }

describe('a verdict', () => {
  test.each<[string, Partial<Probe>, Partial<Expectation>, RegExp | undefined]>([
    ['Succeeded', {}, {}, /^runs Toy 2 since a new boot$/],
    ['Succeeded', { identity: 'bb,cc' }, {}, /runs Toy 2/],
    ['Succeeded', { identity: 'anybody' }, { identity: undefined }, /runs Toy 2/],
    ['SameBoot', { bootId: 'boot-1' }, {}, undefined],
    ['SameBoot', { bootId: 'boot-1', ...old }, {}, undefined],
    ['RolledBack', old, {}, /rebooted, but still runs Toy 1: the flash failed or the device fell back/],
    [
      'WrongVersion',
      { osIdentifier: 'Toy 3', release: { revision: 'r3' } },
      {},
      /runs Toy 3, expected Toy 2/,
    ],
    [
      'WrongVersion',
      { osIdentifier: 'Toy 1', release: { revision: 'r3' } },
      {},
      /runs Toy 1, expected Toy 2/,
    ],
    [
      'WrongVersion',
      { osIdentifier: 'Toy 3', release: { revision: 'r1' } },
      {},
      /runs Toy 3, expected Toy 2/,
    ],
    ['WrongVersion', { osIdentifier: 'Toy 3', release: {} }, { to: {} }, /expected another release/],
    ['WrongVersion', { osIdentifier: 'Toy 3', release: {} }, { to: { revision: 'r2' } }, /expected r2/],
    ['OtherDevice', { identity: 'cc' }, {}, /another device answers at this address: cc instead of aa,bb/],
    ['OtherDevice', { identity: 'cc', bootId: 'boot-1' }, {}, /another device/],
  ])('%s: %j', (kind, changes, expectation, words) => {
    const verdict = judge({ ...expected, ...expectation }, probe(changes))
    expect(verdict.kind).toBe(kind)
    if (words) expect('message' in verdict && verdict.message).toMatch(words)
  })
})

test.each([
  [true, { revision: 'r2' }, 'Toy 9', 'r2'],
  [false, { revision: 'r2', osIdentifier: 'Toy 2' }, 'Toy 2', undefined],
  [true, { osIdentifier: 'Toy 2' }, 'Toy 2', 'r9'],
  [false, { osIdentifier: 'Toy 2' }, 'Toy 2 ', 'r9'],
  [false, {}, '', undefined],
])('%s: %j is what reports %s, %s', (same, to, osIdentifier, revision) => {
  expect(isRelease({ osIdentifier, release: revision === undefined ? {} : { revision } }, to)).toBe(same)
})
