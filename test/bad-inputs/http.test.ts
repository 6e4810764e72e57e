import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answersIn, connectRaw } from '../support/raw-http.ts'
import { until } from '../support/until.ts'
import { makeGoodFleet, type GoodFleet } from './good-fleet.ts'
import { startRun, startsOf } from './play.ts'
import { takeFigures } from './tally.ts'

const devices = '/apis/reflash.dev/v1alpha1/namespaces/default/devices'
const get = (path: string, headers = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${headers}\r\n`
const send = (method: string, path: string, body = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const terms = Array.from({ length: 400 }, (_, index) => `l${index}=x`).join(',')
const spec = '{"spec":{"state":"Run"}}'

const requests: readonly [what: string, text: string, status: number][] = [
  ['a path with two slashes', get('//api'), 400],
  ['a path that is encoded', get('/%61pi'), 400],
  ['a path with a NUL', get('/api%00'), 400],
  ['a path that goes up', get(`${devices}/%2e%2e/secrets`), 400],
  ['TRACE', send('TRACE', '/api'), 405],
  ['POST', send('POST', devices, spec), 405],
  ['PUT', send('PUT', `${devices}/subject`, spec), 405],
  ['PATCH', send('PATCH', `${devices}/subject`, spec), 405],
  ['DELETE', send('DELETE', `${devices}/subject`), 405],
  ['a method in disguise', send('GET', `${devices}?method=DELETE`, spec), 413],
  ['a URL of 20 KB', get(`/api?${'x'.repeat(20_000)}`), 431],
  ['a URL of 5 KB', get(`/api?${'x'.repeat(5000)}`), 414],
  ['a continue token that is none', get(`${devices}?continue=bad`), 400],
  ['a limit below 0', get(`${devices}?limit=-1`), 400],
  ['a version that is no number', get(`${devices}?resourceVersion=abc`), 400],
  ['a selector of 400 terms', get(`${devices}?labelSelector=${terms}`), 400],
  ['a selector that is none', get(`${devices}?labelSelector=((`), 400],
  ['20 KB of headers', get('/api', `X-A: ${'x'.repeat(20_000)}\r\n`), 431],
  ['2000 headers', get('/api', 'X-A: x\r\n'.repeat(2000)), 431],
]

describe('B29: a run over whose API comes', { timeout: 60_000 }, () => {
  let good: GoodFleet
  let run: ReturnType<typeof startRun>
  /** What is in force; a status may still move by itself. */
  const inForce = (): string =>
    JSON.stringify(
      [...run.fleet()!.all('Device'), ...run.fleet()!.all('UpgradePolicy')].map(({ metadata, spec }) => [
        metadata.name,
        metadata.generation,
        metadata.deletionTimestamp,
        spec,
      ]),
    )
  let before: string

  beforeAll(async () => {
    good = await makeGoodFleet('policy')
    run = startRun(good, { once: false, listen: '127.0.0.1:0' })
    await until(
      'both devices are known, and nothing moves',
      () =>
        [...(run.fleet()?.all('Device') ?? [])].filter(({ status }) => status.blocked !== undefined)
          .length === 2,
    )
    before = inForce()
  })
  afterAll(async () => {
    run.stop()
    await run.ending
    await good[Symbol.asyncDispose]()
  })
  const figures = takeFigures('http', requests.length)

  test.each(requests)('%s: is answered in words, and changes nothing', async (_, text, status) => {
    const connection = connectRaw(run.url()!)
    connection.write(text)
    const [answer] = answersIn(await connection.closed)
    expect(answer!.status).toBe(status)
    expect(JSON.parse(answer!.body)).toMatchObject({
      kind: 'Status',
      status: 'Failure',
      code: status,
      message: expect.stringMatching(/.{10}/),
    })
    expect(inForce()).toBe(before)
    figures.noteStarts(startsOf(good.subject) + startsOf(good.other))
    figures.noteCase()
  })

  test('after all of them the API serves as before', async () => {
    expect((await fetch(`${run.url()}${devices}`)).status).toBe(200)
    expect([startsOf(good.subject), startsOf(good.other), run.bugs]).toEqual([0, 0, []])
  })
})
