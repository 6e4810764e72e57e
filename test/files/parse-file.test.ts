import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { formatDiagnostic, inFile } from '../../src/adapters/files/diagnostic.ts'
import { parseContent } from '../../src/adapters/files/parse-content.ts'
import { parseFile, type ParsedFile } from '../../src/adapters/files/parse-file.ts'
import type { Manifest } from '../../src/api/resources.ts'
import { deviceText, exampleFleet, manifestText } from '../support/example-fleet.ts'
import { createFastClock } from '../support/fast-clock.ts'

const said = ({ problems }: ParsedFile): string[] =>
  problems.map((problem) => formatDiagnostic(inFile('fleet.yaml', problem)))
const complaints = (text: string): string[] => said(parseFile(text))
const ids = ({ items }: ParsedFile): string[] => items.map(({ id }) => id)

const category = (spec: string): string => manifestText('Category', 'ap', spec)
const policyHead = `apiVersion: reflash.dev/v1alpha1
kind: UpgradePolicy
metadata:
  name: ap
spec:
  categoryRef: {name: ap}
  target: {buildRef: {name: b}}
`

describe('the example of the documentation', () => {
  it('is accepted as it stands', () => {
    const parsed = parseFile(exampleFleet)
    expect(said(parsed)).toEqual([])
    expect(ids(parsed)).toEqual([
      'Category/default/indoor-ap',
      'Build/default/indoor-ap-24.10.8',
      'FirmwareImage/default/archer-c7-v5-24.10.8',
      'Device/default/ap-17',
      'UpgradePolicy/default/indoor-ap',
      'Secret/default/routers',
    ])
    expect(parsed.items.map(({ line, column }) => [line, column])).toEqual([
      [1, 1],
      [6, 1],
      [11, 1],
      [16, 1],
      [21, 1],
      [26, 1],
    ])
    expect(parsed.items.at(-1)?.secret?.entries).toEqual({ username: 'root', password: 'correct-horse' })
    expect(parsed).toMatchObject({ spoiled: [], skipped: 0 })
  })

  it('is accepted with the line ends of Windows and a byte order mark', async () => {
    const parsed = await parseContent(
      Buffer.from(`\uFEFF${exampleFleet.replaceAll('\n', '\r\n')}`),
      systemClock,
    )
    expect(said(parsed)).toEqual([])
    expect(parsed.items).toHaveLength(6)
  })
})

