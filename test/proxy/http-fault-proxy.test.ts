import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer, request as requestTls } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { makeCertificate } from '../support/certificate.ts'
import { type HttpFaultProxy, startHttpFaultProxy } from '../support/http-fault-proxy.ts'
import { mostWithin } from '../support/most-within.ts'
import { requires } from '../support/requires.ts'
import { until } from '../support/until.ts'

const cleanUps: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

/** Counts writes, lists what was written, and streams what a test pushes into its watches. */
interface Target {
  origin: string
  seen: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[]
  /** Answers of watches that are open. */
  watches: Set<ServerResponse>
  push: (...names: string[]) => void
}

const eventOf = (name: string) => ({ type: 'MODIFIED', object: { kind: 'Device', metadata: { name } } })

interface Pem {
  key: string
  cert: string
}

const startTarget = async (tls?: Pem): Promise<Target> => {
  const seen: Target['seen'] = []
  const watches = new Set<ServerResponse>()
  const answer = async (incoming: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '', headers } = incoming
    seen.push({ method, url, headers, body: await text(incoming) })
    response.setHeader('content-type', 'application/json')
    if (!url.includes('watch=true')) return void response.end(JSON.stringify({ seen: seen.length }))
    watches.add(response)
    response.on('close', () => watches.delete(response))
    response.flushHeaders()
  }
  const handler = (incoming: IncomingMessage, response: ServerResponse) => void answer(incoming, response)
  const server = tls ? createTlsServer(tls, handler) : createServer(handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUps.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return {
    origin: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    watches,
    push: (...names) => {
      const lines = names.map((name) => `${JSON.stringify(eventOf(name))}\n`).join('')
      for (const watch of watches) watch.write(lines)
    },
  }
}

const start = async () => {
  const target = await startTarget()
  const proxy = await startHttpFaultProxy({ to: target.origin })
  cleanUps.push(() => proxy.close())
  return { target, proxy }
}

/** What a client sees of one request. */
interface Seen {
  status: () => number | undefined
  headers: () => IncomingMessage['headers']
  text: () => string
  /** The size of each read. */
  reads: number[]
  end: () => 'none' | 'end' | 'broken'
  /** The names of events that have come in whole. */
  names: () => string[]
  leave: () => void
}

const watchRequest = (outgoing: ClientRequest): Seen => {
  let response: IncomingMessage | undefined
  let end: 'none' | 'end' | 'broken' = 'none'
  const chunks: Buffer[] = []
  const body = () => Buffer.concat(chunks).toString()
  outgoing.on('error', () => (end = 'broken'))
  outgoing.on('response', (incoming) => {
    response = incoming
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => (end = 'end'))
    incoming.on('error', () => (end = 'broken'))
  })
  cleanUps.push(() => void outgoing.destroy())
  return {
    status: () => response?.statusCode,
    headers: () => response?.headers ?? {},
    text: body,
    get reads() {
      return chunks.map(({ length }) => length)
    },
    end: () => end,
    names: () =>
      body()
        .split('\n')
        .slice(0, -1)
        .map((line) => {
          const { type, object } = JSON.parse(line) as {
            type: string
            object: { code?: number; metadata: { name?: string } }
          }
          return object.metadata.name ?? `${type} ${object.code}`
        }),
    leave: () => void outgoing.destroy(),
  }
}

interface Asking {
  method?: string
  headers?: Record<string, string>
  body?: string
}

const ask = (proxy: { origin: string }, path: string, { body, ...options }: Asking = {}): Seen => {
  const outgoing = request(proxy.origin + path, options)
  outgoing.end(body)
  return watchRequest(outgoing)
}

const asked = async (proxy: HttpFaultProxy, path: string, options?: Asking): Promise<Seen> => {
  const seen = ask(proxy, path, options)
  await until(`${path} is answered`, () => seen.end() !== 'none')
  return seen
}

const watching = async (proxy: HttpFaultProxy, path = '/devices?watch=true'): Promise<Seen> => {
  const seen = ask(proxy, path)
  await until('the watch is open', () => seen.status())
  return seen
}

/** Another request has been there and back. */
const aRoundTrip = async (proxy: HttpFaultProxy) => expect((await asked(proxy, '/trip')).status()).toBe(200)

