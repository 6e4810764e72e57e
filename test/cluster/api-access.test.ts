/** Who may read the HTTP API in a cluster, by the word of a real API server and the roles of the manifests. */
import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createAccessReview } from '../../src/adapters/kubernetes/access-review.ts'
import type { Transport } from '../../src/adapters/kubernetes/transport.ts'
import { apiDefaults, defaults, readConfig, type ApiFlags } from '../../src/config.ts'
import type { AccessAttributes, AccessReview } from '../../src/ports/access-review.ts'
import { serveApi } from '../../src/server/serve-api.ts'
import { accessReviewContract } from '../contract/access-review.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { apart, createToySource, type ToySource } from '../support/api-source.ts'
import { makeCertificate } from '../support/certificate.ts'
import { cliResult } from '../support/cli-call.ts'
import { makeKubectl } from '../support/kubectl.ts'
import { openTransport } from '../support/kubernetes-store.ts'
import { missingRenderers, newestKubectl, renderBase } from '../support/rendered-manifests.ts'
import { unlessMissing } from '../support/requires.ts'
import { serviceAccountJwt } from '../support/service-account-jwt.ts'
import { imageDigest } from '../support/toy-fleet.ts'
import { makeTree } from '../support/tree.ts'
import { until } from '../support/until.ts'

const rbac = '/apis/rbac.authorization.k8s.io/v1'
const ours = '/apis/reflash.dev/v1alpha1'
const accounts = '/api/v1/namespaces/default/serviceaccounts'
const startLimitMs = 120_000
/** Where what says who may do what everywhere is made. */
const rightsPaths: Readonly<Record<string, string>> = {
  ClusterRole: `${rbac}/clusterroles`,
  ClusterRoleBinding: `${rbac}/clusterrolebindings`,
}
/** An address or a host key of a toy router. */
const secret = /192\.0\.2\.\d|ssh-ed25519 AAAA/

interface Served {
  url: string
  source: ToySource
  /** A read with this token, or without any. */
  ask(path: string, token?: string): Promise<{ status: number; text: string; headers: Headers }>
}

