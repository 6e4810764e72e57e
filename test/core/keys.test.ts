import { expect, test } from 'vitest'
import { byName, keyOf, keyString, parseKey } from '../../src/core/keys.ts'

const object = (namespace: string, name: string): Parameters<typeof keyOf>[0] => ({
  metadata: { namespace, name, uid: '', resourceVersion: '1', generation: 1, creationTimestamp: '' },
})

test('a key survives being written and read', () => {
  const key = keyOf(object('default', 'ap-17.example'))
  expect(key).toEqual({ namespace: 'default', name: 'ap-17.example' })
  expect(keyString(key)).toBe('default/ap-17.example')
  expect(parseKey(keyString(key))).toEqual(key)
})

test.each(['', 'ap-17', '/ap-17', 'default/', 'a/b/c'])('%j is no key', (text) => {
  expect(() => parseKey(text)).toThrow(expect.objectContaining({ code: 'Invalid' }))
})

test('objects are ordered by namespace, then name', () => {
  const sorted = [object('b', 'a'), object('a', 'c'), object('a', 'b')].toSorted(byName)
  expect(sorted.map((item) => keyString(keyOf(item)))).toEqual(['a/b', 'a/c', 'b/a'])
})