describe('without faults', () => {
  test('requests pass with method, query, headers and body, and are logged', async () => {
    const { target, proxy } = await start()
    const headers = {
      authorization: 'Bearer secret',
      'accept-encoding': 'gzip',
      'content-type': 'application/json',
    }
    const seen = await asked(proxy, '/devices/r7?fieldManager=x', {
      method: 'PATCH',
      headers,
      body: '{"a":1}',
    })
    expect([seen.status(), seen.end(), seen.text()]).toEqual([200, 'end', '{"seen":1}'])
    expect(seen.headers()['content-type']).toBe('application/json')
    expect(target.seen).toMatchObject([
      {
        method: 'PATCH',
        url: '/devices/r7?fieldManager=x',
        headers: { authorization: 'Bearer secret', 'accept-encoding': 'identity' },
        body: '{"a":1}',
      },
    ])
    const [entry] = proxy.requests
    expect(entry).toMatchObject({ method: 'PATCH', path: '/devices/r7', status: 200 })
    expect(entry!.query.get('fieldManager')).toBe('x')
    expect(entry!.endedMs).toBeGreaterThanOrEqual(entry!.atMs)
  })

  test('events of a watch pass as they come', async () => {
    const { target, proxy } = await start()
    const watch = await watching(proxy)
    target.push('a')
    await until('a is there', () => watch.names().join() === 'a')
    target.push('b', 'c')
    await until('b and c are there', () => watch.names().join() === 'a,b,c')
    for (const response of target.watches) response.end()
    await until('the end is there', () => watch.end() === 'end')
  })

  test('who leaves a watch leaves the target too', async () => {
    const { target, proxy } = await start()
    const watch = await watching(proxy)
    watch.leave()
    await until('the target is left', () => target.watches.size === 0)
    await until('it is over', () => proxy.requests[0]!.endedMs)
  })

  test('a target that breaks off breaks the watch', async () => {
    const { target, proxy } = await start()
    const watch = await watching(proxy)
    target.push('a')
    await until('a is there', () => watch.names().join() === 'a')
    for (const response of target.watches) response.destroy()
    await until('it is broken', () => watch.end() === 'broken')
  })

  test('a target that is away closes the connection', async () => {
    const proxy = await startHttpFaultProxy({ to: 'http://127.0.0.1:1' })
    cleanUps.push(() => proxy.close())
    const seen = await asked(proxy, '/devices')
    expect(seen.end()).toBe('broken')
    expect(proxy.requests).toMatchObject([{ path: '/devices', status: undefined }])
  })
})

describe('answer', () => {
  test.each([
    [401, 'Unauthorized'],
    [403, 'Forbidden'],
    [404, 'NotFound'],
    [409, 'Conflict'],
    [410, 'Expired'],
    [429, 'TooManyRequests'],
    [500, 'InternalError'],
    [503, 'ServiceUnavailable'],
    [504, 'Timeout'],
  ] as const)('%i keeps the request from the target', async (code, reason) => {
    const { target, proxy } = await start()
    proxy.add({ kind: 'answer', code })
    const seen = await asked(proxy, '/devices', { method: 'POST', body: 'x'.repeat(1_000_000) })
    expect(seen.status()).toBe(code)
    expect(JSON.parse(seen.text())).toMatchObject({ kind: 'Status', status: 'Failure', code, reason })
    expect(target.seen).toEqual([])
    expect(proxy.requests).toMatchObject([{ method: 'POST', status: code }])
  })

  test('says when to come again', async () => {
    const { proxy } = await start()
    proxy.add({ kind: 'answer', code: 429, retryAfterSeconds: 7 })
    const seen = await asked(proxy, '/devices')
    expect(seen.headers()['retry-after']).toBe('7')
    expect(JSON.parse(seen.text())).toMatchObject({ details: { retryAfterSeconds: 7 } })
  })

  test('is for watches as well, until it is off', async () => {
    const { proxy } = await start()
    const off = proxy.add({ kind: 'answer', code: 410 })
    expect((await asked(proxy, '/devices?watch=true')).status()).toBe(410)
    off()
    expect((await watching(proxy)).status()).toBe(200)
  })
})

