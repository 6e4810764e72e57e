import type { Path } from '../../src/api/problem.ts'
import type { Schema } from '../../src/api/schema.ts'

const words = [
  '',
  'a',
  'A',
  'a.b',
  'a..b',
  'a/b',
  'a b',
  'a-',
  'a\n',
  'a\r',
  'é',
  '10',
  '10s',
  '1.5h',
  '::1',
  'Run',
  'ssh-ed25519 AAAA',
  'ssh-ed25519 AAAA \u2028\t',
  'https://a',
  '2026-11-23T18:00:00.5Z',
  '2026-11-23t18:00:00z',
  '2026-02-30T18:00:00Z',
  '2026-11-23T18:00:00ZT18:00:00Z',
  'a'.repeat(64),
  'a'.repeat(255),
  'a'.repeat(2049),
]
const numbers = [0, 1, -1, 1.5, 101, 65_536, 1_000_000_001, 2 ** 53, 2 ** 63, 1e300]
const others = [true, false, [], ['a'], [['a']], {}, { name: 'a' }]

/** What stands for a field that is taken away. */
const nothing = undefined

function valuesFor({ type }: Schema): unknown[] {
  if (type === 'string') return [...words, 1, ...others]
  if (type === 'integer') return [...numbers, 'a', '1', ...others]
  return ['', 'a', 0, 1, ...others]
}

interface Changed {
  path: Path
  value: unknown
  spec: unknown
}

/**
 * Copies of a spec in which one field, entry or value is taken away or another one: each in turn, for many odd values,
 * which of fields with the same schema only the first gets.
 */
export function changedFields(spec: unknown, schema: Schema): Changed[] {
  const seen = new Set<string>()
  return places(spec, schema, []).flatMap(({ path, schema: its }) => {
    const key = JSON.stringify({ ...its, description: nothing, default: nothing })
    const values = seen.has(key) ? [nothing] : [nothing, ...valuesFor(its)]
    seen.add(key)
    return values.map((value) => ({ path, value, spec: changed(spec, path, value) }))
  })
}

interface Field {
  path: Path
  schema: Schema
}

/** The fields of a schema that are there or could be; of a list and of a map the first entry. */
function places(value: unknown, schema: Schema, path: Path): Field[] {
  const below = (part: string | number, its: Schema): Field[] => {
    const there = (value as Record<string | number, unknown> | undefined)?.[part]
    const here = [...path, part]
    return [{ path: here, schema: its }, ...(there === undefined ? [] : places(there, its, here))]
  }
  if (schema.properties) return Object.entries(schema.properties).flatMap(([name, its]) => below(name, its))
  if (schema.items) return below(0, schema.items)
  const [key] = schema.additionalProperties ? Object.keys(value as object) : []
  return key === undefined ? [] : below(key, schema.additionalProperties as Schema)
}

function changed(at: unknown, [part, ...rest]: Path, value: unknown): unknown {
  if (part === undefined) return value
  const below = changed((at as Record<string | number, unknown>)[part], rest, value)
  if (Array.isArray(at)) return at.with(part as number, below).filter((item) => item !== nothing)
  const fields = Object.entries({ ...(at as object), [part]: below })
  return Object.fromEntries(fields.filter(([, field]) => field !== nothing))
}
