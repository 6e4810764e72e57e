import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kinds } from '../../src/api/kinds.ts'
import { formatPath } from '../../src/api/problem.ts'
import type { Manifest } from '../../src/api/resources.ts'
import { ruleChecks } from '../../src/api/rules.ts'
import { apiVersion, type Schema } from '../../src/api/schema.ts'
import { acceptManifest, changeProblems, patternWords } from '../../src/api/validate.ts'
import { rows } from '../cluster/manifest-table.ts'

const named = (name: string) => ({ name })
const device = { categoryRef: named('ap'), addresses: ['192.0.2.1'], credentialsRef: named('routers') }
const policy = { categoryRef: named('ap'), target: { buildRef: named('b') } }
const image = { buildRef: named('b'), source: { path: 'a.bin' } }

const manifest = (kind: string, spec: unknown, metadata: unknown = { name: 'a' }) => ({
  apiVersion,
  kind,
  metadata,
  spec,
})

const inFile = (value: unknown) => acceptManifest(value, { mode: 'file' })

/** Problems as "path: message". */
const complaints = (value: unknown, mode: 'file' | 'server' = 'file'): string[] => {
  const result = acceptManifest(value, { mode })
  return result.ok ? [] : result.problems.map(({ path, message }) => `${formatPath(path)}: ${message}`)
}

const accept = (value: unknown, mode: 'file' | 'server' = 'file'): Manifest => {
  const result = acceptManifest(value, { mode })
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.manifest
}

describe('an accepted manifest', () => {
  it('has the namespace default, and every default of its schema, in every depth', () => {
    expect(accept(manifest('UpgradePolicy', policy))).toEqual({
      apiVersion,
      kind: 'UpgradePolicy',
      metadata: { name: 'a', namespace: 'default' },
      spec: {
        categoryRef: { name: 'ap' },
        selector: {},
        priority: 100,
        target: { buildRef: { name: 'b' }, allowDowngrade: false, onUnknownVersion: 'Skip' },
        state: 'Run',
        limits: { maxConcurrent: 10, startsPerMinute: 6 },
        retry: { preFlash: 4, backoff: '1m', maxBackoff: '10m', quarantine: '24h' },
        offline: { action: 'Wait', recheck: '10m', maxRecheck: '12h', expireAfter: '0s' },
        timeouts: {
          connect: '60s',
          command: '30s',
          upload: '10m',
          flash: '90s',
          reconnectRetry: '1s',
          reboot: '15m',
          total: '60m',
        },
        history: { operationsPerDevice: 10, keepFor: '90d' },
        retryToken: '',
      },
    })
  })

  it('needs no spec where the schema has a default for all of it', () => {
    expect(accept({ apiVersion, kind: 'Category', metadata: { name: 'a' } }).spec).toEqual({
      upgrader: 'openwrt',
      hostKeyPolicy: 'AcceptNew',
    })
    expect(complaints({ apiVersion, kind: 'Device', metadata: { name: 'a' } })).toEqual(['spec: is required'])
  })

  it('is a copy: neither the input nor the next manifest shares anything with it', () => {
    const input = manifest('UpgradePolicy', policy)
    const before = structuredClone(input)
    const first = accept(input) as Manifest<'UpgradePolicy'>
    first.spec.limits.maxConcurrent = 77
    expect(input).toEqual(before)
    expect((accept(input) as Manifest<'UpgradePolicy'>).spec.limits.maxConcurrent).toBe(10)
  })

  it('keeps labels and annotations', () => {
    const metadata = {
      name: 'a',
      labels: { site: 'lobby', 'a.b/c': '', constructor: 'x' },
      annotations: { note: 'any text\n', 'A.b/C': '' },
    }
    expect(accept(manifest('Device', device, metadata)).metadata).toEqual({
      namespace: 'default',
      ...metadata,
    })
  })

  it('comes from a server without what the server adds, and with its nulls gone', () => {
    const metadata = { name: 'a', namespace: 'x', uid: 'u', managedFields: [], finalizers: ['reflash.dev/x'] }
    const value = { ...manifest('Device', { ...device, port: null, future: 1 }, metadata), status: {} }
    expect(accept(value, 'server')).toEqual({
      apiVersion,
      kind: 'Device',
      metadata: { name: 'a', namespace: 'x', finalizers: ['reflash.dev/x'] },
      spec: { ...device, port: 22, legacyAlgorithms: false },
    })
  })
})

