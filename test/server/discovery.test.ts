import { describe, expect, test } from 'vitest'
import { objectSchema } from '../../src/api/crd.ts'
import { kinds } from '../../src/api/kinds.ts'
import type { Schema } from '../../src/api/schema.ts'
import type { ResourceInfo } from '../../src/server/collection.ts'
import { discoveryRoutes, pathNotFound } from '../../src/server/discovery.ts'

const namespaces: ResourceInfo = {
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  singular: 'namespace',
  shortNames: ['ns'],
  categories: [],
  namespaced: false,
  columns: [],
  description: 'Where objects are.',
}
const ours: ResourceInfo[] = kinds.map((info) => ({
  ...info,
  group: 'reflash.dev',
  version: 'v1alpha1',
  categories: ['reflash'],
  namespaced: true,
  schema: objectSchema(info),
}))
const app = discoveryRoutes([namespaces, ...ours], { version: '0.1.0' })

const ask = async (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  app.request(path, { headers })
const json = async <T = Record<string, unknown>>(
  path: string,
  headers?: Record<string, string>,
): Promise<T> => (await (await ask(path, headers)).json()) as T

interface ResourceList {
  groupVersion: string
  resources: { name: string }[]
}
interface Aggregated {
  kind: string
  apiVersion: string
  items: {
    versions: {
      version: string
      freshness: string
      resources: { resource: string; responseKind: { kind: string } }[]
    }[]
  }[]
}
interface Document {
  paths: Record<string, Record<'get' | 'patch', Operation>>
  components: { schemas: Record<string, Schema> }
}
interface Operation {
  responses: object
  parameters: object[]
  'x-kubernetes-group-version-kind': object
}
const readDocument = (path = 'apis/reflash.dev/v1alpha1'): Promise<Document> => json(`/openapi/v3/${path}`)

const v2 = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
const v2beta1 = 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList'

describe('discovery', () => {
  test('by group and version, as old clients ask', async () => {
    expect(await json('/api')).toMatchObject({ kind: 'APIVersions', versions: ['v1'] })
    expect(await json('/apis')).toEqual({
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: [
        {
          name: 'reflash.dev',
          versions: [{ groupVersion: 'reflash.dev/v1alpha1', version: 'v1alpha1' }],
          preferredVersion: { groupVersion: 'reflash.dev/v1alpha1', version: 'v1alpha1' },
        },
      ],
    })
    expect(await json('/apis/reflash.dev')).toMatchObject({ kind: 'APIGroup', name: 'reflash.dev' })
    const core = await json<ResourceList>('/api/v1')
    expect(core.groupVersion).toBe('v1')
    expect(core.resources.map(({ name }) => name)).toEqual(['namespaces'])
    const { groupVersion, resources } = await json<ResourceList>('/apis/reflash.dev/v1alpha1')
    expect(groupVersion).toBe('reflash.dev/v1alpha1')
    expect(resources).toContainEqual({
      name: 'devices',
      singularName: 'device',
      namespaced: true,
      kind: 'Device',
      verbs: ['get', 'list', 'watch'],
      shortNames: ['dev'],
      categories: ['reflash'],
    })
    expect(resources).toContainEqual(
      expect.objectContaining({ name: 'devices/status', kind: 'Device', verbs: ['get'] }),
    )
  })

  test.each([
    ['what kubectl sends', `${v2},${v2beta1},application/json`, v2],
    ['an older one', `${v2beta1},application/json`, v2beta1],
    ['one that wants no peers', `${v2};profile=nopeer,${v2},application/json`, v2],
    ['an unknown form first', `${v2.replace('v2', 'v9')},${v2beta1}`, v2beta1],
    ['an unknown form only', `${v2.replace('v2', 'v9')},application/json`, 'application/json'],
    ['protobuf if possible', 'application/vnd.kubernetes.protobuf,application/json', 'application/json'],
    ['a browser', 'text/html,application/xhtml+xml,*/*;q=0.8', 'application/json'],
    ['by weight', `application/json;q=0.5,${v2}`, v2],
    ['nothing in particular', '*/*', 'application/json'],
  ])('in the form that suits %s', async (_, accept, contentType) => {
    for (const path of ['/api', '/apis']) {
      const response = await ask(path, { Accept: accept })
      expect(response.status).toBe(200)
      expect(response.headers.get('Content-Type')).toBe(contentType)
      expect(response.headers.get('Vary')).toBe('Accept')
    }
  })

  test('refuses a form that cannot be written', async () => {
    const response = await ask('/apis', { Accept: 'application/yaml, application/json;q=0' })
    expect(response.status).toBe(406)
    expect(await response.json()).toMatchObject({ kind: 'Status', reason: 'NotAcceptable' })
  })

  test('has every kind in the aggregated form', async () => {
    const { kind, apiVersion, items } = await json<Aggregated>('/apis', { Accept: v2 })
    expect([kind, apiVersion]).toEqual(['APIGroupDiscoveryList', 'apidiscovery.k8s.io/v2'])
    const { resources, version, freshness } = items[0]!.versions[0]!
    expect([items.length, version, freshness]).toEqual([1, 'v1alpha1', 'Current'])
    expect(resources.map((resource) => resource.responseKind.kind)).toEqual(ours.map(({ kind: k }) => k))
    expect(resources.find((resource) => resource.resource === 'devices')).toEqual({
      resource: 'devices',
      responseKind: { group: 'reflash.dev', version: 'v1alpha1', kind: 'Device' },
      scope: 'Namespaced',
      singularResource: 'device',
      verbs: ['get', 'list', 'watch'],
      shortNames: ['dev'],
      categories: ['reflash'],
      subresources: [
        {
          subresource: 'status',
          responseKind: { group: 'reflash.dev', version: 'v1alpha1', kind: 'Device' },
          verbs: ['get'],
        },
      ],
    })
    const core = await json<Aggregated>('/api', { Accept: v2beta1 })
    expect(core.apiVersion).toBe('apidiscovery.k8s.io/v2beta1')
    expect(core.items).toMatchObject([
      { metadata: { name: '' }, versions: [{ version: 'v1', resources: [{ scope: 'Cluster' }] }] },
    ])
  })

  test('is not sent twice to who knows it', async () => {
    const etag = (await ask('/apis', { Accept: v2 })).headers.get('ETag')!
    const again = await ask('/apis', { Accept: v2, 'If-None-Match': `"other", W/${etag}` })
    expect([again.status, await again.text()]).toEqual([304, ''])
    expect((await ask('/apis', { 'If-None-Match': etag })).status).toBe(200)
  })

  test.each(['0.1.0', '1.2.0-dev_3/x'])(
    'gives program %s a version that reads as one of Kubernetes',
    async (version) => {
      const routes = discoveryRoutes(ours, { version })
      const body = (await (await routes.request('/version')).json()) as { gitVersion: string; minor: string }
      expect(body.gitVersion).toMatch(/^v1\.\d+\.0\+reflash-[0-9A-Za-z.-]+$/)
      expect(body.gitVersion.split('.')[1]).toBe(body.minor)
    },
  )

  test('says of other paths that they lead nowhere', async () => {
    expect((await ask('/apis/apps')).status).toBe(404)
    const unknown = pathNotFound('/apis/apps/v1/deployments')
    expect(await unknown.json()).toMatchObject({ kind: 'Status', reason: 'NotFound', code: 404 })
    const elsewhere = pathNotFound('/apiary')
    expect([elsewhere.status, await elsewhere.text()]).toEqual([404, '404 page not found\n'])
  })
})

describe('OpenAPI v3', () => {
  const index = async (): Promise<Record<string, { serverRelativeURL: string }>> =>
    (await json<{ paths: Record<string, { serverRelativeURL: string }> }>('/openapi/v3')).paths

  test('has a document for each group and version, to be kept for a year', async () => {
    const paths = await index()
    expect(Object.keys(paths)).toEqual(['api/v1', 'apis/reflash.dev/v1alpha1'])
    for (const { serverRelativeURL } of Object.values(paths)) {
      const response = await ask(serverRelativeURL)
      expect(response.status).toBe(200)
      expect(response.headers.get('Cache-Control')).toContain('immutable')
    }
    const { serverRelativeURL } = paths['apis/reflash.dev/v1alpha1']!
    const stale = await ask(serverRelativeURL.replace(/hash=.*/, 'hash=00'))
    expect([stale.status, stale.headers.get('Location')]).toEqual([301, serverRelativeURL])
    const unhashed = await ask(serverRelativeURL.replace(/\?.*/, ''))
    expect([unhashed.status, unhashed.headers.get('Cache-Control')]).toEqual([200, 'no-cache, private'])
  })

  test('leads from the path of a kind to its schema', async () => {
    const document = await readDocument()
    for (const { kind, plural, description } of ours) {
      const path = `/apis/reflash.dev/v1alpha1/namespaces/{namespace}/${plural}`
      const gvk = { group: 'reflash.dev', version: 'v1alpha1', kind }
      expect(document.paths[path]!.get['x-kubernetes-group-version-kind']).toEqual(gvk)
      const found = Object.values(document.components.schemas).filter((schema) =>
        JSON.stringify(schema['x-kubernetes-group-version-kind'])?.includes(JSON.stringify(gvk)),
      )
      expect(found).toHaveLength(1)
      expect(found[0]!.description).toBe(description)
      expect(Object.keys(found[0]!.properties!).toSorted()).toEqual([
        'apiVersion',
        'kind',
        'metadata',
        'spec',
        'status',
      ])
    }
  })

  test('has no reference that leads nowhere', async () => {
    for (const path of Object.keys(await index())) {
      const body = await (await ask(`/openapi/v3/${path}`)).text()
      const { schemas } = (JSON.parse(body) as Document).components
      const names = Array.from(
        body.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g),
        ([, name]) => name,
      )
      expect(names.length).toBeGreaterThan(4)
      expect(Object.keys(schemas)).toEqual(expect.arrayContaining(names))
    }
  })

  test('describes every field', async () => {
    const document = await readDocument()
    const silent: string[] = []
    const look = (schema: Schema, path: string): void => {
      for (const [name, field] of Object.entries(schema.properties ?? {})) {
        if ((field.description ?? '') === '') silent.push(`${path}.${name}`)
        look(field, `${path}.${name}`)
      }
      if (schema.items) look(schema.items, `${path}[]`)
    }
    for (const [name, schema] of Object.entries(document.components.schemas)) look(schema, name)
    expect(silent).toEqual([])
  })

  test('says what becomes of a patch', async () => {
    const document = await readDocument()
    const path = '/apis/reflash.dev/v1alpha1/namespaces/{namespace}/devices/{name}'
    const { patch } = document.paths[path]!
    expect(Object.keys(patch.responses)).toEqual(['405'])
    expect(patch.parameters).toMatchObject([{ name: 'fieldValidation', in: 'query' }])
  })
})
