import type { HttpBindings } from '@hono/node-server'
import { beforeEach, describe, expect, test } from 'vitest'
import { createManualClock, type ManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createReviewGate } from '../../src/server/review-gate.ts'
import { namespacesOfImage } from '../../src/server/image-routes.ts'
import type { AccessGate, GateAnswer } from '../../src/server/access-gate.ts'
import { apart, createToySource } from '../support/api-source.ts'
import {
  createScriptedReviews,
  discovery,
  sensitiveIn,
  viewIn,
  type ScriptedReviews,
} from '../support/scripted-reviews.ts'
import { imageDigest } from '../support/toy-fleet.ts'
import { createWholeApp } from '../support/whole-app.ts'

const ours = '/apis/reflash.dev/v1alpha1'
const devices = `${ours}/namespaces/default/devices`

let reviews: ScriptedReviews
let clock: ManualClock
let gate: AccessGate
let refused: string[]
let unavailable: string[]

beforeEach(() => {
  reviews = createScriptedReviews()
  reviews.users.set('good', { name: 'ann', uid: '7', groups: ['staff'], extra: { 'a/b': ['c'] } })
  reviews.rules.set('ann', [viewIn('default')])
  clock = createManualClock()
  refused = []
  unavailable = []
  gate = createReviewGate(reviews, {
    clock,
    namespacesOfImage: (sha256) => (sha256 === imageDigest ? ['default', 'lobby'] : []),
    onRefused: (address) => refused.push(address),
    onUnavailable: ({ message }) => unavailable.push(message),
  })
})

const check = async (path: string, token = 'good', address = '192.0.2.1'): Promise<GateAnswer> =>
  gate.check({ authorization: `Bearer ${token}`, address, url: new URL(path, 'http://localhost') })
const kindOf = async (...asked: Parameters<typeof check>): Promise<string> => (await check(...asked)).kind
/** How often a token was asked about, and how often a right. */
const counts = () => {
  const tokens = reviews.asked.filter((question) => typeof question === 'string').length
  return { tokens, rights: reviews.asked.length - tokens }
}

describe('whoever asks', () => {
  test('sees the namespace of the request, and nothing else', async () => {
    expect(await check(devices)).toEqual({
      kind: 'Known',
      access: {
        tokenId: 'ann',
        read: true,
        sensitive: false,
        metrics: false,
        images: false,
        namespaces: new Set(['default']),
      },
    })
    expect(await kindOf(`${ours}/namespaces/lobby/devices`)).toBe('Forbidden')
    expect(await kindOf(`${ours}/devices`)).toBe('Forbidden')
    expect(await kindOf('/metrics')).toBe('Forbidden')
    expect(await kindOf('/api/status/v1')).toBe('Forbidden')
  })

  test('sees all namespaces with the right to all of them', async () => {
    reviews.rules.set('ann', [viewIn('')])
    expect(await check(`${ours}/devices`)).toMatchObject({ access: { sensitive: false, namespaces: 'All' } })
    expect(await check('/api/status/v1')).toMatchObject({ access: { read: true, namespaces: 'All' } })
  })

  test('sees numbers of the fleet only with every right that they come from', async () => {
    for (const missing of ['devices', 'upgradeoperations', 'upgradepolicies']) {
      reviews.rules.set('ann', [
        (asked) => viewIn('')(asked) && 'resource' in asked && asked.resource !== missing,
      ])
      expect([missing, await kindOf('/api/status/v1')]).toEqual([missing, 'Forbidden'])
      await clock.advance(10_000)
    }
  })

  test('sees addresses where the subresource may be read, in that namespace', async () => {
    reviews.rules.set('ann', [viewIn('', 'default', 'lobby'), sensitiveIn('default')])
    expect(await check(devices)).toMatchObject({ access: { sensitive: true } })
    expect(await check('/api/v1/namespaces/default/events')).toMatchObject({ kind: 'Forbidden' })
    expect(await check(`${ours}/namespaces/lobby/devices`)).toMatchObject({ access: { sensitive: false } })
    expect(await check(`${ours}/devices`)).toMatchObject({ access: { sensitive: false } })
    expect(await check('/api/status/v1/devices/default/ap-1')).toMatchObject({ access: { sensitive: true } })
    expect(await check('/api/status/v1/devices?namespace=lobby')).toMatchObject({
      access: { sensitive: false },
    })
  })

  test('has images with the same right: all of them, or those of a namespace', async () => {
    const image = `/images/${imageDigest}`
    const other = `/images/${'0'.repeat(64)}`
    reviews.rules.set('ann', [viewIn('', 'default', 'lobby'), discovery])
    expect([await kindOf(image), await kindOf(other)]).toEqual(['Forbidden', 'Forbidden'])
    await clock.advance(2000)
    reviews.rules.set('ann', [sensitiveIn('lobby')])
    expect(await check(image)).toMatchObject({
      access: { images: true, namespaces: new Set(['lobby']), read: false },
    })
    expect(await kindOf(other)).toBe('Forbidden')
    await clock.advance(2000)
    reviews.rules.set('ann', [sensitiveIn('')])
    expect(await check(other)).toMatchObject({ access: { images: true, namespaces: 'All', read: false } })
  })

  test('reads metrics and other paths by the path, which shows no object', async () => {
    reviews.rules.set('ann', [(asked) => 'path' in asked && ['/metrics', '/docs'].includes(asked.path)])
    expect(await check('/metrics')).toMatchObject({
      access: { metrics: true, namespaces: 'All', read: false },
    })
    expect(await check('/docs')).toMatchObject({
      access: { metrics: false, namespaces: new Set(), read: true },
    })
    expect(await kindOf('/openapi.json')).toBe('Forbidden')
  })

  test('is told apart by groups, uid and whatever else is known', async () => {
    const asked: unknown[] = []
    const isAllowed: ScriptedReviews['isAllowed'] = async (user) => asked.push(user) > 0
    const other = createReviewGate(
      { ...reviews, isAllowed },
      { clock, namespacesOfImage: () => [], onRefused: () => {}, onUnavailable: () => {} },
    )
    await other.check({ authorization: 'Bearer good', address: '', url: new URL('http://localhost/version') })
    expect(asked).toEqual([{ name: 'ann', uid: '7', groups: ['staff'], extra: { 'a/b': ['c'] } }])
  })
})

