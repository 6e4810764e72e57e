import { apiRoutes, paths, type ApiRoute } from './api-routes.ts'
import { apiSchemas } from './api-schemas.ts'
import { limits } from './limits.ts'

/** What every route has in common, for whoever reads the document, the page or docs/api.md. */
export const apiRules = [
  'The API is read only: every method but GET and HEAD is answered with 405. To change something, edit the manifests.',
  'On loopback nobody is asked who they are. With `--token-file` each request but the bare probes needs `Authorization: Bearer TOKEN`, and the token the scope that is named at the route; 401 says that there is none or a wrong one, 403 that it may not, 429 that too many wrong ones came from that address.',
  'A token that is bound to namespaces sees those, and numbers of those. Without the scope `inventory:sensitive`, addresses, host keys and identities are left out.',
  'In a cluster (`reflash controller`) the token is that of an account, made for the audience `reflash` or for the API server; TokenReview says whose it is, and SubjectAccessReview whether they may read that: objects with the verb and the kind that Kubernetes would ask for, and these routes with what is named at each, in the namespace that is asked for or in all. Addresses, host keys and identities are left out for those who may not `get` the virtual subresource `devices/sensitive`. A yes is kept for 10 s, a no for 2 s; while the API server cannot be asked, the answer is 503.',
  'Errors of these routes are `application/problem+json`. What is refused before any route is asked (method, URL, token) is a Kubernetes Status object.',
  `Of a request ${limits.urlCharacters} characters of URL and ${limits.headerFields} header fields of ${limits.headerBytes / 1024} KiB together are taken, of its query ${limits.queryParameters} parameters and ${limits.selectorTerms} terms in a selector; a page has ${limits.page} objects at most. How many connections and watches there may be is said by \`--max-connections\` and \`--max-watches\`: beyond them connections are closed, and watches and logs answered with 429.`,
  `A watch ends after ${limits.watchMs / 60_000} minutes, and a client begins it again where it ended. One that is read, and a log that is followed, takes less than 100 KiB of memory; one whose reader takes nothing less than 400 KiB, and it is cut off after ${limits.drainMs / 1000} s.`,
  'Objects are read in the shape of Kubernetes at `/apis/reflash.dev/v1alpha1` and `/api/v1`, with kubectl or any client of it; their document is at `/openapi/v3`.',
] as const

/** A path as OpenAPI writes it. */
export const openApiPath = (path: string): string => path.replaceAll(/:(\w+)/g, '{$1}')

/** The OpenAPI 3.1 document of our own routes. */
export function openApiDocument(version: string): Record<string, unknown> {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Reflash',
      version,
      description: apiRules.join('\n\n'),
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths: Object.fromEntries(
      apiRoutes.map((route) => [openApiPath(paths[route.id]), { get: operationOf(route) }]),
    ),
    components: {
      schemas: apiSchemas,
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A token that `reflash token` has made.' },
      },
    },
  }
}

function operationOf(route: ApiRoute): Record<string, unknown> {
  return {
    operationId: route.id,
    summary: route.summary,
    description: `${route.description} ${neededFor(route)}`,
    security: route.scope === 'none' ? [] : [{ token: [route.scope] }],
    parameters: route.parameters,
    responses: Object.fromEntries(
      route.answers.map(({ status, description, content }) => [
        String(status),
        {
          description,
          ...(content
            ? {
                content: Object.fromEntries(
                  Object.entries(content).map(([type, schema]) => [type, { schema }]),
                ),
              }
            : {}),
        },
      ]),
    ),
  }
}

/** What somebody needs for a route, in words. */
export function neededFor({ id, scope, rights }: ApiRoute): string {
  if (scope === 'none') return 'Answered without a token.'
  const inCluster =
    rights.length === 0
      ? [`\`get\` of the path \`${paths[id]}\``]
      : rights.map(({ verb, resource }) => `\`${verb}\` of \`${resource}\``)
  return `Needs the scope \`${scope}\`; in a cluster ${inCluster.join(', ')}.`
}
