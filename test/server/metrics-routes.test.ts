import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMetrics } from '../../src/adapters/metrics/registry.ts'
import { fullAccess, type Access, type ServerEnv } from '../../src/server/access.ts'
import { measureRequests, metricsRoutes } from '../../src/server/metrics-routes.ts'
import { parseExposition, valueOf } from '../support/exposition.ts'

function setUp(access: Access = fullAccess) {
  const clock = createManualClock(0)
  const metrics = createMetrics({ clock, version: '1.2.3', process: false })
  const app = new Hono<ServerEnv>()
  app.use(measureRequests(metrics, clock))
  app.use(async (context, next) => {
    if (context.req.path === '/refused') return context.text('no', 403)
    context.set('access', access)
    return next()
  })
  app.route('/', metricsRoutes(metrics))
  app.get('/devices/:name', async (context) => {
    await clock.sleep(40)
    return context.text('here')
  })
  app.get('/fails', () => {
    throw new Error('broken')
  })
  app.onError((_error, context) => context.text('broken', 500))
  return { app, clock, metrics }
}

describe('/metrics', () => {
  test('is Prometheus text', async () => {
    const { app } = setUp()
    const response = await app.request('/metrics')
    expect(response.status).toBe(200)
    expect(response.headers.get('Content-Type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(parseExposition(await response.text()).has('reflash_devices')).toBe(true)
    const head = await app.request('/metrics', { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  test.each<Partial<Access>>([{ metrics: false }, { namespaces: new Set(['default']) }])(
    'is not for %j',
    async (less) => {
      const { app } = setUp({ ...fullAccess, ...less })
      const response = await app.request('/metrics')
      expect(response.status).toBe(403)
      expect(await response.json()).toMatchObject({ kind: 'Status', reason: 'Forbidden', code: 403 })
    },
  )
})

describe('requests', () => {
  test('are measured by the pattern of their route', async () => {
    const { app, clock, metrics } = setUp()
    const name = 'http_request_duration_seconds_count'
    for (const path of ['/devices/a', '/devices/b?x=secret']) {
      const answer = app.request(path)
      await clock.advance(40)
      await answer
    }
    await app.request('/fails')
    await app.request('/refused')
    for (let index = 0; index < 50; index += 1) await app.request(`/nowhere/${index}`)
    await app.request('/devices', { method: 'BREW' })
    const text = await metrics.text()
    const families = parseExposition(text)
    const found = { method: 'GET', route: '/devices/:name', status: '200' }
    expect(valueOf(families, name, found)).toBe(2)
    expect(valueOf(families, 'http_request_duration_seconds_sum', found)).toBeCloseTo(0.08)
    expect(valueOf(families, name, { route: '/fails', status: '500' })).toBe(1)
    expect(valueOf(families, name, { status: '403' })).toBe(1)
    expect(valueOf(families, name, { status: '404' })).toBe(51)
    expect(valueOf(families, name, { method: 'other' })).toBe(1)
    const routes = families.get('http_request_duration_seconds')!.series.map(({ labels }) => labels['route'])
    expect(new Set(routes)).toEqual(new Set(['/*', '/devices/:name', '/fails']))
    expect(text).not.toMatch(/nowhere|secret/)
  })
})