describe('a mistake is shown at its place', () => {
  it.each([
    [
      'a version without quotes',
      manifestText('Build', 'b', '{categoryRef: {name: ap}, version: 24.10}'),
      'fleet.yaml:4:42: spec.version: must be a string, quote it: "24.10"',
    ],
    [
      'an unknown field',
      `${policyHead}  limits:\n    maxConcurent: 5\n`,
      'fleet.yaml:9:5: spec.limits.maxConcurent: is not a known field; did you mean maxConcurrent?',
    ],
    [
      'an empty value',
      `${policyHead}  limits:\n  state: Run\n`,
      'fleet.yaml:8:3: spec.limits: must not be null; leave the field out for its default, or give it a value',
    ],
    [
      'null in words',
      `${policyHead}  limits: null\n`,
      'fleet.yaml:8:3: spec.limits: must not be null; leave the field out for its default, or give it a value',
    ],
    [
      'a field of the future',
      `${policyHead}  windows:\n`,
      'fleet.yaml:8:3: spec.windows: is not a known field',
    ],
    [
      'a key twice',
      `${policyHead}  state: Run\n  state: Pause\n`,
      'fleet.yaml:9:3: spec.state: is there twice in one map',
    ],
    [
      'no device at once',
      `${policyHead}  limits: {maxConcurrent: 0}\n`,
      'fleet.yaml:8:27: spec.limits.maxConcurrent: must be from 1 to 10000, found 0',
    ],
    [
      'less than no device',
      `${policyHead}  limits: {maxConcurrent: -1}\n`,
      'fleet.yaml:8:27: spec.limits.maxConcurrent: must be from 1 to 10000, found -1',
    ],
    [
      'a number with an exponent',
      `${policyHead}  limits: {maxConcurrent: 1e9}\n`,
      'fleet.yaml:8:27: spec.limits.maxConcurrent: must be written in plain decimal digits, found 1e9',
    ],
    [
      'a hexadecimal number',
      `${policyHead}  limits: {maxConcurrent: 0x10}\n`,
      'fleet.yaml:8:27: spec.limits.maxConcurrent: must be written in plain decimal digits, found 0x10',
    ],
    [
      'a quoted number',
      `${policyHead}  limits: {maxConcurrent: "10"}\n`,
      'fleet.yaml:8:27: spec.limits.maxConcurrent: must be a whole number, found "10"; remove the quotes',
    ],
    [
      'a duration with a blank',
      `${policyHead}  retry: {backoff: 5 m}\n`,
      'fleet.yaml:8:20: spec.retry.backoff: must be a duration such as 90s, 15m or 1h30m, found "5 m"',
    ],
    [
      'what is missing, at what it is missing in',
      manifestText('Device', 'd', '{addresses: [a], categoryRef: {}, credentialsRef: {name: r}}'),
      'fleet.yaml:4:24: spec.categoryRef.name: is required',
    ],
    [
      'an anchor',
      category('&a {description: x}'),
      'fleet.yaml:4:10: spec: must not have an anchor (&); remove it, or quote the value',
    ],
    [
      'an alias',
      category('{description: *a}'),
      'fleet.yaml:4:21: spec.description: must not be an alias (*); write the value out, or quote it',
    ],
    [
      'a tag',
      category('{description: !vault x}'),
      'fleet.yaml:4:28: spec.description: must not have a tag (!); remove it, or quote the value',
    ],
    [
      'text that kubectl reads as true',
      category('{description: yes}'),
      'fleet.yaml:4:21: spec.description: is true, false or a number to kubectl; quote it, or write true or false',
    ],
    [
      'a key that kubectl reads as false',
      manifestText('UpgradePolicy', 'a', '{selector: {matchLabels: {off: x}}}'),
      'fleet.yaml:4:33: spec.selector.matchLabels.off: is true, false or a number to kubectl; quote it',
    ],
    ['a number as a key', category('{5: x}'), 'fleet.yaml:4:8: spec: has a key that is no text; quote it'],
    [
      '__proto__',
      category('{__proto__: {upgrader: x}}'),
      'fleet.yaml:4:8: spec.__proto__: is not a known field',
    ],
    [
      'an open quote',
      category('{description: "x}'),
      'fleet.yaml:5:1: a character is missing here: a colon, a comma, a closing quote or a bracket',
    ],
    ['a tab', 'a:\n\tb: c\n', 'fleet.yaml:2:1: a tab cannot indent; use spaces'],
    [
      'an unknown kind',
      'apiVersion: reflash.dev/v1alpha1\nkind: Devise\n',
      'fleet.yaml:2:7: kind: must be one of Category, Build, FirmwareImage, Device, UpgradePolicy, UpgradeOperation, found "Devise"; did you mean Device?',
    ],
    [
      'an unknown version',
      'apiVersion: reflash.dev/v2\nkind: Device\n',
      'fleet.yaml:1:13: apiVersion: must be reflash.dev/v1alpha1, found "reflash.dev/v2"',
    ],
    [
      'a group without a version',
      'apiVersion: reflash.dev\nkind: Device\n',
      'fleet.yaml:1:13: apiVersion: must be reflash.dev/v1alpha1, found "reflash.dev"',
    ],
    [
      'a rule between fields',
      manifestText('FirmwareImage', 'i', '{buildRef: {name: b}, source: {}}'),
      'fleet.yaml:4:29: spec.source: exactly one of path and url is needed',
    ],
    [
      'text that would steer a terminal',
      category('{upgrader: "a\\e[31m\\u202Eb"}'),
      'fleet.yaml:4:18: spec.upgrader: must be lower-case letters, digits and "-", found "a\\u001b[31m\\u{202e}b"',
    ],
  ])('%s', (_, text, expected) => {
    expect(complaints(text)[0]).toBe(expected)
  })

  it('also behind other documents, and in JSON', () => {
    expect(complaints(`${exampleFleet}---\n${category('{colour: x}')}`)).toEqual([
      'fleet.yaml:34:8: spec.colour: is not a known field',
    ])
    const json = JSON.stringify(
      JSON.parse(
        '{"apiVersion":"reflash.dev/v1alpha1","kind":"Category","metadata":{"name":"ap"},"spec":{"colour":"\\u0041"}}',
      ),
      null,
      '\t',
    )
    expect(complaints(json)).toEqual(['fleet.yaml:8:3: spec.colour: is not a known field'])
  })

  it('for fifty mistakes of a document; the rest is counted', () => {
    const fields = Array.from({ length: 60 }, (__, index) => `colour${index}: 1`)
    expect(complaints(category(`{${fields.join(', ')}}`))).toHaveLength(51)
    expect(complaints(category(`{${fields.join(', ')}}`)).at(-1)).toBe(
      'fleet.yaml:1:1: and 10 more problems of this document',
    )
  })
})

