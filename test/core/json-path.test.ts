import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hasCode } from '../../src/core/errors.ts'
import { compilePath, compileTemplate } from '../../src/core/json-path.ts'

const list = {
  kind: 'List',
  items: [
    {
      metadata: { name: 'ap-1', labels: { 'app.kubernetes.io/name': 'x' } },
      spec: { addresses: ['192.0.2.1', '192.0.2.2', '192.0.2.3'], port: 22 },
      status: {
        conditions: [
          { type: 'Ready', status: 'True', at: 3 },
          { type: 'Stalled', status: 'False', at: 5, note: null },
        ],
      },
    },
    { metadata: { name: 'ap-2' }, spec: { addresses: [], port: 2222 }, status: {} },
  ],
}

const rejection = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (hasCode(error, 'Invalid', 'TooLarge')) return error.message
    throw error
  }
  return 'accepted'
}

describe('a path', () => {
  test.each<[string, unknown[]]>([
    ['.kind', ['List']],
    ['kind', ['List']],
    ['{.kind}', ['List']],
    ['$.kind', ['List']],
    ['{ $.kind }', ['List']],
    ['.items[*].metadata.name', ['ap-1', 'ap-2']],
    ['.items.*.metadata.name', ['ap-1', 'ap-2']],
    ['.items[0].metadata.name', ['ap-1']],
    ['.items[-1].metadata.name', ['ap-2']],
    ['.items[7].metadata.name', []],
    ['.items[-7].metadata.name', []],
    ['.items[0].spec.addresses[1:]', ['192.0.2.2', '192.0.2.3']],
    ['.items[0].spec.addresses[:-1]', ['192.0.2.1', '192.0.2.2']],
    ['.items[0].spec.addresses[0:3:2]', ['192.0.2.1', '192.0.2.3']],
    ['.items[0].spec.addresses[0,2]', ['192.0.2.1', '192.0.2.3']],
    [`.items[0].spec['port', "addresses"][1]`, ['192.0.2.2']],
    [`.items[0].metadata.labels['app.kubernetes.io/name']`, ['x']],
    [String.raw`.items[0].metadata.labels.app\.kubernetes\.io/name`, ['x']],
    [`['kind']`, ['List']],
    [`.['kind']`, ['List']],
    ['..name', ['ap-1', 'ap-2']],
    ['..addresses[0]', ['192.0.2.1']],
    ['.items[*].status.conditions[?(@.type=="Ready")].status', ['True']],
    [`.items[*].status.conditions[?( @.type == 'Ready' )].status`, ['True']],
    ['.items[?(@.spec.port>100)].metadata.name', ['ap-2']],
    ['.items[?(@.spec.port<=22)].metadata.name', ['ap-1']],
    ['.items[?(@.spec.port==+0022)].metadata.name', ['ap-1']],
    ['.items[?(@.spec.port==true)].metadata.name', []],
    ['.items[?(@.spec.port!=22)].metadata.name', ['ap-2']],
    ['.items[?(@.spec.port=="22")].metadata.name', []],
    ['.items[?(@.metadata.name>="ap-2")].metadata.name', ['ap-2']],
    ['.items[?(@.metadata.labels)].metadata.name', ['ap-1']],
    ['.items[?(@.status.conditions[?(@.at<4)])].metadata.name', ['ap-1']],
    ['.items[0].status.conditions[?(@.note==null)].type', ['Stalled']],
    ['.items[0].status.conditions[?(@.at==@.at)].at', [3, 5]],
    ['.kind.constructor', []],
    ['.constructor', []],
    ['.__proto__', []],
    ['.kind[0]', []],
    ['.', [list]],
    ['', [list]],
  ])('%s', (path, found) => expect(compilePath(path)(list)).toEqual(found))
})

test('a filter that has found nothing is empty, and not missing', () => {
  const exists = compilePath('.items[?(@.status.conditions[0])].metadata.name')
  expect(exists(list)).toEqual(['ap-1'])
})