describe('a match', () => {
  const asks = [
    ['GET', '/devices'],
    ['GET', '/devices?watch=true&labelSelector=a%3Db'],
    ['GET', '/devices?watch=1'],
    ['PATCH', '/devices/r7/status'],
    ['PATCH', '/devices/r7?fieldManager=x'],
  ] as const

  test.each([
    [{}, [0, 1, 2, 3, 4]],
    [{ method: 'PATCH' }, [3, 4]],
    [{ path: '/devices' }, [0, 1, 2]],
    [{ path: /\/status$/ }, [3]],
    [{ query: { labelSelector: 'a=b' } }, [1]],
    [{ query: { fieldManager: /^x/ } }, [4]],
    [{ watch: true }, [1, 2]],
    [{ watch: false, method: 'GET' }, [0]],
    [{ times: 2 }, [0, 1]],
    [{ path: /devices/, times: 1, watch: true }, [1]],
  ])('%j', async (match, expected) => {
    const { proxy } = await start()
    proxy.add({ kind: 'answer', code: 503 }, match)
    const struck: number[] = []
    for (const [index, [method, path]] of asks.entries()) {
      const seen = ask(proxy, path, { method })
      if ((await until('the status is there', () => seen.status())) === 503) struck.push(index)
    }
    expect(struck).toEqual(expected)
  })
})

describe('stall', () => {
  test('keeps the answer back, and not the request', async () => {
    const { target, proxy } = await start()
    const off = proxy.add({ kind: 'stall' }, { method: 'PATCH' })
    const seen = ask(proxy, '/devices/r7', { method: 'PATCH', body: '{}' })
    await until('the target has it', () => target.seen.length === 1)
    await aRoundTrip(proxy)
    expect([seen.status(), seen.end()]).toEqual([undefined, 'none'])
    expect(proxy.requests[0]).toMatchObject({ status: undefined, endedMs: undefined })
    off()
    await until('it is answered', () => seen.status() === 200 && seen.end() === 'end')
  })

  test('silences a watch that runs, even when the target breaks off', async () => {
    const { target, proxy } = await start()
    const watch = await watching(proxy)
    target.push('a')
    await until('a is there', () => watch.names().join() === 'a')
    proxy.add({ kind: 'stall' }, { watch: true, times: 1 })
    target.push('b')
    for (const response of target.watches) response.destroy()
    await until('the target is away', () => target.watches.size === 0)
    await aRoundTrip(proxy)
    expect([watch.names(), watch.end()]).toEqual([['a'], 'none'])
    // It has struck once: the next watch is as ever.
    const next = await watching(proxy)
    target.push('c')
    await until('c is there', () => next.names().join() === 'c')
    proxy.clear()
    await until('the silence is over', () => watch.end() === 'broken')
  })
})

describe('lose', () => {
  test('closes the connection after the target has done it', async () => {
    const { target, proxy } = await start()
    proxy.add({ kind: 'lose' }, { times: 1 })
    const seen = await asked(proxy, '/devices/r7', { method: 'PATCH', body: '{}' })
    expect([seen.status(), seen.end()]).toEqual([undefined, 'broken'])
    expect(target.seen).toMatchObject([{ method: 'PATCH', body: '{}' }])
    await aRoundTrip(proxy)
  })

  test('breaks a watch that runs', async () => {
    const { proxy } = await start()
    const watch = await watching(proxy)
    proxy.add({ kind: 'lose' })
    await until('it is broken', () => watch.end() === 'broken')
  })
})

describe('stale', () => {
  test('gives the answer of before, whatever the resourceVersion', async () => {
    const { target, proxy } = await start()
    await asked(proxy, '/devices?limit=5&resourceVersion=1')
    await asked(proxy, '/policies')
    const off = proxy.add({ kind: 'stale' })
    await asked(proxy, '/devices', { method: 'POST' })
    expect((await asked(proxy, '/devices?resourceVersion=9&limit=5')).text()).toBe('{"seen":1}')
    expect((await asked(proxy, '/policies')).text()).toBe('{"seen":2}')
    // What was not asked before stands still from now on.
    expect((await asked(proxy, '/builds')).text()).toBe('{"seen":4}')
    expect((await asked(proxy, '/builds')).text()).toBe('{"seen":4}')
    expect(target.seen.length).toBe(4)
    const watch = await watching(proxy)
    target.push('a')
    await until('a is there', () => watch.names().join() === 'a')
    off()
    expect((await asked(proxy, '/policies')).text()).toBe('{"seen":6}')
  })
})