describe('what is asked of the API server', () => {
  test('is kept for 10 s when it is a yes, and for 2 s when it is a no', async () => {
    expect([await kindOf(devices), await kindOf(devices)]).toEqual(['Known', 'Known'])
    // The token, the list, and what is sensitive, which is a no.
    expect(counts()).toEqual({ tokens: 1, rights: 2 })
    reviews.users.clear()
    reviews.rules.clear()
    await clock.advance(9999)
    expect(await kindOf(devices)).toBe('Known')
    expect(counts()).toEqual({ tokens: 1, rights: 3 })
    await clock.advance(1)
    expect(await kindOf(devices)).toBe('Bad')
    reviews.users.set('good', { name: 'ann', groups: [] })
    await clock.advance(1999)
    expect(await kindOf(devices)).toBe('Bad')
    expect(counts().tokens).toBe(2)
    await clock.advance(1)
    expect(await kindOf(devices)).toBe('Forbidden')
    reviews.rules.set('ann', [viewIn('default')])
    await clock.advance(1999)
    expect(await kindOf(devices)).toBe('Forbidden')
    await clock.advance(1)
    expect(await kindOf(devices)).toBe('Known')
  })

  test('is asked once, however many want to know it', async () => {
    const release = reviews.hold()
    const all = Array.from({ length: 50 }, () => kindOf(devices))
    release()
    expect(new Set(await Promise.all(all))).toEqual(new Set(['Known']))
    expect(counts()).toEqual({ tokens: 1, rights: 2 })
  })

  test('is asked for each user, whatever another one may', async () => {
    reviews.users.set('other', { name: 'bob', groups: [] })
    expect([await kindOf(devices), await kindOf(devices, 'other')]).toEqual(['Known', 'Forbidden'])
  })

  test('is forgotten when it is too much, and asked again', async () => {
    for (let n = 0; n < 1100; n += 1) reviews.users.set(`t${n}`, { name: 'ann', groups: [] })
    for (let n = 0; n < 1100; n += 1) expect(await kindOf('/version', `t${n}`)).toBe('Forbidden')
    expect(counts().tokens).toBe(1100)
    await kindOf('/version', 't1099')
    expect(counts().tokens).toBe(1100)
    await kindOf('/version', 't0')
    expect(counts().tokens).toBe(1101)
  })
})

describe('while nobody can be asked', () => {
  test('nothing is allowed but what was allowed seconds ago, and it is told of once a minute', async () => {
    await kindOf(devices)
    reviews.isDown = true
    await clock.advance(1999)
    expect(await kindOf(devices)).toBe('Known')
    expect(await kindOf(`${ours}/namespaces/lobby/devices`)).toBe('Unavailable')
    await clock.advance(8001)
    expect(await kindOf(devices)).toBe('Unavailable')
    expect(await kindOf(devices, 'bad')).toBe('Unavailable')
    expect(unavailable).toEqual(['the API server does not answer'])
    expect(refused).toEqual([])
    await clock.advance(60_000)
    expect(await kindOf(devices)).toBe('Unavailable')
    expect(unavailable).toHaveLength(2)
    reviews.isDown = false
    expect(await kindOf(devices)).toBe('Known')
  })

  test('a bug is no outage', async () => {
    const broken = { ...reviews, userOf: () => Promise.reject(new TypeError('x')) }
    const options = { clock, namespacesOfImage: () => [], onRefused: () => {}, onUnavailable: () => {} }
    const url = new URL('http://localhost/version')
    const asked = createReviewGate(broken, options).check({ authorization: 'Bearer good', address: '', url })
    await expect(asked).rejects.toThrow(TypeError)
  })
})

