import { apiVersion, type KindInfo, type Schema } from './schema.ts'

/** Closes every object, since an unknown field in a file is an error. */
function strict(schema: Schema): Schema {
  const copy: Schema = { ...schema }
  if (schema.properties) {
    copy.additionalProperties = false
    copy.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, property]) => [name, strict(property)]),
    )
  }
  if (schema.items) copy.items = strict(schema.items)
  for (const key of Object.keys(copy)) {
    if (key.startsWith('x-kubernetes-')) delete copy[key as `x-kubernetes-${string}`]
  }
  return copy
}

const stringMap = { type: 'object', additionalProperties: { type: 'string' } }

/** One JSON Schema for editors: a manifest of any kind, chosen by its `kind`. */
export function editorSchema(kinds: readonly KindInfo[]): Record<string, unknown> {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Reflash manifests',
    type: 'object',
    required: ['apiVersion', 'kind', 'metadata'],
    properties: { kind: { enum: kinds.map((info) => info.kind) } },
    // Each kind allows only its own manifests, so an editor needs no condition to choose.
    oneOf: kinds.map((info) => ({ $ref: `#/definitions/${info.kind}` })),
    definitions: Object.fromEntries(
      kinds.map((info) => [
        info.kind,
        {
          type: 'object',
          description: info.description,
          additionalProperties: false,
          required: ['apiVersion', 'kind', 'metadata', ...(info.spec.default === undefined ? ['spec'] : [])],
          properties: {
            apiVersion: { const: apiVersion },
            kind: { const: info.kind },
            metadata: {
              type: 'object',
              required: ['name'],
              properties: {
                name: { type: 'string', maxLength: 253 },
                namespace: { type: 'string', maxLength: 63 },
                labels: stringMap,
                annotations: stringMap,
              },
            },
            spec: strict(info.spec),
          },
        },
      ]),
    ),
  }
}
