import fc from 'fast-check'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { startServer } from '../../src/server/http-server.ts'
import { createToySource } from '../support/api-source.ts'
import { recordFigure } from '../support/figures.ts'
import { answersIn, connectRaw } from '../support/raw-http.ts'
import { until } from '../support/until.ts'
import { playProperty, secondsToPlay } from '../support/rounds.ts'
import { createWholeApp } from '../support/whole-app.ts'

/** `REFLASH_SEEDS=10000 REFLASH_SEED=7` sends more, or the same again. */
const rounds = Number(process.env['REFLASH_SEEDS'] ?? 6)
const seed = process.env['REFLASH_SEED']
const patience = { headersMs: 200, requestMs: 200, keepAliveMs: 100, stuckMs: 1000, closeMs: 500 }
/** The longest that a connection may live on a busy machine. */
const longestMs = 3000

async function serve() {
  const source = await createToySource(() => systemClock)
  const { app, bugs, stop } = await createWholeApp(source, { maxWatches: 50 })
  const server = await startServer({
    listen: { host: '127.0.0.1', port: 0 },
    fetch: (request, env) => app.fetch(request, env),
    needsToken: false,
    maxConnections: 200,
    clock: systemClock,
    onBug: (error) => bugs.push(error),
    patience,
  })
  onTestFinished(async () => {
    await server.close()
    stop()
  })
  return { url: server.url, bugs }
}

const objects = '/apis/reflash.dev/v1alpha1/devices'
const request = (line: string, ...headers: string[]): string =>
  `${[line, 'Host: localhost', ...headers].join('\r\n')}\r\n\r\n`
