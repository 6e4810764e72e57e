import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LabelSelector } from '../../src/api/resources.ts'
import { matchesSelector } from '../../src/core/selector.ts'

const lobby = { site: 'lobby', floor: '1' }

describe('matchesSelector', () => {
  test.each<[string, LabelSelector, Record<string, string>, boolean]>([
    ['an empty selector takes everything', {}, {}, true],
    ['all labels must be equal', { matchLabels: { site: 'lobby', floor: '1' } }, lobby, true],
    ['one that differs is enough', { matchLabels: { site: 'lobby', floor: '2' } }, lobby, false],
    ['one that is missing is enough', { matchLabels: { rack: '1' } }, lobby, false],
    ['In', { matchExpressions: [{ key: 'site', operator: 'In', values: ['attic', 'lobby'] }] }, lobby, true],
    [
      'In, another value',
      { matchExpressions: [{ key: 'site', operator: 'In', values: ['attic'] }] },
      lobby,
      false,
    ],
    [
      'In, no such label',
      { matchExpressions: [{ key: 'rack', operator: 'In', values: ['1'] }] },
      lobby,
      false,
    ],
    ['In without values', { matchExpressions: [{ key: 'site', operator: 'In' }] }, lobby, false],
    ['NotIn', { matchExpressions: [{ key: 'site', operator: 'NotIn', values: ['lobby'] }] }, lobby, false],
    [
      'NotIn, no such label',
      { matchExpressions: [{ key: 'rack', operator: 'NotIn', values: ['1'] }] },
      lobby,
      true,
    ],
    ['Exists', { matchExpressions: [{ key: 'site', operator: 'Exists' }] }, lobby, true],
    ['Exists with an empty value', { matchExpressions: [{ key: 'a', operator: 'Exists' }] }, { a: '' }, true],
    ['DoesNotExist', { matchExpressions: [{ key: 'site', operator: 'DoesNotExist' }] }, lobby, false],
    [
      'labels and expressions must hold together',
      { matchLabels: { site: 'lobby' }, matchExpressions: [{ key: 'floor', operator: 'In', values: ['2'] }] },
      lobby,
      false,
    ],
    [
      'what every object inherits is no label',
      { matchExpressions: [{ key: 'toString', operator: 'Exists' }] },
      {},
      false,
    ],
  ])('%s', (_name, selector, labels, matches) => expect(matchesSelector(selector, labels)).toBe(matches))

  test('NotIn and DoesNotExist are the opposites of In and Exists', () => {
    const word = fc.constantFrom('a', 'b', 'c', 'constructor')
    fc.assert(
      fc.property(fc.dictionary(word, word), word, fc.array(word), (labels, key, values) => {
        const holds = (operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'): boolean =>
          matchesSelector({ matchExpressions: [{ key, operator, values }] }, labels)
        expect(holds('NotIn')).toBe(!holds('In'))
        expect(holds('DoesNotExist')).toBe(!holds('Exists'))
      }),
    )
  })
})
