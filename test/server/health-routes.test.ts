import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { fullAccess, type Access, type ServerEnv } from '../../src/server/access.ts'
import { healthRoutes, type HealthCheck } from '../../src/server/health-routes.ts'

const yes = (name: string): HealthCheck => ({ name, holds: () => true })

function setUp(
  { live = [yes('ping'), yes('store')], ready = [yes('source')] } = {},
  access: Access | undefined = fullAccess,
) {
  const clock = createManualClock(0)
  const app = new Hono<ServerEnv>()
  app.use(async (context, next) => {
    if (access) context.set('access', access)
    await next()
  })
  app.route('/', healthRoutes({ live, ready, clock }))
  const ask = async (path: string): Promise<[number, string]> => {
    const response = await app.request(path)
    return [response.status, await response.text()]
  }
  return { clock, ask }
}

const broken: HealthCheck[] = [
  { name: 'says-no', holds: () => false },
  { name: 'says-no-later', holds: async () => false },
  {
    name: 'throws',
    holds: () => {
      throw new Error('/var/lib/reflash/state.db is gone')
    },
  },
  { name: 'rejects', holds: async () => Promise.reject(new Error('192.0.2.1')) },
]

describe('health', () => {
  test('is one word', async () => {
    const { ask } = setUp()
    for (const path of ['/livez', '/readyz', '/healthz']) expect(await ask(path)).toEqual([200, 'ok'])
  })

  test('lists its checks as Kubernetes does', async () => {
    const { ask } = setUp()
    expect(await ask('/livez?verbose')).toEqual([200, '[+]ping ok\n[+]store ok\nlivez check passed\n'])
    expect(await ask('/readyz?verbose=1')).toEqual([
      200,
      '[+]ping ok\n[+]store ok\n[+]source ok\nreadyz check passed\n',
    ])
  })

  test.each(broken)('fails when a check $name, and withholds why', async (check) => {
    const { ask } = setUp({ ready: [check] })
    expect(await ask('/livez')).toEqual([200, 'ok'])
    expect(await ask('/readyz')).toEqual([503, 'failed'])
    expect(await ask('/readyz?verbose')).toEqual([
      503,
      `[+]ping ok\n[+]store ok\n[-]${check.name} failed: reason withheld\nreadyz check failed\n`,
    ])
    expect(await ask(`/readyz?exclude=${check.name}`)).toEqual([200, 'ok'])
    expect(await ask(`/readyz?verbose&exclude=${check.name}&exclude=ping`)).toEqual([
      200,
      `[+]ping excluded: ok\n[+]store ok\n[+]${check.name} excluded: ok\nreadyz check passed\n`,
    ])
  })

  test('does not wait for a check that hangs', async () => {
    const { ask, clock } = setUp({ live: [{ name: 'hangs', holds: () => new Promise(() => {}) }] })
    const answer = ask('/livez')
    await clock.advance(1000)
    expect(await answer).toEqual([503, 'failed'])
  })

  test('tells its checks to nobody who may not see anything', async () => {
    const nothing: Access = { ...fullAccess, read: false, metrics: false }
    expect(await setUp({}, nothing).ask('/readyz?verbose')).toEqual([200, 'ok'])
    const clock = createManualClock(0)
    const anonymous = healthRoutes({ live: [yes('ping')], ready: [], clock })
    expect(await (await anonymous.request('/livez?verbose')).text()).toBe('ok')
  })
})