describe('the table that API servers agree with', () => {
  it.each(rows)('$kind: $what', ({ kind, metadata, spec, wrong }) => {
    const value = { apiVersion, kind, metadata, ...(spec === undefined ? {} : { spec }) }
    const result = inFile(value)
    const paths = result.ok ? [] : result.problems.map(({ path }) => formatPath(path))
    expect(paths.toSorted()).toEqual([...wrong].toSorted())
  })
})

describe('a refused manifest says where and why', () => {
  const cases: [string, unknown, string[]][] = [
    [
      'a number for a string',
      manifest('Build', { categoryRef: named('ap'), version: 24.1 }),
      ['spec.version: must be a string, quote it: "24.1"'],
    ],
    [
      'true for a string',
      manifest('Build', { categoryRef: named('ap'), version: true }),
      ['spec.version: must be a string, quote it: "true"'],
    ],
    [
      'an unknown field',
      manifest('UpgradePolicy', { ...policy, limits: { maxConcurent: 5 } }),
      ['spec.limits.maxConcurent: is not a known field; did you mean maxConcurrent?'],
    ],
    [
      'an unknown field far from any',
      manifest('Category', { colour: 'red' }),
      ['spec.colour: is not a known field'],
    ],
    [
      'a misspelt required field, once',
      manifest('Build', { categoryref: named('ap'), version: '1' }),
      ['spec.categoryref: is not a known field; did you mean categoryRef?'],
    ],
    ['a missing field', manifest('Build', { version: '1' }), ['spec.categoryRef: is required']],
    [
      'null',
      manifest('UpgradePolicy', { ...policy, limits: null }),
      ['spec.limits: must not be null; leave the field out for its default, or give it a value'],
    ],
    [
      'null for what is required, once',
      manifest('Build', { categoryRef: null, version: '1' }),
      ['spec.categoryRef: must not be null; leave the field out for its default, or give it a value'],
    ],
    [
      'null in a list',
      manifest('Device', { ...device, addresses: ['a', null] }),
      ['spec.addresses[1]: must not be null; leave the field out for its default, or give it a value'],
    ],
    [
      'nothing at once',
      manifest('UpgradePolicy', { ...policy, limits: { maxConcurrent: 0 } }),
      ['spec.limits.maxConcurrent: must be from 1 to 10000, found 0'],
    ],
    [
      'less than nothing',
      manifest('UpgradePolicy', { ...policy, limits: { maxConcurrent: -1 } }),
      ['spec.limits.maxConcurrent: must be from 1 to 10000, found -1'],
    ],
    [
      'far too much',
      manifest('UpgradePolicy', { ...policy, limits: { maxConcurrent: 1e9 } }),
      ['spec.limits.maxConcurrent: must be from 1 to 10000, found 1000000000'],
    ],
    [
      'not a number',
      manifest('UpgradePolicy', { ...policy, limits: { maxConcurrent: Number.NaN } }),
      ['spec.limits.maxConcurrent: must be a whole number, found NaN'],
    ],
    [
      'half a device',
      manifest('UpgradePolicy', { ...policy, limits: { maxConcurrent: 1.5 } }),
      ['spec.limits.maxConcurrent: must be a whole number, found 1.5'],
    ],
    [
      'a quoted number',
      manifest('UpgradePolicy', { ...policy, limits: { maxConcurrent: '10' } }),
      ['spec.limits.maxConcurrent: must be a whole number, found "10"; remove the quotes'],
    ],
    [
      'a duration in words',
      manifest('UpgradePolicy', { ...policy, retry: { backoff: '5 minutes' } }),
      ['spec.retry.backoff: must be a duration such as 90s, 15m or 1h30m, found "5 minutes"'],
    ],
    [
      'a wrong word',
      manifest('UpgradePolicy', { ...policy, state: 'pause' }),
      ['spec.state: must be one of Plan, Run, Pause, Abort, found "pause"; did you mean Pause?'],
    ],
    [
      'wiping the configuration',
      manifest('Category', { upgradeOptions: { keepConfig: false } }),
      ['spec.upgradeOptions.keepConfig: must be true, found false'],
    ],
    ['a list for a map', manifest('Category', []), ['spec: must be a map, found a list of 0']],
    [
      'a string for a list',
      manifest('Device', { ...device, addresses: '192.0.2.1' }),
      ['spec.addresses: must be a list, found "192.0.2.1"'],
    ],
    [
      'no address',
      manifest('Device', { ...device, addresses: [] }),
      ['spec.addresses: must have at least 1 entry, found a list of 0'],
    ],
    [
      'an address with a port',
      manifest('Device', { ...device, addresses: ['ap/17'] }),
      ['spec.addresses[0]: must be a host name or an IP address, without a port, found "ap/17"'],
    ],
    [
      'a day that does not exist',
      manifest('Device', { ...device, hold: { reason: 'x', until: '2026-02-30T00:00:00Z' } }),
      ['spec.hold.until: must be a time such as 2026-11-23T18:00:00Z, found "2026-02-30T00:00:00Z"'],
    ],
    [
      'a set with a value twice',
      manifest('FirmwareImage', { ...image, boards: ['a', 'b', 'a'] }),
      ['spec.boards[2]: is "a" once more, as entry 0 is already'],
    ],
    [
      'an upper-case digest',
      manifest('FirmwareImage', { ...image, sha256: 'A'.repeat(64) }),
      [`spec.sha256: must be 64 lower-case hexadecimal digits, found "${'A'.repeat(64)}"`],
    ],
    [
      'a status',
      { ...manifest('Category', {}), status: {} },
      ['status: is written by the controller; remove it'],
    ],
    [
      'an unknown kind',
      manifest('Devise', {}),
      [
        'kind: must be one of Category, Build, FirmwareImage, Device, UpgradePolicy, UpgradeOperation, found "Devise"; did you mean Device?',
      ],
    ],
    [
      'an unknown version',
      { ...manifest('Device', device), apiVersion: 'reflash.dev/v9' },
      ['apiVersion: must be reflash.dev/v1alpha1, found "reflash.dev/v9"'],
    ],
    ['no map at all', ['a'], [': must be a map, found a list of 1']],
    ['no metadata', { apiVersion, kind: 'Category' }, ['metadata: must be a map with a name, found nothing']],
    ['no name', manifest('Category', {}, {}), ['metadata.name: is required']],
    [
      'a number as a name',
      manifest('Category', {}, { name: 17 }),
      ['metadata.name: must be a string, quote it: "17"'],
    ],
    [
      'an upper-case name',
      manifest('Category', {}, { name: 'AP' }),
      [
        'metadata.name: must be lower-case letters, digits, "-" and ".", at most 253, beginning and ending with a letter or digit, found "AP"',
      ],
    ],
    [
      'a name with empty parts',
      manifest('Category', {}, { name: 'a..b' }),
      [
        'metadata.name: must be lower-case letters, digits, "-" and ".", at most 253, beginning and ending with a letter or digit, found "a..b"',
      ],
    ],
    [
      'a dot in a namespace',
      manifest('Category', {}, { name: 'a', namespace: 'a.b' }),
      [
        'metadata.namespace: must be lower-case letters, digits and "-", at most 63, beginning and ending with a letter or digit, found "a.b"',
      ],
    ],
    [
      'a bad label key',
      manifest('Category', {}, { name: 'a', labels: { 'a/b/c': 'x' } }),
      ['metadata.labels["a/b/c"]: must be a label key, such as site or example.com/site, found "a/b/c"'],
    ],
    [
      'a bad label value',
      manifest('Category', {}, { name: 'a', labels: { site: 'two words' } }),
      [
        'metadata.labels.site: must be at most 63 letters, digits, "-", "_" and ".", beginning and ending with a letter or digit, found "two words"',
      ],
    ],
    [
      'a number as a label',
      manifest('Category', {}, { name: 'a', labels: { floor: 5 } }),
      ['metadata.labels.floor: must be a string, quote it: "5"'],
    ],
    [
      'huge annotations',
      manifest('Category', {}, { name: 'a', annotations: { x: 'y'.repeat(262_144) } }),
      ['metadata.annotations: must be at most 262144 bytes together, found 262145'],
    ],
    [
      'a label to select by that cannot be one',
      manifest('UpgradePolicy', { ...policy, selector: { matchLabels: { 'a/b/c': 'two words' } } }),
      [
        'spec.selector.matchLabels["a/b/c"]: must be letters, digits, "-", "_" and ".", beginning and ending with a letter or digit, found "two words"',
        'spec.selector.matchLabels: labels need keys such as site or example.com/site',
      ],
    ],
    [
      'an operator without its values',
      manifest('UpgradePolicy', {
        ...policy,
        selector: { matchExpressions: [{ key: 'site', operator: 'In' }] },
      }),
      ['spec.selector.matchExpressions: In and NotIn need values, Exists and DoesNotExist have none'],
    ],
    [
      'a name of JavaScript as a key',
      manifest('UpgradePolicy', {
        ...policy,
        selector: { matchLabels: JSON.parse('{"__proto__":"x"}') as object },
      }),
      ['spec.selector.matchLabels.__proto__: is a name that is not allowed as a key'],
    ],
    [
      'a name of JavaScript as a field',
      manifest('Category', JSON.parse('{"__proto__":{"upgrader":"x"},"prototype":1}') as object),
      ['spec.__proto__: is not a known field', 'spec.prototype: is not a known field'],
    ],
  ]
  it.each(cases)('%s', (_, value, expected) => {
    expect(complaints(value)).toEqual(expected)
  })

  it('in the words of the source, where a number has lost digits', () => {
    const value = manifest('Build', { categoryRef: named('ap'), version: 24.1 })
    const result = acceptManifest(value, { mode: 'file', sourceText: () => '24.10' })
    expect(result.ok ? '' : result.problems[0]?.message).toBe('must be a string, quote it: "24.10"')
  })

  it('when a number is written in a way that hides its size', () => {
    const value = manifest('UpgradePolicy', { ...policy, limits: { maxConcurrent: 16 } })
    const result = acceptManifest(value, {
      mode: 'file',
      sourceText: (path) => (path.at(-1) === 'maxConcurrent' ? '0x10' : undefined),
    })
    expect(result.ok ? '' : result.problems[0]?.message).toBe(
      'must be written in plain decimal digits, found 0x10',
    )
  })

  it('for everything that is wrong, not only the first', () => {
    const value = manifest(
      'UpgradePolicy',
      { ...policy, state: 'x', priority: -1, foo: 1 },
      { name: 'A', foo: 1 },
    )
    expect(complaints(value)).toHaveLength(5)
  })

  it('and gives a suggestion of its own, for tools', () => {
    const result = inFile(manifest('UpgradePolicy', { ...policy, state: 'Rum' }))
    expect(result.ok ? [] : result.problems).toEqual([
      {
        reason: 'Invalid',
        path: ['spec', 'state'],
        message: 'must be one of Plan, Run, Pause, Abort, found "Rum"; did you mean Run?',
        expected: 'one of Plan, Run, Pause, Abort',
        found: '"Rum"',
        suggestion: 'Run',
      },
    ])
  })
})

