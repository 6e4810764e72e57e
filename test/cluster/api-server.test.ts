/** The API server that other suites stand on: who may do what there, and what an outage leaves. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { unlessMissing } from '../support/requires.ts'

const namespace = '/api/v1/namespaces/default'
const roles = '/apis/rbac.authorization.k8s.io/v1/namespaces/default'

unlessMissing(missingApiServer())('an API server', () => {
  let server: ApiServer
  beforeAll(async () => {
    server = await startApiServer()
  })
  afterAll(() => server?.stop())

  const create = async (path: string, body: object): Promise<void> => {
    const answer = await server.request('POST', path, { body })
    expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  }

  test('lets a service account do what its role says, and nothing more', async () => {
    await create(`${namespace}/serviceaccounts`, { metadata: { name: 'reader' } })
    const token = await server.serviceAccountToken('default', 'reader')
    const read = async () => (await server.request('GET', `${namespace}/configmaps`, { token })).status
    expect(await read()).toBe(403)
    const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list'] }]
    await create(`${roles}/roles`, { metadata: { name: 'reader' }, rules })
    await create(`${roles}/rolebindings`, {
      metadata: { name: 'reader' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
      subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: 'default' }],
    })
    await expect.poll(read).toBe(200)
    const answer = await server.request('POST', `${namespace}/configmaps`, {
      token,
      body: { metadata: { name: 'a' } },
    })
    expect(answer.status).toBe(403)
    expect((await server.request('GET', '/api', { token: 'wrong' })).status).toBe(401)
  })

  test('has its data, its address and its tokens still when it comes back', async () => {
    await create(`${namespace}/configmaps`, { metadata: { name: 'kept' } })
    const before = (await server.request('GET', `${namespace}/configmaps/kept`)).body
    await create(`${namespace}/serviceaccounts`, { metadata: { name: 'caller' } })
    const kubeconfig = await server.writeKubeconfig(await server.serviceAccountToken('default', 'caller'))
    await server.restart(async () => {
      await expect(server.request('GET', '/readyz')).rejects.toThrow('ECONNREFUSED')
    })
    expect((await server.request('GET', `${namespace}/configmaps/kept`)).body).toEqual(before)
    const { clusters, users } = parse(await readFile(kubeconfig, 'utf8'))
    expect(clusters[0].cluster.server).toBe(server.url)
    const whoAmI = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
    const answer = await server.request('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      token: users[0].user.token,
      body: whoAmI,
    })
    expect(answer.body).toMatchObject({
      status: { userInfo: { username: 'system:serviceaccount:default:caller' } },
    })
  })
})
