/** What there is: groups, versions, kinds and their fields, as Kubernetes clients ask for it. */
import { Hono } from 'hono'
import { parseAccept } from 'hono/utils/accept'
import type { ResourceInfo } from './collection.ts'
import { hasAlready, tagOf } from './entity-tag.ts'
import { groupVersionPath, gvkOf, hasStatus, openApiDocuments } from './openapi-v3.ts'
import { statusError, statusResponse } from './status-error.ts'

/** A body that never changes while the program runs. */
interface FixedText {
  text: string
  contentType: string
  /** Entity tag, in its quotes. */
  tag: string
}

/** The same content in several forms; the plain one is for who asks for none in particular. */
interface Forms {
  plain: FixedText
  /** By version of the form. */
  aggregated: ReadonlyMap<string, FixedText>
}

const aggregatedGroup = 'apidiscovery.k8s.io'
const aggregatedKind = 'APIGroupDiscoveryList'
const aggregatedVersions = ['v2', 'v2beta1']

const verbs = ['get', 'list', 'watch']
/** What a client may keep but has to ask about each time. */
const askAgain = 'no-cache, private'
const aYear = 'public, max-age=31536000, immutable'

/**
 * `/api`, `/apis`, `/version`, `/openapi/v3` and what lies below them up to the kinds, whose objects are not served here.
 * `version` is that of the program. All of it is made once.
 */
export function discoveryRoutes(infos: readonly ResourceInfo[], { version }: { version: string }): Hono {
  const app = new Hono()
  const serve = (path: string, body: unknown): void => {
    const fixed = fixedJson(body)
    app.get(path, (context) => answer(context.req.raw, fixed))
  }
  const serveForms = (path: string, forms: Forms): void => {
    app.get(path, ({ req }) => {
      const fixed = negotiate(req.header('Accept') ?? '*/*', forms)
      return fixed ? answer(req.raw, fixed, { Vary: 'Accept' }) : notAcceptable()
    })
  }
  const core = infos.filter(({ group }) => group === '')
  const others = infos.filter(({ group }) => group !== '')
  const groups = Map.groupBy(others, ({ group }) => group)

  serveForms(
    '/api',
    formsOf(
      apiVersions(core),
      Map.groupBy(core, ({ group }) => group),
    ),
  )
  serveForms('/apis', formsOf(apiGroupList(groups), groups))
  for (const [group, members] of groups) {
    serve(`/apis/${group}`, { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(group, members) })
  }
  for (const [path, members] of Map.groupBy(infos, groupVersionPath)) {
    serve(`/${path}`, apiResourceList(members))
  }
  serve('/version', serverVersion(version))
  serveOpenApi(app, openApiDocuments(infos, version))
  return app
}

/** The answer to a path that leads nowhere: a Status where Kubernetes clients look, text elsewhere. */
export function pathNotFound(path: string): Response {
  if (/^\/apis?(\/|$)/.test(path)) {
    return statusResponse(statusError(404, 'NotFound', 'the server could not find the requested resource'))
  }
  return new Response('404 page not found\n', {
    status: 404,
    headers: { 'Content-Type': 'text/plain; charset=utf-8' },
  })
}

const fixedJson = (body: unknown, contentType = 'application/json'): FixedText => {
  const text = `${JSON.stringify(body)}\n`
  return { text, contentType, tag: tagOf(text) }
}

function answer(request: Request, fixed: FixedText, more: Record<string, string> = {}): Response {
  const { text, contentType, tag } = fixed
  const headers = { 'Cache-Control': askAgain, ETag: tag, ...more }
  return hasAlready(request, tag)
    ? new Response(null, { status: 304, headers })
    : new Response(text, { headers: { ...headers, 'Content-Type': contentType } })
}

const notAcceptable = (): Response =>
  statusResponse(
    statusError(406, 'NotAcceptable', 'only application/json can be written here: ask for it, or for */*'),
  )

const jsonTypes = new Set(['application/json', 'application/*', '*/*'])

/** The form that is wanted most among those that there are. */
function negotiate(accept: string, { plain, aggregated }: Forms): FixedText | undefined {
  for (const { type, params, q } of parseAccept(accept)) {
    if (!jsonTypes.has(type.toLowerCase()) || q === 0) continue
    if (params['as'] === undefined) return plain
    if (params['as'] !== aggregatedKind || params['g'] !== aggregatedGroup) continue
    const form = aggregated.get(params['v'] ?? '')
    if (form) return form
  }
  return undefined
}