describe('a template', () => {
  test.each<[string, string]>([
    ['{.items[*].metadata.name}', 'ap-1 ap-2'],
    ['kinds: {.kind}!', 'kinds: List!'],
    ['{range .items[*]}{.metadata.name}{"\\t"}{.spec.port}{"\\n"}{end}', 'ap-1\t22\nap-2\t2222\n'],
    ['{range .items[*]}{range .spec.addresses[*]}<{@}>{end};{end}.', '<192.0.2.1><192.0.2.2><192.0.2.3>;;.'],
    ['{range .items[*]}{.metadata.name},', 'ap-1,ap-2,'],
    ['{.items[1].status}', '{}'],
    ['{.items[0].status.conditions[*].note}', 'null'],
    ['{.items[0].spec.addresses}', '["192.0.2.1","192.0.2.2","192.0.2.3"]'],
    ['{.nothing}', ''],
    ['{range .nothing[*]}x{end}', ''],
    ['{"\\"}"}', '"}'],
    ['', ''],
  ])('%s', (template, text) => expect(compileTemplate(template)(list)).toBe(text))
})

test.each<[string, RegExp]>([
  ['{.a', /expected \} at character 4/],
  ['{.a[}', /expected an index, a quoted field or \* at character 5/],
  ['{.a[1}', /expected \] at character 6/],
  ['{.a[?(@.b=="c]}', /a quoted text without its end at character 12/],
  ['{.a[?(b)]}', /expected @, a number or a quoted text at character 7/],
  ['{.a[0:3:0]}', /a step must be above 0 at character 8/],
  ['{end}', /\{end\} without a \{range\} at character 1/],
  ['{.a b}', /expected \} at character 5/],
  [`{'it''s'}`, /expected \} at character 6/],
  ['{....a}', /expected a field at character 4/],
  ['{range .a}'.repeat(20), /nested too deep/],
  [`{${'[?(@'.repeat(20)}}`, /nested too deep/],
  [`{.a[${'9'.repeat(12)}]}`, /expected an index/],
  [`{.${'a'.repeat(5000)}}`, /longer than 4096 characters/],
])('%j is refused at its place', (template, message) =>
  expect(rejection(() => compileTemplate(template))).toMatch(message),
)

test('what would grow without bound is refused', () => {
  let deep: unknown = []
  for (let depth = 0; depth < 5000; depth += 1) deep = [deep]
  expect(rejection(() => compilePath('..x')(deep))).toMatch(/nested deeper/)
  const wide = Array.from({ length: 300 }, () => Array.from({ length: 300 }, () => 'x'.repeat(100)))
  const nested = '{range $[*]}{range @[*]}{@}{@}{@}{@}{@}{@}{@}{@}{end}{end}'
  expect(rejection(() => compileTemplate(nested)(wide))).toMatch(/the output is longer/)
  const tree = (levels: number): unknown => (levels === 0 ? 1 : Array(2).fill(tree(levels - 1)))
  expect(rejection(() => compilePath('..[*]'.repeat(8))(tree(16)))).toMatch(/too many values/)
})

test('any text is read or refused, and any data is taken', () => {
  const pieces = fc.constantFrom(
    ...'{ } . .. [ ] ?( ) @ $ * " \' \\ : - = == < range end a b 0 1 ,'.split(' '),
    ' ',
    '\n',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 14 }), fc.jsonValue({ maxDepth: 4 }), (texts, data) => {
      const text = texts.join('')
      const message = rejection(() => {
        compileTemplate(text)(data)
        compilePath(text)(data)
      })
      expect(message === 'accepted' || message.startsWith('JSONPath: ')).toBe(true)
    }),
    { numRuns: 3000 },
  )
})

test('a field found by name is the field', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.integer(), { minKeys: 1 }), (data) => {
      for (const [name, value] of Object.entries(data)) {
        const quoted = name.replaceAll('\\', '\\\\').replaceAll("'", "\\'")
        if (name.length < 100) expect(compilePath(`['${quoted}']`)(data)).toEqual([value])
      }
    }),
  )
})
