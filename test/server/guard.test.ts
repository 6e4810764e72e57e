import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { hashOfToken, tokenText, type TokenEntry, type TokenScope } from '../../src/core/api-token.ts'
import { fullAccess, type ServerEnv } from '../../src/server/access.ts'
import type { AccessGate } from '../../src/server/access-gate.ts'
import { guard } from '../../src/server/guard.ts'
import { createTokenGate } from '../../src/server/token-gate.ts'

const now = Date.parse('2026-11-25T00:00:00Z')
const tokenOf = (id: string): string => tokenText(id, new Uint8Array(32).fill(id.length))
const entryOf = (id: string, scopes: TokenScope[], namespaces?: string[]): TokenEntry => ({
  id,
  sha256: hashOfToken(tokenOf(id)),
  scopes,
  ...(namespaces ? { namespaces } : {}),
  expiresAt: '2026-12-01T00:00:00Z',
})
const entries = [
  entryOf('reader', ['read']),
  entryOf('site', ['read', 'images'], ['berlin', 'paris']),
  entryOf('scraper', ['metrics']),
  entryOf('mirror', ['images']),
]

function tokenGate(): AccessGate {
  const source = { find: (id: string) => entries.find((entry) => entry.id === id) }
  return createTokenGate(source, { clock: createManualClock(now), onRefused: () => {} })
}

/** Everything behind the guard says what it was told of who asks. */
function appOf(gate: AccessGate | undefined) {
  const app = new Hono<ServerEnv>()
  app.use(guard(gate))
  app.get('*', (context) => {
    const access = context.get('access')
    return context.json({
      ...access,
      namespaces: access.namespaces === 'All' ? 'All' : [...access.namespaces],
    })
  })
  const env = { incoming: { socket: { remoteAddress: '192.0.2.1' } } }
  return async (path: string, authorization?: string): Promise<Response> =>
    app.request(path, authorization === undefined ? {} : { headers: { authorization } }, env)
}

describe('without tokens', () => {
  test('everybody may see everything, whatever they send', async () => {
    const response = await appOf(undefined)('/apis', 'Bearer x')
    expect(await response.json()).toEqual(fullAccess)
  })
})

describe('with tokens', () => {
  test.each([
    ['/livez', 200],
    ['/readyz', 200],
    ['/healthz', 200],
    ['/livez?verbose', 401],
    ['/readyz?exclude=objects', 401],
    ['/livez/', 401],
    ['/', 401],
    ['/version', 401],
    ['/api', 401],
    ['/apis', 401],
    ['/metrics', 401],
    ['/openapi/v3', 401],
    ['/docs', 401],
    ['/images/aa', 401],
    ['/api/status/v1', 401],
    ['/nowhere', 401],
  ])('nobody without one reads %s: %i', async (path, status) => {
    const response = await appOf(tokenGate())(path)
    expect(response.status).toBe(status)
    if (status === 401) expect(response.headers.get('WWW-Authenticate')).toBe('Bearer')
    else expect(await response.json()).toMatchObject({ read: false, sensitive: false, metrics: false })
  })

  const objects = '/apis/reflash.dev/v1alpha1'
  test.each<[string, Record<string, number>]>([
    ['/livez?verbose', { reader: 200, site: 200, scraper: 200, mirror: 200 }],
    ['/metrics', { reader: 403, site: 403, scraper: 200, mirror: 403 }],
    ['/images/aa', { reader: 403, site: 200, scraper: 403, mirror: 200 }],
    ['/apis', { reader: 200, site: 200, scraper: 403, mirror: 403 }],
    [objects, { reader: 200, site: 200, scraper: 403 }],
    ['/openapi/v3/apis/reflash.dev/v1alpha1', { reader: 200, site: 200, scraper: 403 }],
    ['/api/status/v1/devices', { reader: 200, site: 200, scraper: 403 }],
    [`${objects}/devices`, { reader: 200, site: 403, scraper: 403 }],
    [`${objects}/devices?fieldSelector=metadata.namespace%3Dberlin`, { reader: 200, site: 403 }],
    [`${objects}/namespaces/berlin/devices`, { reader: 200, site: 200, scraper: 403 }],
    [`${objects}/namespaces/berlin/devices/ap-1/status`, { reader: 200, site: 200 }],
    [`${objects}/namespaces/rome/devices`, { reader: 200, site: 403 }],
    [`${objects}/namespaces/berlin2/devices`, { reader: 200, site: 403 }],
    [`${objects}/namespaces/%2562erlin/devices`, { reader: 200, site: 403 }],
    [`${objects}/Namespaces/berlin/devices`, { reader: 200, site: 403 }],
    ['/api/v1/namespaces', { reader: 200, site: 403 }],
    ['/api/v1/namespaces/paris', { reader: 200, site: 200 }],
    ['/api/v1/namespaces/rome', { reader: 200, site: 403 }],
    ['/api/v1/events', { reader: 200, site: 403 }],
    ['/api/v1/namespaces/paris/events', { reader: 200, site: 200 }],
  ])('%s', async (path, expected) => {
    const ask = appOf(tokenGate())
    const found = await Promise.all(
      Object.keys(expected).map(
        async (id) => [id, (await ask(path, `Bearer ${tokenOf(id)}`)).status] as const,
      ),
    )
    expect(Object.fromEntries(found)).toEqual(expected)
  })

  test('the routes are told what the token may see', async () => {
    const response = await appOf(tokenGate())('/apis', `Bearer ${tokenOf('site')}`)
    expect(await response.json()).toEqual({
      tokenId: 'site',
      read: true,
      sensitive: false,
      metrics: false,
      images: true,
      namespaces: ['berlin', 'paris'],
    })
  })

  test('the words of a refusal do not depend on what is wrong, and quote nothing', async () => {
    const ask = appOf(tokenGate())
    const tokens = [undefined, 'Bearer x', `Bearer ${tokenText('reader', new Uint8Array(32))}`]
    const texts = await Promise.all(tokens.map(async (text) => (await ask('/apis', text)).text()))
    expect(new Set(texts).size).toBe(1)
    expect(JSON.parse(texts[0]!)).toMatchObject({ kind: 'Status', reason: 'Unauthorized', code: 401 })
  })

  test('guessing is told to wait, and probes are answered meanwhile', async () => {
    const ask = appOf(tokenGate())
    for (let n = 0; n < 10; n += 1) expect((await ask('/apis', 'Bearer x')).status).toBe(401)
    const response = await ask('/apis', 'Bearer x')
    expect(response.status).toBe(429)
    expect(response.headers.get('Retry-After')).toBe('60')
    expect((await ask('/livez')).status).toBe(200)
  })
})
