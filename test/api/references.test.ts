/** What refers to an object names it, and never a namespace: that is the one of who refers. */
import { expect, test } from 'vitest'
import { kinds } from '../../src/api/kinds.ts'
import { formatPath, type Path } from '../../src/api/problem.ts'
import { apiVersion, type Schema } from '../../src/api/schema.ts'
import { acceptManifest } from '../../src/api/validate.ts'
import { referencesElsewhere } from '../cluster/specs.ts'

/** The fields of a schema that refer to objects. */
function references({ properties, items }: Schema, path: Path): { path: Path; schema: Schema }[] {
  const below = Object.entries(properties ?? {}).flatMap(([field, schema]) => {
    const at = [...path, field]
    return field.endsWith('Ref') ? [{ path: at, schema }] : references(schema, at)
  })
  return items ? [...below, ...references(items, path)] : below
}

const inSpec = kinds.flatMap(({ kind, spec }) =>
  references(spec, ['spec']).map((found) => ({ kind, ...found })),
)
const inStatus = kinds.flatMap(({ status }) => references(status, ['status']))

test('every reference is a name and nothing else', () => {
  for (const { path, schema } of [...inSpec, ...inStatus])
    expect(Object.keys(schema.properties ?? {}), formatPath(path)).toEqual(['name'])
  const tried = referencesElsewhere.map(({ kind, path }) => `${kind} ${formatPath(path)}`)
  expect(tried.toSorted()).toEqual(inSpec.map(({ kind, path }) => `${kind} ${formatPath(path)}`).toSorted())
})

test.each(referencesElsewhere)('a $kind with a namespace in $path is refused', ({ kind, path, spec }) => {
  const manifest = { apiVersion, kind, metadata: { name: 'a' }, spec }
  expect(acceptManifest(manifest, { mode: 'file' })).toEqual({
    ok: false,
    problems: [
      expect.objectContaining({
        reason: 'UnknownField',
        path: [...path, 'namespace'],
        message: 'must be left out: objects refer to objects of their own namespace alone',
      }),
    ],
  })
})