describe('what a mistake spoils', () => {
  it('is its own object alone, when that can be told', () => {
    const parsed = parseFile(`${category('{colour: x}')}---\n${deviceText('d1')}`)
    expect(ids(parsed)).toEqual(['Device/default/d1'])
    expect(parsed.spoiled).toEqual([
      {
        id: 'Category/default/ap',
        line: 1,
        column: 1,
        because: 'line 4:8: spec.colour: is not a known field',
      },
    ])
    expect(parsed.incomplete).toBeUndefined()
  })

  it.each([
    ['has no name', 'apiVersion: reflash.dev/v1alpha1\nkind: Category\nmetadata: {}\n'],
    ['has two names', 'apiVersion: reflash.dev/v1alpha1\nkind: Category\nmetadata: {name: a, name: b}\n'],
    ['has no kind of ours', 'apiVersion: reflash.dev/v1alpha1\nkind: Categry\nmetadata: {name: a}\n'],
    [
      'has a namespace that is none',
      'apiVersion: reflash.dev/v1alpha1\nkind: Category\nmetadata: {name: a, namespace: [x]}\n',
    ],
  ])('is unknown when a document %s: then something may be missing', (_, text) => {
    const parsed = parseFile(`${text}---\n${deviceText('d1')}`)
    expect(ids(parsed)).toEqual(['Device/default/d1'])
    expect(parsed.spoiled).toEqual([])
    expect(parsed.incomplete).toMatch(/^line \d+:\d+: /)
  })

  it('is the whole file when it is no YAML, since an open quote swallows what follows', () => {
    const parsed = parseFile(`${deviceText('d1')}---\n${category('{description: "x}')}`)
    expect(parsed.items).toEqual([])
    expect(parsed.incomplete).toMatch(/^line 10:1: /)
  })
})

describe('documents of others', () => {
  it.each([
    ['of another API', 'apiVersion: apps/v1\nkind: Deployment\n'],
    ['of a group that only looks like ours', 'apiVersion: xreflash.dev/v1alpha1\nkind: Device\n'],
    ['without an apiVersion', 'on: push\n'],
    ['that are lists', '- a\n'],
    ['that are text', 'hello\n'],
    ['with anchors, aliases and tags', 'a: &x 1\nb: *x\nc: !Ref y\n'],
    [
      'encrypted by SOPS',
      'apiVersion: v1\nkind: Secret\nmetadata: {name: r}\nstringData: {password: "ENC[x]"}\nsops: {mac: x}\n',
    ],
  ])('%s are skipped and counted', (_, text) => {
    expect(parseFile(text)).toEqual({ items: [], spoiled: [], problems: [], skipped: 1 })
  })

  it('that are empty are not even counted', () => {
    expect(parseFile('---\n---\n# nothing\n---\nnull\n')).toEqual({
      items: [],
      spoiled: [],
      problems: [],
      skipped: 0,
    })
  })
})

