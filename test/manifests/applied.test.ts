/** The manifests on a real API server, which has RBAC and Pod Security on. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { controllerRights } from '../support/controller-rights.ts'
import type { PodSpec } from '../support/pod-security.ts'
import {
  missingRenderers,
  newestKubectl,
  objectOf,
  renderBase,
  type RenderedObject,
} from '../support/rendered-manifests.ts'
import { unlessMissing } from '../support/requires.ts'

const top = fileURLToPath(new URL('../../', import.meta.url))
const controller = 'system:serviceaccount:reflash-system:reflash-controller'

const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection']
/** Besides what the table names: what must never be said by accident. */
const others = [
  'reflash.dev/devices/sensitive',
  '/events',
  '/pods',
  '/pods/exec',
  '/serviceaccounts/token',
  '/nodes',
  'apps/deployments',
  'rbac.authorization.k8s.io/clusterroles',
  'rbac.authorization.k8s.io/rolebindings',
  'apiextensions.k8s.io/customresourcedefinitions',
]

interface Attributes {
  namespace: string
  verb: string
  group: string
  resource: string
  subresource?: string
  name?: string
}

unlessMissing([...missingApiServer(), ...missingRenderers()])('the manifests, applied', () => {
  let server: ApiServer
  let flags: string[]
  const run = async (...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)(newestKubectl.path, [...flags, ...args], { cwd: top })
    return stdout
  }

  beforeAll(async () => {
    server = await startApiServer()
    flags = ['--kubeconfig', await server.writeKubeconfig(server.adminToken)]
    await run('apply', '-k', 'manifests/base')
  })
  afterAll(() => server?.stop())

  test('are on the server as they were written, so that nobody sees a difference', async () => {
    expect(await run('diff', '-k', 'manifests/base')).toBe('')
  })

  test('leave what stops all starts where it is when they are applied again', async () => {
    await run('annotate', 'namespace', 'reflash-system', 'reflash.dev/halt=network freeze')
    await run('apply', '-k', 'manifests/base')
    const path = 'jsonpath={.metadata.annotations.reflash\\.dev/halt}'
    expect(await run('get', 'namespace', 'reflash-system', '-o', path)).toBe('network freeze')
  })

  test('let the pod of the Deployment into its namespace, and one that is less locked down not', async () => {
    const deployment = objectOf<RenderedObject & { spec: { template: { spec: PodSpec } } }>(
      renderBase(),
      'Deployment',
      'reflash-controller',
    )
    const { spec } = deployment.spec.template
    const create = (pod: PodSpec) =>
      server.request('POST', '/api/v1/namespaces/reflash-system/pods?dryRun=All', {
        body: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'tried' }, spec: pod },
      })
    expect((await create(spec)).status).toBe(201)
    const { seccompProfile: _, ...looser } = spec.securityContext!
    expect(await create({ ...spec, securityContext: looser })).toMatchObject({
      status: 403,
      body: { message: expect.stringContaining('violates PodSecurity "restricted:latest": seccompProfile') },
    })
  })

  const isAllowed = async (resourceAttributes: Attributes): Promise<boolean> => {
    const { status, body } = await server.request(
      'POST',
      '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      {
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          spec: { user: controller, groups: ['system:authenticated'], resourceAttributes },
        },
      },
    )
    expect(status).toBe(201)
    return (body as { status: { allowed: boolean } }).status.allowed
  }

  /** What the server allows of everything that can be asked for in one namespace. */
  async function allowedIn(namespace: string): Promise<Record<string, string>> {
    const asked = [...Object.values(controllerRights).flatMap((rights) => Object.keys(rights)), ...others]
    const found: Record<string, string> = {}
    for (const what of asked) {
      const [kind, name] = what.split(' ') as [string, string?]
      const [group, resource, subresource] = kind.split('/') as [string, string, string?]
      const allowed = await Promise.all(
        verbs.map((verb) =>
          isAllowed({
            // As the server sees a request for a namespace itself.
            namespace: resource === 'namespaces' ? name! : namespace,
            verb,
            group,
            resource,
            ...(subresource === undefined ? {} : { subresource }),
            ...(name === undefined ? {} : { name }),
          }),
        ),
      )
      const words = verbs.filter((_, index) => allowed[index]).toSorted()
      if (words.length > 0) found[what] = words.join(' ')
    }
    return found
  }

  const { everywhere, default: credentials, 'reflash-system': own } = controllerRights
  const { '/namespaces reflash-system': namespace, ...inNamespace } = own
  const always = { ...everywhere, '/namespaces reflash-system': namespace }

  test.each([
    ['its own namespace', 'reflash-system', { ...always, ...inNamespace }],
    ['a namespace where it may get Secrets', 'default', { ...always, ...credentials }],
    ['any other', 'kube-system', always],
  ])('allow the controller what it needs in %s, and nothing more', async (_, name, rights) => {
    const leases = 'coordination.k8s.io/leases'
    const expected: Record<string, string> = { ...rights }
    // What may be made at all may be made under this name.
    if (leases in expected) expected[`${leases} reflash`] = 'create get update'
    expect(await allowedIn(name)).toEqual(expected)
  })

  test('let the controller get its own namespace, and no other', async () => {
    const token = await server.serviceAccountToken('reflash-system', 'reflash-controller')
    const get = async (name: string): Promise<number> =>
      (await server.request('GET', `/api/v1/namespaces/${name}`, { token })).status
    expect([await get('reflash-system'), await get('default')]).toEqual([200, 403])
  })

  test('take the fleet of the example', async () => {
    await run('apply', '-k', 'examples/gitops/cluster')
    expect(await run('diff', '-k', 'examples/gitops/cluster')).toBe('')
  })
})
