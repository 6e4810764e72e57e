import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { createStatusReader } from '../../src/controllers/fleet-status.ts'
import { fullAccess, type Access, type ServerEnv } from '../../src/server/access.ts'
import { statusRoutes } from '../../src/server/status-routes.ts'
import { expectToFit } from '../support/api-answers.ts'
import { createToyFleet } from '../support/toy-fleet.ts'

/** A fleet of five of which one is off, behind the routes, for whoever has this access. */
async function serve(access: Partial<Access> = {}) {
  const world = await createToyFleet({ routers: 5 })
  await world.declare()
  world.router(2).up = false
  const running = await world.start()
  await world.clock.advance(10 * 60_000)
  const { fleet, ports } = running
  const app = new Hono<ServerEnv>()
  app.use(async (context, next) => {
    context.set('access', { ...fullAccess, ...access })
    await next()
  })
  app.route(
    '/',
    statusRoutes({
      status: createStatusReader({ fleet, governor: ports.governor, clock: world.clock, version: '0.1.0' }),
      redact: (text, _device, { sensitive }) =>
        sensitive ? text : text.replaceAll(/192\.0\.2\.\d/g, '<address>'),
    }),
  )
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const response = await app.request(path, { headers })
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      body: text === '' ? undefined : JSON.parse(text),
    }
  }
  return { world, running, get }
}
const root = '/api/status/v1'

describe('answers', () => {
  test.each([
    ['FleetStatus', root],
    ['PolicyStatus', `${root}/policies/default/all`],
    ['DeviceStatus', `${root}/devices/default/ap-1`],
    ['DeviceStatus', `${root}/devices/default/ap-2`],
    ['BlockedDevices', `${root}/devices`],
    ['BlockedDevices', `${root}/devices?limit=1&namespace=default&policy=all&reason=NeverProbed`],
  ] as const)('%s of %s is what the document says, and is not sent twice', async (schema, path) => {
    const { get } = await serve()
    const first = await get(path)
    expect(first.status).toBe(200)
    expect(first.headers.get('content-type')).toBe('application/json')
    expectToFit(schema, first.body)
    const tag = first.headers.get('etag')!
    expect(tag).toMatch(/^"[0-9a-f]{32}"$/)
    for (const known of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
      const again = await get(path, { 'If-None-Match': known })
      expect([again.status, again.body, again.headers.get('etag')]).toEqual([304, undefined, tag])
    }
    expect((await get(path, { 'If-None-Match': '"other"' })).status).toBe(200)
  })

  test('have another tag when something has changed', async () => {
    const { world, get } = await serve()
    const before = await get(root)
    world.router(2).up = true
    await world.clock.advance(60 * 60_000)
    const after = await get(root, { 'If-None-Match': before.headers.get('etag')! })
    expect(after.status).toBe(200)
    expect(before.body.devices.upToDate).toEqual({ True: 4, Unknown: 1 })
    expect(after.body.devices.upToDate).toEqual({ True: 5 })
  })

  test('list page by page', async () => {
    const { world, get } = await serve()
    world.halt('HALT exists')
    for (const router of world.routers.values()) router.release = 'old'
    await world.clock.advance(60 * 60_000)
    const names: string[] = []
    let more = ''
    do {
      const { body } = await get(`${root}/devices?limit=2${more}`)
      expect(body.items.length).toBeLessThanOrEqual(2)
      names.push(...body.items.map(({ name }: { name: string }) => name))
      more = body.continue === undefined ? '' : `&continue=${body.continue}`
    } while (more)
    expect(names).toEqual(['ap-1', 'ap-2', 'ap-3', 'ap-4', 'ap-5'])
  })
})

describe('refusals are problems', () => {
  test.each([
    [404, `${root}/policies/default/none`, 'there is no policy none in namespace default'],
    [404, `${root}/devices/default/none`, 'there is no device none in namespace default'],
    [400, `${root}/devices?reason=Unreachabel`, 'reason "Unreachabel" is unknown; did you mean Unreachable?'],
    [400, `${root}/devices?resaon=Held`, 'unknown query parameter "resaon"; did you mean reason?'],
    [400, `${root}/devices?reason=Held&reason=Pinned`, 'the query parameter reason is given twice'],
    [400, `${root}/devices?limit=0`, 'limit must be a whole number from 1 to 500, not "0"'],
    [400, `${root}/devices?limit=501`, 'limit must be a whole number from 1 to 500, not "501"'],
    [400, `${root}/devices?limit=1e2`, 'limit must be a whole number from 1 to 500, not "1e2"'],
    [400, `${root}/devices?continue=x`, 'continue is not what a page of this list ended with'],
    [400, `${root}?watch=true`, 'unknown query parameter "watch"'],
    [400, `${root}?%1b%5b31m=1`, 'unknown query parameter "\\x1b[31m"'],
  ])('%i for %s', async (status, path, detail) => {
    const { get } = await serve()
    const answer = await get(path)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expectToFit('Problem', answer.body)
    expect(answer.body).toMatchObject({ status, detail })
    expect(answer.status).toBe(status)
  })
})

describe('access', () => {
  const paths = [root, `${root}/policies/default/all`, `${root}/devices`, `${root}/devices/default/ap-1`]

  test('without the scope to read is refused everywhere', async () => {
    const { get } = await serve({ read: false })
    for (const path of paths) expect([path, (await get(path)).status]).toEqual([path, 403])
  })

  test('to other namespaces sees nothing of this one, nor what is there', async () => {
    const { get } = await serve({ namespaces: new Set(['elsewhere']) })
    expect((await get(root)).body).toMatchObject({ devices: { total: 0 }, policies: [], models: [] })
    expect((await get(`${root}/devices`)).body.items).toEqual([])
    for (const path of [`${root}/devices?namespace=default`, `${root}/devices/default/ap-1`])
      expect((await get(path)).status).toBe(403)
    const bodies = [
      await get(`${root}/policies/default/all`),
      await get(`${root}/policies/default/none`),
      await get(`${root}/devices/default/none`),
    ].map(({ status, body }) => [status, body.detail])
    expect(bodies).toEqual(Array.from({ length: 3 }, () => [403, 'this token may not read that']))
  })

  test('without sensitive inventory sees no address', async () => {
    const { get } = await serve({ sensitive: false })
    for (const path of [...paths, `${root}/devices/default/ap-2`])
      expect(JSON.stringify((await get(path)).body)).not.toContain('192.0.2')
    const open = await serve()
    expect(JSON.stringify((await open.get(`${root}/devices`)).body)).toContain('192.0.2.2')
  })
})