describe('a Secret', () => {
  const secret = (rest: string): string =>
    `apiVersion: v1\nkind: Secret\nmetadata: {name: routers}\n${rest}\n`

  it('is read from data and stringData, of which the latter wins', () => {
    const parsed = parseFile(
      secret(`type: Opaque\ndata: {username: cm9vdA==, password: b2xk}\nstringData: {password: new}`),
    )
    expect(said(parsed)).toEqual([])
    expect(parsed.items).toEqual([
      {
        id: 'Secret/default/routers',
        line: 1,
        column: 1,
        secret: { namespace: 'default', name: 'routers', entries: { username: 'root', password: 'new' } },
      },
    ])
  })

  const canary = 'hunter2'
  it.each([
    [
      'a number',
      `stringData: {username: x, password: 17}\n# ${canary}`,
      'fleet.yaml:4:37: stringData.password: must be a string, quote it',
    ],
    [
      'an alias',
      `stringData: {password: *${canary}}`,
      'fleet.yaml:4:24: stringData.password: must not be an alias (*); write the value out, or quote it',
    ],
    [
      'an anchor',
      `stringData: {password: &${canary} x}`,
      'fleet.yaml:4:33: stringData.password: must not have an anchor (&); remove it, or quote the value',
    ],
    [
      'a tag',
      `stringData: {password: !${canary} x}`,
      'fleet.yaml:4:33: stringData.password: must not have a tag (!); remove it, or quote the value',
    ],
    [
      'a password in the place of a key',
      `stringData: {${canary}}`,
      'fleet.yaml:4:14: stringData: must be a string',
    ],
    [
      'a password in the place of a field',
      `${canary}: x`,
      'fleet.yaml:4:1: has a field that is not one of apiVersion, kind, metadata, type, immutable, data, stringData',
    ],
    [
      'a password twice',
      `stringData: {${canary}: x, ${canary}: y}`,
      'fleet.yaml:4:26: stringData: is there twice in one map',
    ],
    [
      'a password that is not base64',
      `data: {password: "${canary}!"}`,
      'fleet.yaml:4:18: data.password: must be base64; plain text belongs under stringData',
    ],
    ['a list of passwords', `data: [${canary}]`, 'fleet.yaml:4:1: data: must be a map of strings'],
    [
      'an entry that is a path',
      `stringData: {"../${canary}": x}`,
      'fleet.yaml:4:28: stringData: has an entry whose name is not allowed',
    ],
    [
      'a password that YAML cannot begin with',
      `stringData: {password: \`${canary}}`,
      'fleet.yaml:4:24: a value cannot begin with this character; quote it',
    ],
    [
      'a password with an unknown escape',
      `stringData: {password: "\\y${canary}"}`,
      'fleet.yaml:4:25: a backslash in double quotes begins no known escape',
    ],
  ])('refused for %s shows nothing of itself', (_, rest, expected) => {
    const parsed = parseFile(secret(rest))
    expect(said(parsed)[0]).toBe(expected)
    expect(JSON.stringify(parsed)).not.toContain(canary)
  })
})