describe('slice', () => {
  test('hands a body out byte by byte', async () => {
    const { proxy } = await start()
    proxy.add({ kind: 'slice', bytes: 1 })
    const seen = await asked(proxy, '/devices')
    expect(seen.text()).toBe('{"seen":1}')
    // The first ones may come together with the head.
    expect(seen.reads.length).toBeGreaterThan(5)
  })

  test('goes through the middle of events', async () => {
    const { target, proxy } = await start()
    const watch = await watching(proxy)
    proxy.add({ kind: 'slice', bytes: 7 })
    target.push('a', 'b')
    await until('both are there', () => watch.names().join() === 'a,b')
    expect(Math.max(...watch.reads)).toBe(7)
  })
})

describe('cut', () => {
  test('closes the connection in the middle of a body', async () => {
    const { proxy } = await start()
    proxy.add({ kind: 'cut' })
    const seen = await asked(proxy, '/devices')
    expect([seen.status(), seen.text(), seen.end()]).toEqual([200, '{"see', 'broken'])
  })

  test('closes the connection in the middle of an event', async () => {
    const { target, proxy } = await start()
    const watch = await watching(proxy)
    proxy.add({ kind: 'cut' }, { afterEvents: 1 })
    target.push('a', 'b')
    await until('it is broken', () => watch.end() === 'broken')
    const [first, half, ...rest] = watch.text().split('\n')
    expect(JSON.parse(first!)).toEqual(eventOf('a'))
    expect(half!.length).toBeGreaterThan(10)
    expect(JSON.stringify(eventOf('b')).startsWith(half!)).toBe(true)
    expect(rest).toEqual([])
  })
})

describe('the end of a watch', () => {
  test('comes at once, well-formed, and again for the next one', async () => {
    const { target, proxy } = await start()
    const running = await watching(proxy)
    proxy.add({ kind: 'endWatch' })
    await until('the running one ends', () => running.end() === 'end')
    const next = await asked(proxy, '/devices?watch=true')
    expect([next.status(), next.headers()['content-type'], next.text(), next.end()]).toEqual([
      200,
      'application/json',
      '',
      'end',
    ])
    await until('the target is left', () => target.watches.size === 0)
    expect((await asked(proxy, '/devices')).text()).toBe('{"seen":3}')
  })

  test('comes after so many events', async () => {
    const { target, proxy } = await start()
    const running = await watching(proxy)
    target.push('a')
    await until('a is there', () => running.names().join() === 'a')
    proxy.add({ kind: 'endWatch' }, { afterEvents: 2 })
    target.push('b', 'c', 'd')
    await until('it ends', () => running.end() === 'end')
    expect(running.names()).toEqual(['a', 'b', 'c'])
  })

  test.each([410, 500] as const)('comes after an ERROR event with %i', async (code) => {
    const { target, proxy } = await start()
    const watch = await watching(proxy)
    proxy.add(
      { kind: 'errorEvent', code },
      { times: 1, event: ({ object }) => object.metadata?.name === 'b' },
    )
    target.push('a', 'b', 'c')
    await until('it ends', () => watch.end() === 'end')
    expect(watch.names()).toEqual(['a', `ERROR ${code}`])
    const next = await watching(proxy)
    target.push('b')
    await until('b is there', () => next.names().join() === 'b')
  })

  test('comes without any event', async () => {
    const { proxy } = await start()
    const watch = await watching(proxy)
    proxy.add({ kind: 'errorEvent', code: 410 })
    await until('it ends', () => watch.end() === 'end')
    expect(watch.names()).toEqual(['ERROR 410'])
  })
})

