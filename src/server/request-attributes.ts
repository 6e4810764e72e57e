import { group, version } from '../api/schema.ts'
import type { PathAttributes, ResourceAttributes } from '../ports/access-review.ts'
import { apiRoutes, paths, type ObjectRight } from './api-routes.ts'
import { asksToWatch } from './read-options.ts'

/** What a request asks for, in the words of a cluster's authorizers. */
export type Asked =
  | {
      type: 'Objects'
      /** All of them are needed. */
      needs: readonly ResourceAttributes[]
      /** Whose objects the answer tells of; '' for all. */
      namespace: string
      /** Whether the answer may say where a device is, or how it is known. */
      tellsOfDevices: boolean
    }
  /** An image is in no namespace that the request names. */
  | { type: 'Image'; sha256: string }
  | { type: 'Path'; needs: PathAttributes }

/**
 * What has to be allowed for a request, by its path as it was sent. Routes that tell of objects are never judged by their
 * path: `/api/*` is open to everybody whom a cluster knows (its ClusterRole system:discovery).
 */
export function askedBy(url: URL): Asked {
  const { pathname, searchParams } = url
  const object = objectAttributes(url)
  if (object) {
    const tellsOfDevices = object.group === group || object.resource === 'events'
    return { type: 'Objects', needs: [object], namespace: object.namespace, tellsOfDevices }
  }
  const sha256 = imagePath.exec(pathname)?.[1]
  if (sha256 !== undefined) return { type: 'Image', sha256 }
  for (const { pattern, rights } of objectRoutes) {
    const found = pattern.exec(pathname)
    if (!found) continue
    const { namespace = searchParams.get('namespace') ?? '', name } = found.groups ?? {}
    const needs = rights.map((right) => attributesOf(right, { namespace, name }))
    return { type: 'Objects', needs, namespace, tellsOfDevices: true }
  }
  return { type: 'Path', needs: { verb: 'get', path: pathname } }
}

/** Seeing addresses, host keys and identities, and having the images, in a namespace. */
export const sensitiveAttributes = (namespace: string): ResourceAttributes =>
  attributesOf({ verb: 'get', resource: 'devices/sensitive' }, { namespace })

function attributesOf(
  { verb, resource: path }: ObjectRight,
  key: { namespace: string; name?: string | undefined },
): ResourceAttributes {
  const [resource, subresource] = path.split('/') as [string, string?]
  return { verb, group, version, resource, subresource, ...key }
}

/** With `:namespace` and `:name` as groups. */
const patternOf = (path: string): RegExp => new RegExp(`^${path.replaceAll(/:(\w+)/g, '(?<$1>[^/]+)')}$`)
const imagePath = patternOf(paths.image)
const objectRoutes = apiRoutes
  .filter(({ id, rights }) => rights.length > 0 && id !== 'image')
  .map(({ id, rights }) => ({ pattern: patternOf(paths[id]), rights }))

const objectPath = /^\/(?:api\/v1|apis\/(?<group>[^/]+)\/(?<version>[^/]+))\/(?<rest>.+)$/

/** As Kubernetes reads such a path: `[namespaces/NAMESPACE/]RESOURCE[/NAME[/SUBRESOURCE]]`. */
function objectAttributes({ pathname, searchParams }: URL): ResourceAttributes | undefined {
  const found = objectPath.exec(pathname)?.groups
  if (!found) return undefined
  const { group: of = '', version: at = 'v1', rest = '' } = found
  const parts = rest.split('/')
  const [first, second, third] = parts
  // A namespace is in itself, so that a Role in it may allow to read it.
  const isNamespace = first === 'namespaces' && (third === undefined || third === 'status')
  const namespace = first === 'namespaces' ? (second ?? '') : ''
  const [resource = '', name, ...below] = first === 'namespaces' && !isNamespace ? parts.slice(2) : parts
  const verb = name !== undefined ? 'get' : asksToWatch(searchParams) ? 'watch' : 'list'
  const subresource = below.length > 0 ? below.join('/') : undefined
  return { verb, group: of, version: at, resource, subresource, namespace, name }
}
