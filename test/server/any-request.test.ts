import fc from 'fast-check'
import type { HttpBindings } from '@hono/node-server'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import type { Access } from '../../src/server/access.ts'
import type { AccessGate } from '../../src/server/access-gate.ts'
import { createReviewGate } from '../../src/server/review-gate.ts'
import { apart, createToySource } from '../support/api-source.ts'
import { recordFigure } from '../support/figures.ts'
import { createScriptedReviews, discovery, viewIn } from '../support/scripted-reviews.ts'
import { imageDigest } from '../support/toy-fleet.ts'
import { playProperty, secondsToPlay } from '../support/rounds.ts'
import { createWholeApp } from '../support/whole-app.ts'

/** `REFLASH_SEEDS=100000 REFLASH_SEED=7` asks more, or the same again. */
const requests = Number(process.env['REFLASH_SEEDS'] ?? 3000)
const seed = process.env['REFLASH_SEED']

const maxWatches = 5

/** Every route over a fleet at rest, without the port before it. */
async function serveEverything(gate?: AccessGate) {
  const source = await createToySource()
  const { app, bugs, stop } = await createWholeApp(source, { gate, maxWatches })
  const env = { incoming: { socket: { remoteAddress: '127.0.0.1' } } } as HttpBindings
  const { name } = source.operation.metadata
  return {
    bugs,
    paths: [...new Set(app.routes.map(({ path }) => path))].filter((path) => !path.includes('*')),
    names: ['default', 'default', 'ap-1', 'ap-2', 'all', 'new', 'image', name, imageDigest, apart.namespace],
    version: async () => (await source.store.list('Device')).resourceVersion,
    /** The whole answer; what would go on for ever is left as soon as it has begun. */
    ask: async (asked: Asked): Promise<Answer> => {
      const { method, path, headers } = asked
      const gone = new AbortController()
      const request = new Request(`http://localhost${path}`, { method, headers, signal: gone.signal })
      const response = await app.fetch(request, env)
      const isEndless = /[?&]watch=|\/log\b/.test(path)
      const body = response.text()
      if (isEndless) gone.abort()
      const type = response.headers.get('Content-Type')
      return { ...asked, status: response.status, type, body: await body }
    },
    stop,
  }
}

interface Asked {
  method: string
  path: string
  headers: Record<string, string>
}
interface Answer extends Asked {
  status: number
  type: string | null
  body: string
}

const hostile = fc.oneof(
  fc.constantFrom(
    '',
    '-1',
    '0',
    '1e9',
    '9007199254740993',
    '999999999999999',
    'NaN',
    'true',
    'null',
    '%00',
    '%F0%9F%98%80',
    '%FF',
    '__proto__',
    'constructor',
    'hasOwnProperty',
    '%7B%22a%22%3A1%7D',
    "'%3B--",
    '..%2F..%2Fetc%2Fpasswd',
    'a,b,',
    'a%3Db',
    'a+in+(b',
    '!!a',
    'metadata.name%3Dap-1',
    'metadata.name!%3D%5C',
    'spec.addresses[0]%3Dx',
    '__proto__.x%3D1',
    'x'.repeat(3000),
  ),
  fc.string({ unit: 'binary', maxLength: 30 }).map((text) => encodeURIComponent(text.toWellFormed())),
)
/** Each parameter that any route knows, with values that mean something. */
const parameters: readonly (readonly [string, ...string[]])[] = [
  ['limit', '1', '2', '500', '100000'],
  ['continue', 'MS9kZWZhdWx0L2FwLTE', 'ZGVmYXVsdC9hcC0x'],
  ['labelSelector', 'a', '!a', 'a+in+(b,c),d'],
  ['fieldSelector', 'metadata.name%3Dap-1', 'spec.port!%3D22'],
  ['watch', 'true', '1', '', 'false'],
  ['resourceVersion', '0', '1', '20', '100'],
  ['resourceVersionMatch', 'Exact', 'NotOlderThan'],
  ['sendInitialEvents', 'true', 'false'],
  ['allowWatchBookmarks', 'true'],
  ['timeoutSeconds', '1', '100000'],
  ['includeObject', 'None', 'Metadata', 'Object'],
  ['pretty', 'true'],
  ['timeout', '32s'],
  ['hash', '00'],
  ['verbose', ''],
  ['exclude', 'ping'],
  ['reason', 'Unreachable'],
  ['namespace', 'default'],
  ['policy', 'all'],
  ['after', '3'],
  ['follow', 'true', 'false'],
  ['__proto__', 'a'],
]
const parameter = fc
  .constantFrom(...parameters)
  .chain(([name, ...values]) =>
    fc.oneof(fc.constantFrom(...values), hostile).map((value) => `${name}=${value}`),
  )