unlessMissing([...missingApiServer(), ...missingRenderers()])('the API in a cluster', () => {
  let server: ApiServer
  let transport: Transport
  let reviews: AccessReview

  const create = async <T>(path: string, body: object): Promise<T> => {
    const answer = await server.request('POST', path, { body })
    expect(answer.status, JSON.stringify(answer.body)).toBe(201)
    return answer.body as T
  }
  const createAccount = (name: string): Promise<{ metadata: { uid: string } }> =>
    create(accounts, { metadata: { name } })
  const tokenOf = async (account: string, audience?: string): Promise<string> => {
    const spec = { expirationSeconds: 600, ...(audience === undefined ? {} : { audiences: [audience] }) }
    const { status } = await create<{ status: { token: string } }>(`${accounts}/${account}/token`, { spec })
    return status.token
  }
  /** Binds a ClusterRole, in a namespace or ('') everywhere. */
  const bind = async (account: string, role: string, namespace: string): Promise<void> => {
    const where = namespace === '' ? 'clusterrolebindings' : `namespaces/${namespace}/rolebindings`
    await create(`${rbac}/${where}`, {
      metadata: { name: `${account}-${role}` },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ kind: 'ServiceAccount', name: account, namespace: 'default' }],
    })
  }
  /** Something that each role allows. */
  const allowedBy = (role: string, namespace: string): AccessAttributes => {
    if (role === 'reflash-metrics') return { verb: 'get', path: '/metrics' }
    const devices = { group: 'reflash.dev', version: 'v1alpha1', resource: 'devices', namespace }
    return role === 'reflash-sensitive-viewer'
      ? { verb: 'get', ...devices, subresource: 'sensitive' }
      : { verb: 'list', ...devices }
  }
  /** A new account with these roles, and a token of it for this API. */
  const createReader = async (
    account: string,
    ...roles: [role: string, namespace: string][]
  ): Promise<string> => {
    await createAccount(account)
    for (const [role, namespace] of roles) await bind(account, role, namespace)
    const token = await tokenOf(account, 'reflash')
    const user = (await reviews.userOf(token))!
    // The authorizer learns of a binding a little later.
    for (const binding of roles) {
      await until(`${account} has ${binding.join(' in ')}`, () =>
        reviews.isAllowed(user, allowedBy(...binding)),
      )
    }
    return token
  }

  /** The API as the flags make it, with a fleet in `default` and one object in another namespace. */
  const serve = async (flags: Partial<ApiFlags> = {}, asked = reviews): Promise<Served> => {
    const source = await createToySource(() => systemClock)
    const all = { ...defaults, ...apiDefaults, listen: '0.0.0.0:0', tokenFile: 'none', ...flags }
    const api = await serveApi(readConfig('.', all, {}).api!, { ...source, reviews: asked })
    onTestFinished(() => api.close())
    const url = api.url.replace('0.0.0.0', '127.0.0.1')
    return {
      url,
      source,
      ask: async (path, token) => {
        const headers = new Headers(token === undefined ? {} : { Authorization: `Bearer ${token}` })
        const answer = await fetch(url + path, { headers })
        return { status: answer.status, text: await answer.text(), headers: answer.headers }
      },
    }
  }
  const statusesOf = async (served: Served, token: string, paths: readonly string[]): Promise<object> =>
    Object.fromEntries(
      await Promise.all(paths.map(async (path) => [path, (await served.ask(path, token)).status])),
    )
  const each = (status: number, paths: readonly string[]): object =>
    Object.fromEntries(paths.map((path) => [path, status]))
  const warningsOf = ({ source }: Served, reason: string) =>
    source.told.filter((event) => event.type === 'Warning' && event.reason === reason)

  beforeAll(async () => {
    server = await startApiServer()
    for (const name of ['reflash-system', 'lobby']) await create('/api/v1/namespaces', { metadata: { name } })
    const controller = { metadata: { name: 'reflash-controller' } }
    await create('/api/v1/namespaces/reflash-system/serviceaccounts', controller)
    for (const object of renderBase('monitoring', 'view-and-edit')) {
      const path = rightsPaths[object.kind]
      if (path !== undefined) await create(path, object)
    }
    const token = await server.serviceAccountToken('reflash-system', 'reflash-controller')
    transport = await openTransport(server, token)
    reviews = createAccessReview(transport)
    await until('the controller may ask', () =>
      reviews.userOf('x').then(
        () => true,
        () => false,
      ),
    )
  }, startLimitMs)
  afterAll(async () => {
    await transport?.close()
    await server?.stop()
  })

  let listers = 0
  accessReviewContract('of an API server', async () => {
    const name = `lister-${(listers += 1)}`
    const rules = [{ apiGroups: ['reflash.dev'], resources: ['devices'], verbs: ['list'] }]
    await create(`${rbac}/clusterroles`, { metadata: { name }, rules })
    const token = await createReader(name, [name, 'lobby'])
    return { reviews, token, name: `system:serviceaccount:default:${name}` }
  })

  describe('a token', () => {
    let uid: string
    beforeAll(async () => {
      ;({ uid } = (await createAccount('holder')).metadata)
    })
    const signed = (lifetimeSeconds: number, audience = 'reflash'): Promise<string> =>
      serviceAccountJwt(server, { namespace: 'default', name: 'holder', uid, audience, lifetimeSeconds })

    test('counts for this API, or for the API server, and for nobody else', async () => {
      const holder = {
        name: 'system:serviceaccount:default:holder',
        uid,
        groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
      }
      expect(await reviews.userOf(await tokenOf('holder', 'reflash'))).toMatchObject(holder)
      expect(await reviews.userOf(await tokenOf('holder'))).toMatchObject(holder)
      // Of a file of the API server, whose tokens have no audience.
      expect(await reviews.userOf(server.adminToken)).toMatchObject({ name: 'admin' })
      expect(await reviews.userOf(await tokenOf('holder', 'vault'))).toBeUndefined()
    })

    test('that has expired, is signed by another, or is none, is nobody’s', async () => {
      expect(await reviews.userOf(await signed(600))).toMatchObject({ uid })
      expect(await reviews.userOf(await signed(-600))).toBeUndefined()
      expect(await reviews.userOf(await signed(600, 'vault'))).toBeUndefined()
      const [head, claims] = (await signed(600)).split('.')
      const [, , signature] = (await signed(-600)).split('.')
      expect(await reviews.userOf(`${head}.${claims}.${signature}`)).toBeUndefined()
      for (const garbage of ['x', 'a.b.c', '{}', 'ü'.repeat(100), 'x'.repeat(10_000), '"', '\\'])
        expect(await reviews.userOf(garbage), garbage).toBeUndefined()
    })
  })

  test('on loopback nobody is asked, unless it is encrypted', async () => {
    const open = await serve({ listen: '127.0.0.1:0' })
    expect((await open.ask(`${ours}/devices`)).status).toBe(200)
    expect((await open.ask(`${ours}/devices`, 'x')).text).toMatch(secret)
    const folder = await makeTree()
    const { cert, key } = await makeCertificate(folder)
    const closed = await serve({ listen: '127.0.0.1:0', tlsCert: cert, tlsKey: key })
    const kubectl = makeKubectl(newestKubectl, closed.url, folder, ['--certificate-authority', cert])
    const stranger = await kubectl.run('get', 'devices', '--token', 'x')
    expect([stranger.code, stranger.stderr]).toEqual([1, expect.stringContaining('You must be logged in')])
    const token = await createReader('by-kubectl', ['reflash-view', 'default'])
    expect(await kubectl.read('get', 'devices', '--token', token)).toMatch(/^ap-1 /m)
    const refused = await kubectl.run('get', 'devices', '-A', '--token', token)
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('(Forbidden)')])
  })

  test('without a good token nothing is told but the word of a probe', async () => {
    const served = await serve()
    const bodies = new Set<string>()
    for (const path of [`${ours}/devices`, '/metrics', '/api/status/v1', '/version', '/livez?verbose']) {
      for (const token of [undefined, 'x']) {
        const { status, text } = await served.ask(path, token)
        expect([path, status]).toEqual([path, 401])
        bodies.add(text)
      }
    }
    expect(bodies.size).toBe(1)
    for (const path of ['/livez', '/readyz']) expect(await served.ask(path)).toMatchObject({ text: 'ok' })
    expect(warningsOf(served, 'TokenRefused')).toHaveLength(1)
  })

  test('an account without a role learns what everybody may know, and nothing of the fleet', async () => {
    const served = await serve()
    const token = await createReader('newcomer')
    // The ClusterRole system:discovery opens /api/* to everybody, so that a path says nothing about its objects.
    const user = (await reviews.userOf(token))!
    expect(await reviews.isAllowed(user, { verb: 'get', path: '/api/status/v1' })).toBe(true)
    const forbidden = [
      `${ours}/devices`,
      `${ours}/namespaces/default/devices`,
      `${ours}/namespaces/default/devices/ap-1`,
      '/api/v1/namespaces',
      '/api/v1/namespaces/default',
      '/api/v1/namespaces/default/events',
      '/api/status/v1',
      '/api/status/v1/devices',
      '/api/status/v1/devices/default/ap-1',
      '/api/status/v1/policies/default/all',
      `/api/status/v1/operations/default/${served.source.operation.metadata.name}/log`,
      `/images/${imageDigest}`,
      `/images/${'0'.repeat(64)}`,
      '/metrics',
      '/docs',
      '/openapi.json',
    ]
    expect(await statusesOf(served, token, forbidden)).toEqual(each(403, forbidden))
    const texts = await Promise.all(forbidden.map(async (path) => (await served.ask(path, token)).text))
    expect(new Set(texts).size).toBe(1)
    const open = ['/version', '/api', '/apis', ours, '/openapi/v3', '/livez?verbose', '/readyz?verbose']
    expect(await statusesOf(served, token, open)).toEqual(each(200, open))
  })

  test('an account of one namespace reads that, and no other', async () => {
    const served = await serve()
    const token = await createReader('of-default', ['reflash-view', 'default'])
    const { name } = served.source.operation.metadata
    const own = [
      `${ours}/namespaces/default/devices`,
      `${ours}/namespaces/default/devices?watch=true&timeoutSeconds=1`,
      `${ours}/namespaces/default/devices/ap-1`,
      `${ours}/namespaces/default/upgradepolicies`,
      '/api/status/v1/devices?namespace=default',
      '/api/status/v1/devices/default/ap-1',
      '/api/status/v1/policies/default/all',
      `/api/status/v1/operations/default/${name}/log?follow=false`,
    ]
    expect(await statusesOf(served, token, own)).toEqual(each(200, own))
    const others = [
      `${ours}/namespaces/${apart.namespace}/categories`,
      `${ours}/namespaces/${apart.namespace}/categories/${apart.name}`,
      `${ours}/devices`,
      `${ours}/devices?watch=true`,
      `${ours}/devices?fieldSelector=metadata.namespace%3Ddefault`,
      '/api/v1/namespaces/default/events',
      '/api/status/v1',
      '/api/status/v1/devices',
      `/api/status/v1/devices?namespace=${apart.namespace}`,
      `/images/${imageDigest}`,
      '/metrics',
    ]
    expect(await statusesOf(served, token, others)).toEqual(each(403, others))
  })

  test('an account of all namespaces reads all of them, and the role view events and namespaces too', async () => {
    const served = await serve()
    const token = await createReader('of-all', ['reflash-view', ''])
    const paths = [
      `${ours}/devices`,
      `${ours}/namespaces/default/devices`,
      '/api/status/v1',
      '/api/status/v1/devices',
    ]
    expect(await statusesOf(served, token, paths)).toEqual(each(200, paths))
    expect((await served.ask(`${ours}/categories`, token)).text).toContain(apart.name)
    expect((await served.ask('/api/v1/events', token)).status).toBe(403)
    // What `view` is put together from, by a controller that does not run here.
    await bind('of-all', 'system:aggregate-to-view', '')
    for (const path of ['/api/v1/events', '/api/v1/namespaces', '/api/v1/namespaces/default']) {
      await until(`${path} may be read`, async () => (await served.ask(path, token)).status === 200)
    }
  })

  test('addresses, host keys and images are for those with the role for them, in its namespace', async () => {
    const served = await serve()
    const [view, sensitive] = ['reflash-view', 'reflash-sensitive-viewer']
    const tokens = {
      plain: await createReader('plain', [view, '']),
      trusted: await createReader('trusted', [view, ''], [sensitive, 'default']),
      all: await createReader('all-seeing', [view, ''], [sensitive, '']),
    }
    const shows = async (path: string): Promise<Record<string, boolean>> => {
      const answers = Object.entries(tokens).map(async ([who, token]) => {
        const { status, text } = await served.ask(path, token)
        expect([path, status]).toEqual([path, 200])
        return [who, secret.test(text)]
      })
      return Object.fromEntries(await Promise.all(answers))
    }
    const list = `${ours}/namespaces/default/devices`
    for (const path of [list, `${list}/ap-1`, '/api/status/v1/devices?namespace=default']) {
      expect([path, await shows(path)]).toEqual([path, { plain: false, trusted: true, all: true }])
    }
    for (const path of [`${ours}/devices`, '/api/status/v1/devices']) {
      expect([path, await shows(path)]).toEqual([path, { plain: false, trusted: false, all: true }])
    }
    const image = `/images/${imageDigest}`
    const statuses = Object.values(tokens).map(async (token) => (await served.ask(image, token)).status)
    expect(await Promise.all(statuses)).toEqual([403, 200, 200])
  })

  test('metrics are for those who may read their path', async () => {
    const served = await serve()
    const token = await createReader('scraper', ['reflash-metrics', ''])
    const { status, text } = await served.ask('/metrics', token)
    expect([status, text]).toEqual([200, expect.stringContaining('# TYPE ')])
    const others = [`${ours}/devices`, '/api/status/v1']
    expect(await statusesOf(served, token, others)).toEqual(each(403, others))
  })

  test('the reading commands take such a token as any other', async () => {
    const served = await serve()
    const file = join(await makeTree(), 'token')
    await writeFile(file, `${await createReader('by-cli', ['reflash-view', 'default'])}\n`, { mode: 0o600 })
    const run = (...args: string[]) => cliResult([...args, '--server', served.url, '--token-file', file])
    const got = await run('get', 'devices')
    expect(got).toMatchObject({ code: 0, stderr: '' })
    expect(got.stdout).toMatch(/^ap-1 /m)
    const yaml = await run('get', 'device/ap-1', '-o', 'yaml')
    expect(yaml.stdout).toContain('name: ap-1')
    expect(yaml.stdout).not.toMatch(secret)
    expect(await run('why', 'ap-1')).toMatchObject({ stderr: '', stdout: expect.stringContaining('ap-1') })
    expect(await run('logs', served.source.operation.metadata.name)).toMatchObject({ code: 0, stderr: '' })
    for (const args of [['get', 'devices', '-A'], ['get', 'categories', '-n', apart.namespace], ['top']]) {
      expect(await run(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining('(403)') })
    }
    await writeFile(file, 'x')
    expect(await run('get', 'devices')).toMatchObject({ code: 2, stderr: expect.stringContaining('(401)') })
  })

  test('who may not ask lets nobody in, and says so once', async () => {
    await createAccount('powerless')
    const powerless = await openTransport(server, await tokenOf('powerless'))
    onTestFinished(() => powerless.close())
    const served = await serve({}, createAccessReview(powerless))
    for (const token of [server.adminToken, 'x']) {
      const { status, headers } = await served.ask('/version', token)
      expect([status, headers.get('Retry-After')]).toEqual([503, '1'])
    }
    const words = /default:powerless" cannot create resource "tokenreviews"/
    expect(warningsOf(served, 'ReviewFailed')).toEqual([
      expect.objectContaining({ message: expect.stringMatching(words) }),
    ])
  })

  test('while the API server is away nobody new is let in, and afterwards they are', async () => {
    const served = await serve()
    const token = await createReader('before', ['reflash-view', ''])
    const later = await tokenOf('before', 'reflash')
    const statusWith = async (given: string) => (await served.ask(`${ours}/devices`, given)).status
    expect(await statusWith(token)).toBe(200)
    await server.restart(async () => {
      const down = await served.ask(`${ours}/devices`, later)
      expect([down.status, down.headers.get('Retry-After')]).toEqual([503, '1'])
      expect((await served.ask('/livez')).text).toBe('ok')
    })
    await until('it is let in', async () => (await statusWith(later)) === 200)
  })
})
