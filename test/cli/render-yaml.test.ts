import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { toYaml } from '../../src/cli/render-yaml.ts'

const words = [
  '',
  ' ',
  'yes',
  'No',
  'null',
  '~',
  '1',
  '0x1f',
  '1e3',
  'e0',
  'E-1',
  '.5',
  '-',
  '- a',
  'a: b',
  'a #b',
  '#',
  '&a',
  '*a',
]
/** Near to what is written without quotes. */
const nearly = fc.stringMatching(/^[a-eyYnN0-9 ._/+,;()=:#~-]{0,8}$/)
const texts = fc.oneof(
  nearly,
  fc.string({ unit: 'binary' }),
  fc.constantFrom(...words, '2026-01-01', '12:30', '=', '<<', '|', '>'),
)

/** Any JSON value, with keys that mean something to YAML. */
const { value: values } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    texts,
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      texts.filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
}))

describe('YAML', () => {
  test.each([['1.2'], ['1.1']] as const)('says what the JSON says, to readers of YAML %s', (version) => {
    fc.assert(
      fc.property(values, (value) => {
        // Merge keys are an extension of YAML 1.1 that turns "<<" into something else, quoted or not.
        const options = { version, merge: false, uniqueKeys: true } as const
        expect(parse(toYaml(value), options)).toEqual(value)
      }),
      { numRuns: 1000 },
    )
  })

  test('is what people write', () => {
    const value = {
      apiVersion: 'reflash.dev/v1alpha1',
      spec: { addresses: ['10.0.0.1', 'ap-1.example'], port: 22, recheck: '10m', hold: {}, list: [] },
      status: { conditions: [{ type: 'Ready', status: 'True', message: 'on: target' }] },
    }
    expect(toYaml(value)).toBe(`apiVersion: reflash.dev/v1alpha1
spec:
  addresses:
  - 10.0.0.1
  - ap-1.example
  port: 22
  recheck: 10m
  hold: {}
  list: []
status:
  conditions:
  - type: Ready
    status: "True"
    message: "on: target"
`)
  })

  test('holds nothing that a terminal would obey', () => {
    const text = toYaml({ '\u001b[2J': 'a\u202e\u0007\u009b\u{e0001}b' })
    expect(text).toBe('"\\u001b[2J": "a\\u202e\\u0007\\u009b\\U000e0001b"\n')
  })
})