const valid = [
  request(`GET ${objects} HTTP/1.1`, 'Accept: application/json;as=Table;v=v1;g=meta.k8s.io'),
  request(`GET ${objects}?limit=1 HTTP/1.1`, 'Connection: keep-alive'),
  request(`GET ${objects}?watch=true HTTP/1.1`),
  request('HEAD /openapi/v3 HTTP/1.1', 'If-None-Match: "a"'),
  request('GET /livez HTTP/1.0'),
  request('GET /api/status/v1 HTTP/1.1', 'Content-Length: 0'),
  `${request('POST /api HTTP/1.1', 'Content-Length: 5')}hello`,
  `${request('GET /api HTTP/1.1', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
]
const hostile = [
  '\r\n',
  '\n',
  '\0',
  ' ',
  ':',
  '//',
  '%2f',
  '%00',
  '/../',
  '*',
  'TRACE ',
  'get ',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'GET /\r\n',
  'http://localhost/',
  ' HTTP/0.9',
  ' HTTP/2.0',
  'Content-Length: 5\r\n',
  'Content-Length: -1\r\n',
  'Content-Length: 99999999999999999999\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: chunked, identity\r\n',
  'ffffffffffffffff\r\n',
  'Expect: 100-continue\r\n',
  'Connection: upgrade, close\r\nUpgrade: h2c\r\n',
  'Host: evil.example\r\n',
  `X: ${'y'.repeat(20_000)}\r\n`,
  'X: y\r\n'.repeat(500),
  'z'.repeat(20_000),
  '\xff\xfe\x80',
]

/** A few valid requests, one after the other, cut and spliced at any place. */
const bytes = fc
  .tuple(
    fc.array(fc.constantFrom(...valid), { minLength: 1, maxLength: 4 }),
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.nat(30),
        fc.oneof(fc.constantFrom(...hostile, ''), fc.string({ unit: 'binary-ascii', maxLength: 5 })),
      ),
      {
        maxLength: 3,
      },
    ),
  )
  .map(([requests, splices]) => {
    let text = requests.join('')
    for (const [at, drop, insert] of splices) {
      const place = at % (text.length + 1)
      text = text.slice(0, place) + insert + text.slice(place + drop)
    }
    return text
  })
/** What becomes of the connection once it is sent. */
const endings = fc.constantFrom('end', 'stay', 'break')

test(
  `${rounds} rounds of bytes of any kind harm nothing`,
  { timeout: 600_000 + secondsToPlay() * 1000 },
  async () => {
    const { url, bugs } = await serve()
    const seen = new Map<string, number>()
    let connectionsMade = 0
    const send = async (text: string, cut: number, ending: string): Promise<void> => {
      const connection = connectRaw(url)
      connectionsMade += 1
      const { socket, closed } = connection
      const place = cut % (text.length + 1)
      connection.write(text.slice(0, place))
      if (cut % 2 === 0) await new Promise(setImmediate)
      connection.write(text.slice(place))
      if (ending === 'end') socket.end()
      if (ending === 'break') socket.destroy()
      // A watch that a valid request has begun is left by its client; everything else ends by itself.
      const isWatch = (): boolean => /"type":"ADDED"/.test(connection.received())
      await Promise.race([
        closed,
        until('the connection is closed, or a watch', async () => isWatch() || socket.destroyed, longestMs),
      ])
      socket.destroy()
      for (const [, status] of (await closed).matchAll(/^HTTP\/1\.1 (\d{3}) /gm)) {
        seen.set(status!, (seen.get(status!) ?? 0) + 1)
        expect(Number(status)).toBeLessThan(500)
      }
    }
    const round = fc.array(fc.tuple(bytes, fc.nat(), endings), { minLength: 100, maxLength: 100 })
    const property = fc.asyncProperty(round, async (sent) => {
      await Promise.all(sent.map((one) => send(...one)))
      const begun = performance.now()
      expect((await fetch(`${url}/livez`, { headers: { Connection: 'close' } })).status).toBe(200)
      expect(performance.now() - begun).toBeLessThan(1000)
      expect(bugs).toEqual([])
    })
    const check = (numRuns: number): Promise<void> =>
      playProperty(property, numRuns, {
        share: 1 / 2,
        endOnFailure: true,
        ...(seed === undefined ? {} : { seed: Number(seed) }),
      })

    await check(Math.ceil(rounds / 2))
    await until('all connections are closed', () => connections() === 1)
    const before = keptBytes()
    await check(Math.floor(rounds / 2))
    await until('all connections are closed again', () => connections() === 1)
    await until('no round leaves anything behind', () => keptBytes() - before < 5 * 2 ** 20)
    recordFigure({ suite: 'fuzz', name: 'HTTP connections with bytes of any kind', value: connectionsMade })
    for (const status of ['200', '400', '405', '413']) expect(seen.get(status), status).toBeDefined()
  },
)

test('50 requests at once are answered in their order', async () => {
  const { url } = await serve()
  const connection = connectRaw(url)
  const paths = Array.from({ length: 50 }, (_, index) =>
    index % 3 === 0 ? '/nothing' : `${objects}?limit=${index}`,
  )
  connection.write(paths.map((path) => request(`GET ${path} HTTP/1.1`)).join(''))
  const statuses = answersIn(await connection.closed).map(({ status }) => status)
  expect(statuses).toEqual(paths.map((path) => (path === '/nothing' ? 404 : 200)))
})

test('who never ends a request is sent away, and keeps nobody else from being served', async () => {
  const { url } = await serve()
  const started = performance.now()
  const half = Array.from({ length: 100 }, (_, index) => {
    const connection = connectRaw(url)
    const whole = valid[index % 2]!
    connection.write(whole.slice(0, (index * 7) % (whole.length - 1)))
    return connection
  })
  const dripping = connectRaw(url)
  dripping.write('GET / HTTP/1.1\r\n')
  const drip = setInterval(() => dripping.write('X'), 20)
  const flooding = connectRaw(url)
  flooding.write('GET / HTTP/1.1\r\n')
  const flood = setInterval(() => flooding.write('X: y\r\n'.repeat(1000)), 5)
  onTestFinished(() => {
    clearInterval(drip)
    clearInterval(flood)
  })
  expect((await fetch(`${url}/livez`)).status).toBe(200)
  expect(performance.now() - started).toBeLessThan(1000)
  const answers = await Promise.all([...half, dripping].map(async ({ closed }) => answersIn(await closed)))
  expect(new Set(answers.flat().map(({ status }) => status))).toEqual(new Set([408]))
  expect(await flooding.closed).toMatch(/^HTTP\/1.1 431 /)
  expect(performance.now() - started).toBeLessThan(longestMs)
})

/** Sockets in this process; the one that listens is one of them. */
const connections = (): number =>
  process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const keptBytes = (): number => {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