describe('hostile text', () => {
  it.each([
    ['lists in one line', '['.repeat(20_000)],
    ['maps in one line', '{a: '.repeat(10_000)],
    ['lists in blocks', '- '.repeat(20_000)],
    ['sixty-five maps in a manifest', category(`${'{a: '.repeat(65)}x${'}'.repeat(65)}`)],
  ])('of %s is too deep', (_, text) => {
    expect(parseFile(text).problems.map(({ reason }) => reason)).toEqual(['TooDeep'])
  })

  it('of aliases that multiply is refused where they stand', () => {
    const lines = Array.from(
      { length: 30 },
      (_, index) => `a${index + 1}: &a${index + 1} [*a${index}, *a${index}]`,
    )
    const parsed = parseFile(
      `apiVersion: reflash.dev/v1alpha1\nkind: Category\nmetadata: {name: x}\na0: &a0 [x]\n${lines.join('\n')}\n`,
    )
    expect(said(parsed)[0]).toBe(
      'fleet.yaml:4:9: a0: must not have an anchor (&); remove it, or quote the value',
    )
    expect(parsed.items).toEqual([])
  })

  it('that is not UTF-8 is refused', async () => {
    const parsed = await parseContent(Buffer.from([0x61, 0x3a, 0xff]), systemClock)
    expect(said(parsed)).toEqual(['fleet.yaml:1:1: is not UTF-8 text'])
  })

  it('of any kind is never thrown at', () => {
    const piece = fc.constantFrom(
      ...Array.from('{}[]:,-?&*!|>\'"%@`#\n\t \\'),
      'a',
      '---\n',
      'apiVersion: reflash.dev/v1alpha1\n',
      'kind: Device\n',
      'metadata: {name: x}\n',
      'apiVersion: v1\nkind: Secret\n',
      'stringData: ',
      '\u0000',
      '\uD800',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const parsed = parseFile(pieces.join(''))
        expect(parsed.incomplete === undefined || parsed.problems.length > 0).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a large file', () => {
  const large = Array.from({ length: 600 }, (_, index) => deviceText(`d${index}`)).join('---\n')

  it('is parsed in a thread of its own, to the same result', async () => {
    expect(Buffer.byteLength(large)).toBeGreaterThan(64 * 1024)
    expect(await parseContent(Buffer.from(large), systemClock)).toEqual(parseFile(large))
  })

  it('that takes too long is given up', async () => {
    const parsed = await parseContent(Buffer.from(large), createFastClock(1e6))
    expect(said(parsed)).toEqual(['fleet.yaml:1:1: took longer than 10 s to parse'])
    expect(parsed.incomplete).toBeDefined()
  })

  it('is left at once when nobody wants it any more', async () => {
    const stop = new AbortController()
    const parsing = parseContent(Buffer.from(large), systemClock, stop.signal)
    stop.abort(new Error('enough'))
    await expect(parsing).rejects.toThrow('enough')
  })

  it('of nothing but brackets is refused, and the program lives', async () => {
    const parsed = await parseContent(Buffer.alloc(1024 * 1024, '['), systemClock)
    expect(said(parsed)).toEqual(['fleet.yaml:1:65: must not be nested deeper than 64'])
    expect(parsed.incomplete).toBeDefined()
  })

  it('of nothing but words is refused, whatever limit of memory it would meet', async () => {
    const parsed = await parseContent(Buffer.from(`[${'a,'.repeat(500_000)}]`), systemClock)
    expect(said(parsed)).toEqual([
      'fleet.yaml:1:66668: must not have more than 100000 words and signs in one document',
    ])
  })

  it('is parsed by the built program as well', async () => {
    const repository = fileURLToPath(new URL('../../', import.meta.url))
    const folder = await mkdtemp(join(tmpdir(), 'reflash-built-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await symlink(join(repository, 'node_modules'), join(folder, 'node_modules'))
    const tsc = join(repository, 'node_modules/.bin/tsc')
    const options = [
      '-p',
      join(repository, 'tsconfig.build.json'),
      '--declaration',
      'false',
      '--noCheck',
      '--outDir',
      join(folder, 'dist'),
    ]
    execFileSync(tsc, options, { cwd: repository })
    const { parseContent: built } = (await import(
      pathToFileURL(join(folder, 'dist/adapters/files/parse-content.js')).href
    )) as {
      parseContent: typeof parseContent
    }
    expect((await built(Buffer.from(large), systemClock)).items).toHaveLength(600)
  })
})

/**
 * What is promised about a file that is cut off: it may well be valid, and then has the defaults for what is lost. It is
 * never less strict than both the defaults and what the whole text says. That half a file is not acted upon at all is
 * the promise of the directory, which takes only what two equal looks saw: see directory-source.test.ts.
 */
it('a policy cut at any byte has no limit beyond its own and the defaults', () => {
  const text = `${policyHead}  limits:\n    maxConcurrent: 25\n    startsPerMinute: 3\n  state: Pause\n`
  let accepted = 0
  for (let length = 0; length <= text.length; length += 1) {
    const cut = text.slice(0, length)
    for (const { manifest } of parseFile(cut).items) {
      accepted += 1
      const { limits } = (manifest as Manifest<'UpgradePolicy'>).spec
      const declares = (field: string): boolean => new RegExp(`${field}: \\d`).test(cut)
      if (declares('maxConcurrent')) expect([2, 25]).toContain(limits.maxConcurrent)
      else expect(limits.maxConcurrent).toBe(10)
      if (declares('startsPerMinute')) expect(limits.startsPerMinute).toBe(3)
      else expect(limits.startsPerMinute).toBe(6)
    }
  }
  expect(accepted).toBeGreaterThan(10)
})
