import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareVersions } from '../../src/core/versions.ts'

const compare = (a: string | undefined, b: string | undefined): number | undefined =>
  compareVersions(a === undefined ? {} : { version: a }, b === undefined ? {} : { version: b })

describe('compareVersions', () => {
  test.each([
    ['24.10', '24.10.0', 0],
    ['24', '24.0.0', 0],
    ['v24.10.1', '24.10.1', 0],
    [' 24.10.1 ', '24.10.1', 0],
    ['23.05.2', '23.5.2', 0],
    ['23.05.2', '23.05.10', -1],
    ['19.07.10', '21.02.0', -1],
    ['24.10.0-rc1', '24.10.0', -1],
    ['24.10.0-rc2', '24.10.0-rc10', -1],
    ['24.10.0-rc.2', '24.10.0-rc2', 0],
    ['24.10.0-rc01', '24.10.0-rc1', 0],
    ['24.10-rc1', '24.10.0', -1],
    ['24.10.0+site1', '24.10.0+site2', 0],
    ['24.10.0+a-b', '24.10.0', 0],
    ['24.10.8', '24.10.7', 1],
    ['1.0.0-10a', '1.0.0-9a', 1],
    ['1.0.0-a10b2', '1.0.0-a9b3', 1],
  ])('%s and %s', (a, b, order) => {
    expect(compare(a, b)).toBe(order)
    expect(compare(b, a)).toBe(order === 0 ? 0 : -order)
  })

  test.each([
    undefined,
    '',
    'SNAPSHOT',
    '24.10-SNAPSHOT',
    '24.10.0-snapshot.3',
    'r24106-10cc5fcd00',
    '1.2.3.4',
    '24.',
    '24.10.0-',
    '99999999999999999999.0.0',
    '24.10.0-rc1\u001b[2J',
  ])('knows no place for %j', (version) => {
    expect(compare(version, '24.10.0')).toBeUndefined()
    expect(compare('24.10.0', version)).toBeUndefined()
  })

  test('an order wins where both have one, and only there', () => {
    expect(compareVersions({ version: '24.10.0', order: 1 }, { version: '23.05.0', order: 2 })).toBe(-1)
    expect(compareVersions({ order: 5 }, { version: 'SNAPSHOT', order: 5 })).toBe(0)
    expect(compareVersions({ version: '24.10.0', order: 1 }, { version: '23.05.0' })).toBe(1)
    expect(compareVersions({ version: '24.10.0' }, { version: '23.05.0', order: 1 })).toBe(1)
    expect(compareVersions({ order: 1 }, { version: '23.05.0' })).toBeUndefined()
  })

  test('orders like the numbers do', () => {
    const numbers = fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99))
    fc.assert(
      fc.property(numbers, numbers, (a, b) => {
        const text = (parts: number[]): string => parts.map((part) => String(part).padStart(2, '0')).join('.')
        const first = a.findIndex((part, index) => part !== b[index])
        const expected = first === -1 ? 0 : Math.sign(a[first]! - b[first]!)
        expect(compare(text(a), text(b))).toBe(expected)
      }),
    )
  })
})