type Groups = ReadonlyMap<string, readonly ResourceInfo[]>

function formsOf(plain: unknown, groups: Groups): Forms {
  const aggregated = aggregatedVersions.map((version): [string, FixedText] => {
    const contentType = `application/json;g=${aggregatedGroup};v=${version};as=${aggregatedKind}`
    return [version, fixedJson(aggregatedList(version, groups), contentType)]
  })
  return { plain: fixedJson(plain), aggregated: new Map(aggregated) }
}

const versionsOf = (infos: readonly ResourceInfo[]): [string, readonly ResourceInfo[]][] =>
  Array.from(Map.groupBy(infos, ({ version }) => version))

const apiVersions = (core: readonly ResourceInfo[]): object => ({
  kind: 'APIVersions',
  versions: versionsOf(core).map(([version]) => version),
  serverAddressByClientCIDRs: [],
})

const apiGroupList = (groups: Groups): object => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: Array.from(groups, ([group, infos]) => apiGroup(group, infos)),
})

function apiGroup(name: string, infos: readonly ResourceInfo[]): object {
  const versions = versionsOf(infos).map(([version]) => ({ groupVersion: `${name}/${version}`, version }))
  return { name, versions, preferredVersion: versions[0] }
}

function apiResourceList(infos: readonly ResourceInfo[]): object {
  const { group, version } = infos[0]!
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: infos.flatMap((info) => {
      const { plural, singular, namespaced, kind, shortNames, categories } = info
      const one = { name: plural, singularName: singular, namespaced, kind, verbs, shortNames, categories }
      const status = { name: `${plural}/status`, singularName: '', namespaced, kind, verbs: ['get'] }
      return hasStatus(info) ? [one, status] : [one]
    }),
  }
}

/** Everything in one answer, so that a client needs two requests and not one for each group. */
const aggregatedList = (version: string, groups: Groups): object => ({
  kind: aggregatedKind,
  apiVersion: `${aggregatedGroup}/${version}`,
  metadata: {},
  items: Array.from(groups, ([name, infos]) => ({
    metadata: { name, creationTimestamp: null },
    versions: versionsOf(infos).map(([of, members]) => ({
      version: of,
      resources: members.map(aggregatedResource),
      freshness: 'Current',
    })),
  })),
})

function aggregatedResource(info: ResourceInfo): object {
  const { plural, singular, namespaced, shortNames, categories } = info
  const responseKind = gvkOf(info)
  return {
    resource: plural,
    responseKind,
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs,
    shortNames,
    categories,
    ...(hasStatus(info) ? { subresources: [{ subresource: 'status', responseKind, verbs: ['get'] }] } : {}),
  }
}

/**
 * kubectl reads a version of Kubernetes here, and warns where its own is more than one minor away: this is the one whose
 * API is followed. What comes after the plus is ours.
 */
const followed = { major: '1', minor: '36' }

const serverVersion = (version: string): object => ({
  ...followed,
  gitVersion: `v${followed.major}.${followed.minor}.0+reflash-${version.replaceAll(/[^\w.-]|_/g, '-')}`,
  gitCommit: '',
  gitTreeState: '',
  buildDate: '',
  goVersion: '',
  compiler: '',
  platform: '',
})

/** The hash in the address lets a client keep a document as long as it likes. */
function serveOpenApi(app: Hono, documents: ReadonlyMap<string, unknown>): void {
  const fixed = new Map(Array.from(documents, ([path, document]) => [path, fixedJson(document)]))
  const hashOf = ({ tag }: FixedText): string => tag.slice(1, -1)
  const urlOf = (path: string): string => `/openapi/v3/${path}?hash=${hashOf(fixed.get(path)!)}`
  const index = fixedJson({
    paths: Object.fromEntries(Array.from(fixed.keys(), (path) => [path, { serverRelativeURL: urlOf(path) }])),
  })
  app.get('/openapi/v3', (context) => answer(context.req.raw, index))
  for (const [path, document] of fixed) {
    app.get(`/openapi/v3/${path}`, ({ req, redirect }) => {
      const hash = req.query('hash')
      if (hash === undefined) return answer(req.raw, document)
      return hash === hashOf(document)
        ? answer(req.raw, document, { 'Cache-Control': aYear })
        : redirect(urlOf(path), 301)
    })
  }
}
