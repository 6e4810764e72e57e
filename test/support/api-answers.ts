import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect } from 'vitest'
import { apiSchemas, type ApiSchema, type SchemaName } from '../../src/server/api-schemas.ts'

/** The schema with every object closed: an answer may hold nothing that the document does not describe. */
function closed(schema: ApiSchema): ApiSchema {
  const { properties, items, oneOf } = schema
  return {
    ...schema,
    ...(properties
      ? {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, field]) => [name, closed(field)]),
          ),
          additionalProperties: false,
        }
      : {}),
    ...(items ? { items: closed(items) } : {}),
    ...(oneOf ? { oneOf: oneOf.map(closed) } : {}),
  }
}

const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
ajv.addSchema({
  $id: 'http://reflash.test/',
  components: {
    schemas: Object.fromEntries(Object.entries(apiSchemas).map(([name, schema]) => [name, closed(schema)])),
  },
})

/** Holds a real answer to what the API's document says of it. */
export function expectToFit(name: SchemaName, answer: unknown): void {
  const validate = ajv.getSchema(`http://reflash.test/#/components/schemas/${name}`)!
  void validate(answer)
  expect(validate.errors ?? []).toEqual([])
}
