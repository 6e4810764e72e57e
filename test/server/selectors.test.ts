import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { objectSchema } from '../../src/api/crd.ts'
import { kindInfo } from '../../src/api/kinds.ts'
import { hasCode } from '../../src/core/errors.ts'
import type { ApiObject, ResourceInfo } from '../../src/server/collection.ts'
import { parseFieldSelector, parseLabelSelector } from '../../src/server/selectors.ts'

const device = kindInfo('Device')
const info: ResourceInfo = {
  ...device,
  group: 'reflash.dev',
  version: 'v1alpha1',
  categories: [],
  namespaced: true,
  schema: objectSchema(device),
}

const labelled = (labels?: Record<string, string>): ApiObject => ({
  apiVersion: 'reflash.dev/v1alpha1',
  kind: 'Device',
  metadata: { name: 'ap', namespace: 'default', resourceVersion: '1', ...(labels ? { labels } : {}) },
  spec: { port: 22, categoryRef: { name: 'a,b=c' }, legacyAlgorithms: false },
  status: { board: 'x' },
})

const refusal = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (hasCode(error, 'Invalid')) return error.message
    throw error
  }
  return 'accepted'
}

describe('a label selector', () => {
  const labels = { site: 'lobby', floor: '3', 'a.b/c': '', empty: '' }
  test.each<[string, boolean]>([
    ['site=lobby', true],
    ['site==lobby', true],
    [' site = lobby ', true],
    ['site!=lobby', false],
    ['other!=lobby', true],
    ['site', true],
    ['!site', false],
    ['! other', true],
    ['site in (lobby, hall)', true],
    ['site in (hall)', false],
    ['site notin (hall)', true],
    ['other notin (hall)', true],
    ['other in ()', false],
    ['empty in ()', true],
    ['site=lobby,floor=3', true],
    ['site=lobby,floor=4', false],
    ['site in (a,lobby),floor notin (1,2),!x', true],
    ['a.b/c=', true],
    ['floor>2', true],
    ['floor<3', false],
    ['site>2', false],
    ['other<3', false],
    ['floor<99999999999999999999', true],
    ['constructor', false],
    ['', true],
  ])('%s', (text, matches) => expect(parseLabelSelector(text)?.(labelled(labels)) ?? true).toBe(matches))

  test('takes an object without labels for one that has none', () => {
    expect(parseLabelSelector('a!=b')!(labelled())).toBe(true)
    expect(parseLabelSelector('a')!(labelled())).toBe(false)
  })

  test.each([
    'a=b,',
    ',a=b',
    'a=b,,c',
    '=b',
    'a in b',
    'a in (b',
    'a in b)',
    'a in (b))',
    'a===b',
    'a=b=c',
    'a b',
    '!',
    '!!a',
    'a/b/c',
    '-a',
    'a=b c',
    'a>b',
    'a>',
    'a in (b) c',
    '(a)',
    'a=(b)',
    'a in ((b))',
    '/a',
    'a/',
    'a='.padEnd(70, 'x'),
    'ä=b',
    'a\n=\n',
    'a=\u0000',
  ])('%j is refused', (text) => {
    const message = refusal(() => parseLabelSelector(text))
    if (text === 'a\n=\n') expect(message).toBe('accepted')
    else expect(message).toMatch(/^label selector: /)
  })
})

describe('a field selector', () => {
  test.each<[string, boolean]>([
    ['metadata.name=ap', true],
    ['metadata.name==ap,metadata.namespace=default', true],
    ['metadata.name!=ap', false],
    ['spec.port=22', true],
    ['spec.legacyAlgorithms=false', true],
    ['status.board=x', true],
    ['status.model=', true],
    ['status.model!=y', true],
    [String.raw`spec.categoryRef.name=a\,b\=c`, true],
    ['', true],
  ])('%s', (text, matches) => expect(parseFieldSelector(text, info)?.(labelled()) ?? true).toBe(matches))

  test.each([
    'metadata.labels=x',
    'metadata.name.x=y',
    'spec=x',
    'spec.addresses=x',
    'nothing=x',
    'status.conditions=x',
    'metadata.name',
    'metadata.name=a=b',
    'metadata.name=a,',
    ',',
    'metadata.name>a',
    '=x',
    'a\\=b',
    'metadata.name=a\\',
    'spec.constructor=x',
    'spec.constructor.name=x',
    '__proto__.x=y',
    'metadata=x',
  ])('%j is refused', (text) =>
    expect(refusal(() => parseFieldSelector(text, info))).toMatch(/^field selector: /),
  )
})

test('any text is a selector or refused, and quickly', () => {
  const pieces = fc.constantFrom(...'a b . / = == != ! in notin ( ) , \\ > < - 1'.split(' '), ' ', '\n')
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 60 }), (texts) => {
      const text = texts.join('')
      for (const parse of [parseLabelSelector, (each: string) => parseFieldSelector(each, info)]) {
        expect(refusal(() => parse(text)?.(labelled({ a: 'b' })))).toMatch(/^(accepted|\w+ selector: )/)
      }
    }),
    { numRuns: 2000 },
  )
  expect(refusal(() => parseLabelSelector('a'.repeat(4096) + '!'))).toMatch(/label selector/)
  expect(refusal(() => parseFieldSelector('\\'.repeat(4095), info))).toMatch(/field selector/)
  expect(refusal(() => parseLabelSelector(' '.repeat(2000) + 'a' + ' '.repeat(2000) + '('))).toMatch(/label/)
})
