import { apiRoutes, paths, type ApiRoute } from '../../src/server/api-routes.ts'
import { apiSchemas } from '../../src/server/api-schemas.ts'
import { apiRules, neededFor, openApiPath } from '../../src/server/openapi.ts'
import { fieldsOf, typeOf } from '../../src/server/schema-fields.ts'
import { code, table } from './markdown.ts'

const routeSection = (route: ApiRoute): string => {
  const { id, summary, description, parameters, answers, example } = route
  const parts = [
    `### ${summary}`,
    code(`GET ${openApiPath(paths[id])}`),
    `${description} ${neededFor(route)}`,
    `\`\`\`sh\ncurl ${example}\n\`\`\``,
    parameters.length === 0
      ? []
      : table(
          ['parameter', 'in', 'type', 'meaning'],
          parameters.map((parameter) => [
            code(parameter.name),
            parameter.in,
            typeOf(parameter.schema),
            parameter.description,
          ]),
        ),
    table(
      ['answer', 'meaning', 'content'],
      answers.map((answer) => [
        String(answer.status),
        answer.description,
        Object.entries(answer.content ?? {})
          .map(([type, schema]) =>
            schema.$ref ? `${type}: [${typeOf(schema)}](#${typeOf(schema).toLowerCase()})` : type,
          )
          .join(', '),
      ]),
    ),
  ]
  return parts.flat().join('\n\n')
}

const schemaSection = ([name, schema]: [string, Parameters<typeof fieldsOf>[0]]): string =>
  `### ${name}\n\n${table(
    ['field', 'type', 'meaning'],
    fieldsOf(schema).map(({ path, type, isOptional, description }) => [
      code(path),
      isOptional ? `${type}, may be absent` : type,
      description,
    ]),
  )}`

/** docs/api.md, from the table that also gives /openapi.json and /docs. */
export const apiPage = `# HTTP API

Generated from \`src/server/api-routes.ts\` and \`src/server/api-schemas.ts\` by \`npm run generate\`. A running Reflash
shows the same at \`/docs\`, and as OpenAPI 3.1 at \`/openapi.json\`.

${apiRules.map((rule) => `- ${rule}`).join('\n')}

## Routes

${apiRoutes.map(routeSection).join('\n\n')}

## Answers

${Object.entries(apiSchemas).map(schemaSection).join('\n\n')}
`