describe('bad tokens', () => {
  test.each(['Bearer', 'Bearer ', 'good', 'Basic good', 'Bearer good x'])(
    '%j is none, and nobody is asked about it',
    async (authorization) => {
      const url = new URL('http://localhost/version')
      expect(await gate.check({ authorization, address: '', url })).toEqual({ kind: 'Bad' })
      expect(await gate.check({ authorization: undefined, address: '', url })).toEqual({ kind: 'Absent' })
      expect(reviews.asked).toEqual([])
    },
  )

  test('are told to wait after ten a minute, and good ones from there are still let in', async () => {
    for (let n = 0; n < 10; n += 1) expect(await kindOf(devices, `bad${n}`)).toBe('Bad')
    expect(await check(devices, 'bad10')).toEqual({ kind: 'TooMany', retryAfterSeconds: 60 })
    expect(await kindOf(devices, 'bad10', '192.0.2.2')).toBe('Bad')
    expect(await kindOf(devices)).toBe('Known')
    expect(refused).toEqual(['192.0.2.1'])
  })

  test('beyond that are asked about one at a time, which stops nobody who is known', async () => {
    for (let n = 0; n < 10; n += 1) await kindOf(devices, `bad${n}`)
    await kindOf(devices)
    await kindOf(devices, 'other', '192.0.2.2')
    const before = counts().tokens
    const release = reviews.hold()
    const flood = Array.from({ length: 100 }, (_, n) => kindOf(devices, `flood${n}`))
    const elsewhere = kindOf(devices, 'more', '192.0.2.2')
    expect(await kindOf(devices)).toBe('Known')
    release()
    expect(new Set(await Promise.all(flood))).toEqual(new Set(['TooMany']))
    expect(await elsewhere).toBe('Bad')
    expect(counts().tokens - before).toBe(2)
    // The turn is given back.
    reviews.users.set('new', { name: 'ann', groups: [] })
    expect(await kindOf(devices, 'new')).toBe('Known')
  })
})

describe('over the routes', () => {
  async function serve() {
    const source = await createToySource()
    const { fleet } = source.ports
    const served = await createWholeApp(source, {
      maxWatches: 2,
      gate: createReviewGate(reviews, {
        clock,
        namespacesOfImage: (sha256) => namespacesOfImage(fleet, sha256),
        onRefused: () => {},
        onUnavailable: () => {},
      }),
    })
    const env = { incoming: { socket: { remoteAddress: '192.0.2.1' } } } as HttpBindings
    return async (path: string, token: string | undefined = 'good') => {
      const headers = new Headers(token === '' ? {} : { Authorization: `Bearer ${token}` })
      const response = await served.app.request(path, { headers }, env)
      return { status: response.status, headers: response.headers, text: await response.text() }
    }
  }

  test('refusals say the same whatever is wrong, and probes are open', async () => {
    const ask = await serve()
    const nobody = await Promise.all(['', 'bad', 'worse'].map((token) => ask(devices, token)))
    expect(new Set(nobody.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(nobody[0]!.status).toBe(401)
    expect(nobody[0]!.headers.get('WWW-Authenticate')).toBe('Bearer')
    const refusals = await Promise.all(
      [
        `${ours}/devices`,
        `${ours}/namespaces/none/builds/x`,
        '/metrics',
        `/images/${imageDigest}`,
        '/api/status/v1',
      ].map((path) => ask(path)),
    )
    expect(new Set(refusals.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(refusals[0]!.status).toBe(403)
    reviews.isDown = true
    for (const path of ['/livez', '/readyz', '/healthz']) {
      for (const token of ['', 'bad', 'good']) expect((await ask(path, token)).text).toBe('ok')
    }
    await clock.advance(10_000)
    const down = await ask(devices)
    expect([down.status, down.headers.get('Retry-After')]).toEqual([503, '1'])
    expect(JSON.parse(down.text)).toMatchObject({ kind: 'Status', reason: 'ServiceUnavailable', code: 503 })
  })

  test('addresses are left out for who may not see them, and shown to who may', async () => {
    const ask = await serve()
    const secret = /192\.0\.2\.\d|ssh-ed25519 AAAA/
    const status = '/api/status/v1/devices?namespace=default'
    for (const path of [devices, `${ours}/namespaces/default/upgradeoperations`, status]) {
      const { status: code, text } = await ask(path)
      expect([code, secret.test(text)], path).toEqual([200, false])
    }
    await clock.advance(2000)
    reviews.rules.set('ann', [viewIn('default'), sensitiveIn('default')])
    for (const path of [devices, status]) expect((await ask(path)).text, path).toMatch(secret)
    expect((await ask(`/images/${imageDigest}`)).status).toBe(200)
    expect((await ask(`/images/${'0'.repeat(64)}`)).status).toBe(403)
  })

  test('a namespace that may not be read is nowhere', async () => {
    const ask = await serve()
    expect((await ask(devices)).status).toBe(200)
    for (const path of [
      `${ours}/namespaces/${apart.namespace}/categories`,
      `${ours}/namespaces/${apart.namespace}/categories/${apart.name}`,
      `${ours}/categories`,
      '/api/v1/namespaces',
      '/api/v1/events',
      '/api/status/v1',
      `/api/status/v1/devices?namespace=${apart.namespace}`,
    ]) {
      const { status, text } = await ask(path)
      expect([path, status, text.includes(apart.name)]).toEqual([path, 403, false])
    }
  })
})