const query = fc
  .array(parameter, { maxLength: 6 })
  .map((all) => (all.length === 0 ? '' : `?${all.join('&')}`))

const headerText = fc
  .string({ unit: 'grapheme-ascii', maxLength: 40 })
  .map((text) => text.replaceAll(/[^\x20-\x7e]/g, '').trim())
const accepts = [
  'application/json',
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
  'application/json;as=Table;v=v1beta1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
  'application/vnd.kubernetes.protobuf',
  'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
  'text/plain',
  'text/event-stream',
  'text/html;q=x,*/*;q=',
  ';;;,,,=;as',
  '',
]
const headers = fc.record(
  {
    Accept: fc.oneof(
      { weight: 2, arbitrary: fc.constant('application/json') },
      { weight: 2, arbitrary: fc.constantFrom(...accepts) },
      { weight: 1, arbitrary: headerText },
    ),
    'If-None-Match': fc.oneof(fc.constantFrom('*', '"', 'W/"a"', '"a", *'), headerText),
    Range: fc.oneof(
      fc.constantFrom('bytes=0-9', 'bytes=-1', 'bytes=9-0', 'bytes=0-1,2-3', 'bytes=99999-'),
      headerText,
    ),
    'If-Range': fc.oneof(fc.constantFrom(`"${imageDigest}"`), headerText),
    'Last-Event-ID': fc.oneof(fc.constantFrom('0', '5', '-1', '1e3', '99999999999999999999'), headerText),
    Authorization: fc.oneof(fc.constantFrom('Bearer x', 'Basic eDp5', 'Bearer'), headerText),
    'Accept-Encoding': fc.constantFrom('gzip', '*;q=0'),
    'X-Forwarded-For': headerText,
  },
  { requiredKeys: [] },
)

/** A path of the routes with names filled in; in one of three something is wrong with it. */
const pathOf = (paths: readonly string[], names: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom(...paths),
      fc.array(fc.oneof(fc.constantFrom(...names), hostile), { minLength: 2, maxLength: 2 }),
    )
    .map(([path, values]) => {
      let next = 0
      return path.replaceAll(/:[a-z0-9]+(?:\{[^}]*\})?/g, () => values[next++ % 2] || 'x')
    })
    .chain((path) =>
      fc.oneof(
        { weight: 6, arbitrary: fc.constant(path) },
        { weight: 1, arbitrary: hostile.map((end) => `${path}/${end}`) },
        { weight: 1, arbitrary: fc.nat(path.length).map((at) => path.slice(0, at) || '/') },
        {
          weight: 1,
          arbitrary: fc
            .tuple(fc.nat(path.length), hostile)
            .map(([at, text]) => `/${path.slice(1, at)}${text}${path.slice(Math.max(1, at))}`),
        },
      ),
    )

/** What only a stack or a path of this machine looks like. */
const telling = [/\n\s+at /, /node:internal/, /node_modules/, /\bfile:\/\//, new RegExp(process.cwd())]

/** Asks whatever there is to be asked, and looks at each answer. Returns how often there was which status. */
async function askAnything(
  { ask, bugs, paths, names }: Awaited<ReturnType<typeof serveEverything>>,
  look: (answer: Answer) => void,
): Promise<Map<number, number>> {
  const seen = new Map<number, number>()
  const methods = fc.oneof(
    { weight: 6, arbitrary: fc.constant('GET') },
    { weight: 1, arbitrary: fc.constantFrom('HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS') },
  )
  const path = fc.tuple(pathOf(paths, names), query).map((parts) => parts.join(''))
  await playProperty(
    fc.asyncProperty(fc.record({ method: methods, path, headers }), async (asked) => {
      const answer = await ask(asked)
      seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1)
      expect(bugs).toEqual([])
      look(answer)
    }),
    requests,
    { share: 1 / 4, ...(seed === undefined ? {} : { seed: Number(seed) }) },
  )
  return seen
}

