import { schemaNameOf, type ApiSchema } from './api-schemas.ts'

/** One field of a schema, as a person reads it. */
export interface SchemaField {
  /** From the root of the answer, such as `policies[].name`. */
  path: string
  type: string
  isOptional: boolean
  description: string
}

/** Every field below a schema, outermost first; another named schema is named, and not opened. */
export function fieldsOf(schema: ApiSchema, path = ''): SchemaField[] {
  if (schema.oneOf) return mergedFields(schema.oneOf.flatMap((variant) => fieldsOf(variant, path)))
  if (schema.items) return fieldsOf(schema.items, `${path}[]`)
  const required = new Set(schema.required)
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const place = path === '' ? name : `${path}.${name}`
    const own: SchemaField = {
      path: place,
      type: typeOf(field),
      isOptional: schema.required !== undefined && !required.has(name),
      description: field.description ?? '',
    }
    return [own, ...fieldsOf(field, place)]
  })
}

/** What several variants have in common is said once, and a word that tells them apart with all its values. */
function mergedFields(fields: readonly SchemaField[]): SchemaField[] {
  const merged = new Map<string, SchemaField>()
  for (const field of fields) {
    const known = merged.get(field.path)
    const types = known ? new Set([...known.type.split(' or '), field.type]) : [field.type]
    merged.set(field.path, { ...field, type: [...types].join(' or ') })
  }
  return [...merged.values()]
}

/** The type of a schema in a few words. */
export function typeOf(schema: ApiSchema): string {
  if (schema.$ref) return schemaNameOf(schema.$ref)
  if (schema.oneOf) return schema.oneOf.map(typeOf).join(' or ')
  if (schema.const !== undefined) return `"${schema.const}"`
  if (schema.enum)
    return schema.enum.length > 6 ? 'word' : schema.enum.map((word) => `"${String(word)}"`).join(' or ')
  if (schema.items) return `list of ${typeOf(schema.items)}`
  if (schema.additionalProperties) return `${typeOf(schema.additionalProperties)} by name`
  if (schema.format === 'date-time') return 'time'
  if (schema.format === 'binary') return 'bytes'
  return schema.type ?? 'any'
}