describe('the rules of the schemas', () => {
  it('each have a counterpart, and no counterpart is left over', () => {
    const rules = kinds.flatMap((info) => info.rules.map(({ rule }) => rule))
    expect(Object.keys(ruleChecks).toSorted()).toEqual(rules.toSorted())
  })

  const sha256 = '0'.repeat(64)
  const recalled = { categoryRef: named('ap'), version: '1', lifecycle: 'Recalled' }
  const operation = { deviceRef: named('d') }
  it.each([
    ['a recall without a reason', 'Build', recalled, 'spec.reason: a recalled build needs a reason'],
    ['an empty reason', 'Build', { ...recalled, reason: '' }, 'spec.reason: a recalled build needs a reason'],
    [
      'no source',
      'FirmwareImage',
      { ...image, source: {} },
      'spec.source: exactly one of path and url is needed',
    ],
    [
      'two sources',
      'FirmwareImage',
      { ...image, sha256, source: { path: 'a', url: 'https://a' } },
      'spec.source: exactly one of path and url is needed',
    ],
    [
      'a url without a digest',
      'FirmwareImage',
      { ...image, source: { url: 'https://a' } },
      'spec.sha256: an image from a url needs its sha256',
    ],
    [
      'an operation without a target',
      'UpgradeOperation',
      operation,
      'spec: exactly one of buildRef and imageRef is needed',
    ],
    [
      'an operation with two',
      'UpgradeOperation',
      { ...operation, buildRef: named('b'), imageRef: named('i') },
      'spec: exactly one of buildRef and imageRef is needed',
    ],
  ])('refuse %s', (_, kind, spec, expected) => {
    expect(complaints(manifest(kind, spec))[0]).toBe(expected)
  })
  it.each([
    ['a recall with a reason', 'Build', { ...recalled, reason: 'boot loop' }],
    ['an image from a file', 'FirmwareImage', image],
    ['an image from a server', 'FirmwareImage', { ...image, sha256, source: { url: 'https://a/b' } }],
    ['an operation to a build', 'UpgradeOperation', { ...operation, buildRef: named('b') }],
    ['an operation to an image', 'UpgradeOperation', { ...operation, imageRef: named('i') }],
  ])('accept %s', (_, kind, spec) => {
    expect(complaints(manifest(kind, spec))).toEqual([])
  })

  it('hold an operation to its device', () => {
    const before = accept(manifest('UpgradeOperation', { ...operation, buildRef: named('b') }))
    const moved = accept(manifest('UpgradeOperation', { deviceRef: named('e'), buildRef: named('b') }))
    const retargeted = accept(manifest('UpgradeOperation', { ...operation, buildRef: named('c') }))
    expect(changeProblems(before, moved).map(({ message }) => message)).toEqual([
      'cannot change: an operation keeps its device',
    ])
    expect(changeProblems(before, retargeted)).toEqual([])
  })
})