describe(`${requests} requests of any kind`, { timeout: 600_000 + secondsToPlay() * 1000 }, () => {
  test('change nothing, and each is answered as clients expect', async () => {
    const served = await serveEverything()
    const before = await served.version()
    const seen = await askAnything(served, ({ status, type, body, method, path }) => {
      for (const pattern of telling) expect(body).not.toMatch(pattern)
      if (status < 400 || method === 'HEAD') return
      // As Kubernetes answers to a version that has not been yet; nothing else is the fault of the server.
      if (status >= 500) expect(body).toContain('"reason":"ResourceVersionTooLarge"')
      if (type === 'application/problem+json') {
        expect(path).toMatch(/^\/(?:api\/status|images)\//)
        expect(JSON.parse(body)).toMatchObject({ status })
      } else if (type === 'text/plain; charset=utf-8') {
        expect({ status, body }).toEqual({ status: 404, body: '404 page not found\n' })
      } else {
        expect(type).toBe('application/json')
        expect(JSON.parse(body)).toMatchObject({ kind: 'Status', status: 'Failure', code: status })
      }
    })
    expect(await served.version()).toBe(before)
    // Else most of it was asked in vain.
    for (const status of [200, 304, 400, 404, 406, 422]) expect(seen.get(status), `${status}`).toBeDefined()
    const asked = [...seen.values()].reduce((sum, count) => sum + count, 0)
    // A fifth of them are, give or take a hundredth.
    expect(seen.get(200)).toBeGreaterThan(asked / 8)
    recordFigure({ suite: 'fuzz', name: 'HTTP requests of any kind', value: asked })
    recordFigure({
      suite: 'fuzz',
      name: 'HTTP requests answered with a fault of the server',
      value: 0,
      goal: '0',
    })
    const heapMiB = Math.round(process.memoryUsage().heapUsed / 2 ** 20)
    recordFigure({ suite: 'fuzz', name: 'heap after HTTP requests of any kind', value: heapMiB, unit: 'MiB' })
    // Whatever was begun has given its place back.
    for (let count = 0; count < maxWatches; count += 1) {
      const path = '/apis/reflash.dev/v1alpha1/devices?watch=true'
      expect(await served.ask({ method: 'GET', path, headers: {} })).toMatchObject({ status: 200 })
    }
    served.stop()
  })

  test('show a token neither an address nor another namespace, if it may see neither', async () => {
    const access: Access = {
      tokenId: 'some',
      read: true,
      sensitive: false,
      metrics: true,
      images: true,
      namespaces: new Set(['default']),
    }
    const served = await serveEverything({ check: () => ({ kind: 'Known', access }) })
    const seen = await askAnything(served, ({ body }) => {
      expect(body).not.toMatch(/192\.0\.2\.\d|ssh-ed25519 AAAA/)
      expect(body).not.toContain(apart.name)
    })
    for (const status of [200, 400, 403, 404]) expect(seen.get(status), `${status}`).toBeDefined()
    served.stop()
  })

  test('show an account of a cluster no more than its roles allow, whatever the path looks like', async () => {
    const reviews = createScriptedReviews()
    reviews.users.set('good', { name: 'ann', groups: [] })
    reviews.rules.set('ann', [discovery, viewIn('default')])
    const options = { clock: createManualClock(), onRefused: () => {}, onUnavailable: () => {} }
    const gate = createReviewGate(reviews, {
      ...options,
      namespacesOfImage: () => ['default', apart.namespace],
    })
    const served = await serveEverything({
      check: (request) => gate.check({ ...request, authorization: 'Bearer good' }),
    })
    const seen = await askAnything(served, ({ body }) => {
      expect(body).not.toMatch(/192\.0\.2\.\d|ssh-ed25519 AAAA/)
      expect(body).not.toContain(apart.name)
      expect(body).not.toContain('maxInFlight')
    })
    for (const status of [200, 400, 403, 404]) expect(seen.get(status), `${status}`).toBeDefined()
    served.stop()
  })

  test('learn nothing without a token', async () => {
    const served = await serveEverything({ check: () => ({ kind: 'Absent' }) })
    const words = new Set<string>()
    await askAnything(served, ({ status, body, method }) => {
      if (method !== 'HEAD') words.add(status === 401 ? 'not without a token' : `${status} ${body}`)
    })
    // Only what is known of a probe's path may be said.
    const known = ['200 ok', '404 404 page not found\n', 'not without a token']
    expect([...words].filter((word) => !known.includes(word))).toEqual([])
    served.stop()
  })
})
