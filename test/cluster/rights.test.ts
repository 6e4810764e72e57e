/** What the controller's account must not do, tried; and that what it may do, it does not do to a spec. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { kinds } from '../../src/api/kinds.ts'
import { apiVersion } from '../../src/api/schema.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { notBuilt } from '../support/built-programs.ts'
import {
  controllerAccount,
  convergeLimitMs,
  installReflash,
  kubectlOf,
  startClusterFleet,
  startController,
  untilConverged,
} from '../support/cluster-fleet.ts'
import { controllerRights, type Rights } from '../support/controller-rights.ts'
import { startHttpFaultProxy } from '../support/http-fault-proxy.ts'
import { kubeconfigTo } from '../support/proxied-controller.ts'
import { newestKubectl } from '../support/rendered-manifests.ts'
import { unlessMissing } from '../support/requires.ts'

const limitMs = convergeLimitMs + 60_000
vi.setConfig({ testTimeout: limitMs, hookTimeout: limitMs })

const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'] as const
const leases = `/apis/coordination.k8s.io/v1/namespaces/${controllerAccount.namespace}/leases`
type Verb = (typeof verbs)[number]

const ours = kinds.map(({ plural }) => `reflash.dev/${plural}`)
/** By group and resource, as the table of rights has them; what is of a namespace is tried in three of them. */
const namespaced = [
  ...ours,
  ...ours.map((kind) => `${kind}/status`),
  '/secrets',
  '/configmaps',
  '/pods',
  '/services',
  '/serviceaccounts',
  '/serviceaccounts/token',
  '/pods/exec',
  'apps/deployments',
  'batch/jobs',
  'coordination.k8s.io/leases',
  'events.k8s.io/events',
  '/events',
  'rbac.authorization.k8s.io/roles',
  'rbac.authorization.k8s.io/rolebindings',
]
const clusterWide = [
  '/namespaces',
  '/nodes',
  '/persistentvolumes',
  'apiextensions.k8s.io/customresourcedefinitions',
  'rbac.authorization.k8s.io/clusterroles',
  'rbac.authorization.k8s.io/clusterrolebindings',
  'authentication.k8s.io/tokenreviews',
  'authorization.k8s.io/subjectaccessreviews',
]
const versions: Readonly<Record<string, string>> = { 'reflash.dev': 'v1alpha1' }

/** Of these only the one of the name is granted. */
const namesOf: Readonly<Record<string, string>> = {
  'coordination.k8s.io/leases': 'reflash',
  '/namespaces': controllerAccount.namespace,
}

const isAllowed = (resource: string, verb: Verb, namespace: string | undefined): boolean =>
  Object.entries(controllerRights as Record<string, Rights>).some(([where, rights]) => {
    const isHere = where === 'everywhere' || where === (namespace ?? controllerAccount.namespace)
    const own = Object.entries(rights).filter(([what]) => what.split(' ')[0] === resource)
    // A name restricts none of these, which have none.
    return isHere && own.some(([, allowed]) => allowed.split(' ').includes(verb))
  })

function requestOf(resource: string, verb: Verb, namespace: string | undefined) {
  const [group = '', plural = '', part] = resource.split('/')
  const root = group === '' ? '/api/v1' : `/apis/${group}/${versions[group] ?? 'v1'}`
  const collection = `${root}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}`
  const name = namesOf[resource] ?? 'nobody'
  const one = `${collection}/${name}${part === undefined ? '' : `/${part}`}`
  const patch = { body: {}, contentType: 'application/merge-patch+json' }
  const requests: Record<Verb, [method: string, path: string, options?: object]> = {
    get: ['GET', one],
    list: ['GET', collection],
    watch: ['GET', `${collection}?watch=true&timeoutSeconds=1`],
    create: ['POST', part === undefined ? collection : one, { body: {} }],
    update: ['PUT', one, { body: {} }],
    patch: ['PATCH', one, patch],
    delete: ['DELETE', one],
    deletecollection: ['DELETE', collection],
  }
  return requests[verb]
}

unlessMissing([...missingApiServer(), ...notBuilt([newestKubectl])])("the controller's account", () => {
  let server: ApiServer
  let kubeconfigs: { admin: string; controller: string }
  beforeAll(async () => {
    server = await startApiServer()
    kubeconfigs = await installReflash(server)
    await server.request('POST', '/api/v1/namespaces', { body: { metadata: { name: 'elsewhere' } } })
  })
  afterAll(() => server?.stop())

  test('is refused everything but its rights', async () => {
    const token = await server.serviceAccountToken(controllerAccount.namespace, controllerAccount.name)
    const places = [
      ...['default', controllerAccount.namespace, 'elsewhere'].flatMap((namespace) =>
        namespaced.map((resource) => ({ resource, namespace })),
      ),
      ...clusterWide.map((resource) => ({ resource, namespace: undefined })),
    ]
    const answers: Record<number, number> = {}
    const granted: string[] = []
    for (const { resource, namespace } of places) {
      for (const verb of verbs) {
        // Of a part there is no collection.
        if (resource.split('/').length > 2 && ['list', 'watch', 'deletecollection'].includes(verb)) continue
        if (isAllowed(resource, verb, namespace)) continue
        const [method, path, options] = requestOf(resource, verb, namespace)
        const { status } = await server.request(method, path, { ...options, token })
        answers[status] = (answers[status] ?? 0) + 1
        if (status !== 403) granted.push(`${verb} ${resource} in ${namespace ?? 'the cluster'}: ${status}`)
      }
    }
    for (const path of ['/api/v1/namespaces/default', `${leases}/another`])
      expect((await server.request('GET', path, { token })).status, path).toBe(403)
    expect(granted).toEqual([])
    expect(answers[403]).toBeGreaterThan(350)
  })

  test('writes no spec over a whole upgrade, but when it makes an operation', async () => {
    const fleet = await startClusterFleet(server, { count: 2 })
    const kubectl = kubectlOf(kubeconfigs.admin)
    await kubectl('apply', '-f', fleet.folder)
    const proxy = await startHttpFaultProxy({ to: server.url, ca: server.ca })
    const controller = startController(await kubeconfigTo(proxy.origin, kubeconfigs.controller), {
      images: fleet.folder,
      cache: join(fleet.folder, 'cache'),
    })
    try {
      await untilConverged(kubectl)
    } finally {
      await controller.stop()
      await proxy.close()
      await fleet.stop()
    }
    const writes = proxy.requests.filter(
      ({ method, path }) => method !== 'GET' && path.startsWith(`/apis/${apiVersion}`),
    )
    const withSpec = writes.filter(({ body }) => 'spec' in (JSON.parse(body) as object))
    expect(new Set(withSpec.map(({ method, path }) => `${method} ${path.split('/').at(-1)}`))).toEqual(
      new Set(['POST upgradeoperations']),
    )
    expect(writes.length).toBeGreaterThan(withSpec.length)
    // And so says the server, of each object.
    for (const { kind, plural } of kinds) {
      const { body } = await server.request('GET', `/apis/${apiVersion}/${plural}`)
      const { items } = body as {
        items: { metadata: { managedFields: { manager: string; fieldsV1: object }[] } }[]
      }
      expect(items.length, kind).toBeGreaterThan(0)
      const owned = items.flatMap(({ metadata }) => metadata.managedFields)
      const specOwners = owned.filter(({ fieldsV1 }) => 'f:spec' in fieldsV1).map(({ manager }) => manager)
      expect(specOwners.includes('reflash'), kind).toBe(kind === 'UpgradeOperation')
    }
  })
})