it('every pattern of a spec is explained in words', () => {
  const patterns = (schema: Schema): string[] => [
    ...(schema.pattern === undefined ? [] : [schema.pattern]),
    ...Object.values(schema.properties ?? {}).flatMap(patterns),
    ...(schema.items ? patterns(schema.items) : []),
  ]
  const used = new Set(kinds.flatMap((info) => patterns(info.spec)))
  expect([...used].toSorted()).toEqual(Object.keys(patternWords).toSorted())
})

it('any JSON value is accepted or refused, never thrown at', () => {
  const specs = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(
      fc.constantFrom('categoryRef', 'addresses', 'limits', 'source', 'boards', '__proto__'),
      fc.jsonValue(),
    ),
  )
  const values = fc.record({
    apiVersion: fc.constant(apiVersion),
    kind: fc.constantFrom(...kinds.map((info) => info.kind)),
    metadata: fc.oneof(fc.jsonValue(), fc.record({ name: fc.string(), labels: fc.jsonValue() })),
    spec: specs,
  })
  fc.assert(
    fc.property(
      fc.oneof(values, fc.jsonValue()),
      fc.constantFrom('file' as const, 'server' as const),
      (value, mode) => {
        const result = acceptManifest(value, { mode })
        if (!result.ok) expect(result.problems.length).toBeGreaterThan(0)
      },
    ),
    { numRuns: 500 },
  )
  expect(({} as Record<string, unknown>)['upgrader']).toBeUndefined()
})
