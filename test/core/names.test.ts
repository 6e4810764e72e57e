import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { eventName, operationName, operationStem, orderHash, revisionOf } from '../../src/core/names.ts'

/** A name as the API server accepts it: labels of DNS, joined by dots, at most 253 characters in all. */
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const deviceName = fc
  .stringMatching(/^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?){0,14}$/)
  .filter((name) => name.length <= 253)

describe('operation names', () => {
  test('stay the same for ever: a stored fleet knows them', () => {
    expect(revisionOf('indoor-ap-24.10.8', ['b'.repeat(64), 'a'.repeat(64)])).toBe('0dde94ebc17b')
    expect(operationName(operationStem('ap-17', 'abc', ''), 1)).toBe('ap-17-73ae27cf-1')
    expect(orderHash('abc', 'ap-17')).toBe(1523960322)
  })

  test('differ by device, revision, retry token and attempt', () => {
    const names = [
      operationName(operationStem('a', 'r', ''), 1),
      operationName(operationStem('b', 'r', ''), 1),
      operationName(operationStem('a', 's', ''), 1),
      operationName(operationStem('a', 'r', 't'), 1),
      operationName(operationStem('a', 'r', ''), 2),
      // The same letters, split elsewhere.
      operationName(operationStem('a', 'rt', ''), 1),
    ]
    expect(new Set(names).size).toBe(names.length)
  })

  test('are valid however long the device name is', () => {
    const longest = [
      `${'a'.repeat(228)}.${'b'.repeat(24)}`,
      `${'a'.repeat(228)}-${'b'.repeat(24)}`,
      'a'.repeat(253),
    ]
    const device = fc.oneof(deviceName, fc.constantFrom(...longest))
    fc.assert(
      fc.property(device, fc.string(), fc.integer({ min: 1, max: 99_999 }), (name, token, attempt) => {
        const result = operationName(operationStem(name, 'revision', token), attempt)
        expect(result).toMatch(subdomain)
        expect(result.length).toBeLessThanOrEqual(253)
      }),
    )
  })

  test('keep a device name whole as long as it fits, and cut a longer one where a name may end', () => {
    const whole = 'a'.repeat(238)
    expect(operationStem(whole, 'r', '')).toMatch(new RegExp(`^${whole}-[0-9a-f]{8}$`))
    expect(operationStem(`${whole}a`, 'r', '')).toMatch(/^a{229}-[0-9a-f]{8}-[0-9a-f]{8}$/)
    const dashed = `a-b${'a'.repeat(224)}--${'a'.repeat(20)}`
    expect(operationStem(dashed, 'r', '')).toMatch(/^a-ba{224}-[0-9a-f]{8}-[0-9a-f]{8}$/)
  })

  test('of two long device names with the same beginning differ', () => {
    const stems = ['x', 'y'].map((end) => operationStem(`${'a'.repeat(252)}${end}`, 'r', ''))
    expect(stems[0]).not.toBe(stems[1])
  })
})

test('a revision depends on the images, not on their order', () => {
  const digests = ['c', 'a', 'b']
  expect(revisionOf('build', digests)).toBe(revisionOf('build', digests.toReversed()))
  expect(revisionOf('build', digests)).not.toBe(revisionOf('build', ['c', 'a']))
  expect(revisionOf('build', digests)).toMatch(/^[0-9a-f]{12}$/)
})

test('the order of devices is another with another revision, and spread evenly', () => {
  const devices = Array.from({ length: 1000 }, (_, index) => `ap-${index}`)
  const order = (revision: string): string[] =>
    devices.toSorted((a, b) => orderHash(revision, a) - orderHash(revision, b))
  expect(order('one')).toEqual(order('one'))
  expect(order('one')).not.toEqual(order('two'))
  const low = devices.filter((device) => orderHash('one', device) < 2 ** 31).length
  expect(Math.abs(low - 500)).toBeLessThan(80)
})

test('names of events are valid however long the name of the object is', () => {
  const name = fc.oneof(deviceName, fc.constantFrom('a'.repeat(253), `${'a'.repeat(232)}.${'b'.repeat(20)}`))
  fc.assert(
    fc.property(name, fc.stringMatching(/^[0-9a-f]{1,19}$/), (object, digits) => {
      const result = eventName(object, digits)
      expect(result).toMatch(subdomain)
      expect(result.length).toBeLessThanOrEqual(253)
      expect(result.endsWith(`.${digits}`)).toBe(true)
    }),
  )
})