describe('events', () => {
  test('are held back, in order', async () => {
    const { target, proxy } = await start()
    const watch = await watching(proxy)
    const off = proxy.add({ kind: 'holdEvents' }, { afterEvents: 1 })
    target.push('a', 'b')
    target.push('c')
    await until('a is there', () => watch.names().join() === 'a')
    await aRoundTrip(proxy)
    expect(watch.names()).toEqual(['a'])
    off()
    await until('the others come', () => watch.names().join() === 'a,b,c')
  })

  test.each([
    ['dropEvents', {}, ''],
    ['dropEvents', { times: 1 }, 'b,c,d,e'],
    ['dropEvents', { times: 1, afterEvents: 2 }, 'a,b,d,e'],
    ['doubleEvents', {}, 'a,a,b,b,c,c,d,d,e,e'],
    ['doubleEvents', { afterEvents: 4 }, 'a,b,c,d,e,e'],
    // The last one waits for another that does not come.
    ['reorderEvents', {}, 'b,a,d,c'],
    ['reorderEvents', { times: 1, afterEvents: 1 }, 'a,c,b,d,e'],
  ] as const)('%s %j', async (kind, match, expected) => {
    const { target, proxy } = await start()
    const watch = await watching(proxy)
    const off = proxy.add({ kind }, match)
    target.push('a', 'b', 'c', 'd', 'e')
    await until('they have passed', () => watch.names().join() === expected)
    await aRoundTrip(proxy)
    expect(watch.names().join()).toBe(expected)
    off()
    const rest = kind === 'reorderEvents' && !('times' in match) ? ['e', 'f'] : ['f']
    target.push('f')
    await until('f comes', () => watch.names().at(-1) === 'f')
    expect(watch.names().join()).toBe([...(expected === '' ? [] : [expected]), ...rest].join())
  })

  test('are chosen one by one', async () => {
    const { target, proxy } = await start()
    const watch = await watching(proxy)
    proxy.add({ kind: 'dropEvents' }, { event: ({ object }) => object.metadata?.name === 'b' })
    target.push('a', 'b', 'c', 'b', 'd')
    await until('the others are there', () => watch.names().join() === 'a,c,d')
  })
})

test('the connections are those of a fault proxy', async () => {
  const { target, proxy } = await start()
  const watch = await watching(proxy)
  await proxy.tcp.refuse()
  expect((await asked(proxy, '/devices')).end()).toBe('broken')
  target.push('a')
  await until('a is there', () => watch.names().join() === 'a')
  await proxy.tcp.accept()
  proxy.tcp.add({ kind: 'reset' }, { only: 'living' })
  await until('the watch is broken', () => watch.end() === 'broken')
  await until('the target is left', () => target.watches.size === 0)
  await aRoundTrip(proxy)
  const times = proxy.requests.map(({ atMs }) => atMs)
  expect(mostWithin(60_000, times)).toBe(2)
  expect(mostWithin(times[1]! - times[0]!, times)).toBe(1)
})

requires('openssl')('TLS', () => {
  test('is spoken on both sides, each with its own certificate', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'reflash-proxy-'))
    cleanUps.push(() => rm(folder, { recursive: true }))
    const pem = async (): Promise<Pem> => {
      const { key, cert } = await makeCertificate(folder)
      return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
    }
    const [inner, outer] = [await pem(), await pem()]
    const target = await startTarget(inner)
    const proxy = await startHttpFaultProxy({ to: target.origin, ca: inner.cert, tls: outer })
    cleanUps.push(() => proxy.close())
    const askTls = (path: string, ca: string) => {
      const outgoing = requestTls(proxy.origin + path, {
        ca,
        agent: false,
        headers: { authorization: 'Bearer x' },
      })
      outgoing.end()
      return watchRequest(outgoing)
    }
    const watch = askTls('/devices?watch=true', outer.cert)
    await until('the watch is open', () => watch.status() === 200)
    target.push('a')
    await until('a is there', () => watch.names().join() === 'a')
    expect(target.seen).toMatchObject([{ headers: { authorization: 'Bearer x' } }])
    proxy.add({ kind: 'lose' })
    await until('it is broken', () => watch.end() === 'broken')
    const distrusting = askTls('/devices', inner.cert)
    await until('the certificate is refused', () => distrusting.end() === 'broken')
    // And so does the proxy itself.
    const astray = await startHttpFaultProxy({ to: target.origin, ca: outer.cert })
    cleanUps.push(() => astray.close())
    expect((await asked(astray, '/devices')).end()).toBe('broken')
    expect(target.seen.length).toBe(1)
  })
})

test('after its close nothing is left: no socket, no timer', async () => {
  const held = () =>
    process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP') || name === 'Timeout').length
  const before = held()
  const { target, proxy } = await start()
  await watching(proxy)
  await asked(proxy, '/devices')
  proxy.add({ kind: 'stall' })
  const seen = ask(proxy, '/devices')
  await until('the target has it', () => target.seen.length === 3)
  await proxy.close()
  await until('the client knows', () => seen.end() === 'broken')
  await until('the target is left', () => target.watches.size === 0)
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
  await until('sockets and timers are gone', () => held() <= before)
})
