import { get as httpGet } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { startServer, type HttpServer, type HttpServerOptions } from '../../src/server/http-server.ts'
import { answersIn, connectRaw, type RawAnswer } from '../support/raw-http.ts'
import { until } from '../support/until.ts'

interface Served extends HttpServer {
  bugs: unknown[]
}

async function serve(options: Partial<HttpServerOptions> = {}): Promise<Served> {
  const bugs: unknown[] = []
  const server = await startServer({
    listen: { host: '127.0.0.1', port: 0 },
    fetch: ({ method, url }) => new Response(`${method} ${new URL(url).pathname}`),
    needsToken: false,
    maxConnections: 100,
    clock: systemClock,
    onBug: (error) => bugs.push(error),
    ...options,
  })
  onTestFinished(() => server.close())
  return { ...server, bugs }
}

/** Sends bytes and the end of them, and takes what comes until the server closes. */
async function exchange(url: string, bytes: string): Promise<RawAnswer[]> {
  const connection = connectRaw(url)
  connection.write(bytes)
  connection.socket.end()
  return answersIn(await connection.closed)
}

const request = (line: string, ...headers: string[]): string =>
  `${[`${line} HTTP/1.1`, 'Host: localhost', ...headers].join('\r\n')}\r\n\r\n`
const many = (count: number, line: (index: number) => string): string[] =>
  Array.from({ length: count }, (_, index) => line(index))

describe('what arrives at the port', () => {
  test.each<[string, string, number]>([
    ['a plain GET', request('GET /x'), 200],
    ['a GET over HTTP/1.0', 'GET /x HTTP/1.0\r\nHost: localhost\r\n\r\n', 200],
    ['a path with a name of many kinds of characters', request("GET /a.b-c_d~e/f:g@h!$&'()*+,;="), 200],
    ['a path with an encoded blank', request('GET /a%20b'), 200],
    ['32 query parameters', request(`GET /x?${many(32, (n) => `a${n}=1`).join('&')}`), 200],
    ['a selector of 20 terms', request(`GET /x?labelSelector=${many(20, (n) => `a${n}`).join(',')}`), 200],
    ['a set with many values', request(`GET /x?labelSelector=a+in+(${many(50, String).join(',')})`), 200],
    ['64 header fields', request('GET /x', ...many(63, (n) => `X-${n}: 1`)), 200],
    [
      'an upgrade to WebSocket, which is ignored',
      request('GET /x', 'Connection: Upgrade', 'Upgrade: websocket'),
      200,
    ],
    [
      'an upgrade to HTTP/2, which is ignored',
      request(
        'GET /x',
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQAAP__',
      ),
      200,
    ],
    ['a length of 0', request('GET /x', 'Content-Length: 0'), 200],

    ['POST', request('POST /x', 'Content-Length: 0'), 405],
    ['POST with a body that never comes', request('POST /x', 'Content-Length: 1000000'), 405],
    ['PUT that asks first', request('PUT /x', 'Content-Length: 10', 'Expect: 100-continue'), 405],
    ['PATCH in chunks', `${request('PATCH /x', 'Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n`, 405],
    ['DELETE', request('DELETE /x'), 405],
    ['OPTIONS of everything', request('OPTIONS *'), 405],
    ['TRACE', request('TRACE /x'), 405],
    ['CONNECT', request('CONNECT evil.example:22'), 405],
    ['PROPFIND', request('PROPFIND /x'), 405],

    ['GET with a body', `${request('GET /x', 'Content-Length: 3')}abc`, 413],
    ['GET with a body in chunks', `${request('GET /x', 'Transfer-Encoding: chunked')}0\r\n\r\n`, 413],
    ['HEAD with a body', `${request('HEAD /x', 'Content-Length: 3')}abc`, 413],
    ['GET that asks before it sends', request('GET /x', 'Content-Length: 3', 'Expect: 100-continue'), 413],
    ['a URL of 20 KB', request(`GET /${'x'.repeat(20_000)}`), 431],
    ['a URL of 5 KB', request(`GET /${'x'.repeat(5000)}`), 414],
    ['65 header fields', request('GET /x', ...many(64, (n) => `X-${n}: 1`)), 431],
    ['1000 header fields', request('GET /x', ...many(1000, (n) => `X-${n}: 1`)), 431],
    ['a header of 20 KB', request('GET /x', `X-Big: ${'x'.repeat(20_000)}`), 431],

    ['an empty segment', request('GET //x'), 400],
    ['an empty segment in the middle', request('GET /a//b'), 400],
    ['an encoded slash', request('GET /a%2fb'), 400],
    ['an encoded slash in upper case', request('GET /a%2Fb'), 400],
    ['an encoded backslash', request('GET /a%5cb'), 400],
    ['a backslash', request('GET /a\\b'), 400],
    ['an encoded NUL', request('GET /a%00b'), 400],
    ['an encoded line break', request('GET /a%0d%0ab'), 400],
    ['an encoded letter', request('GET /%61pi'), 400],
    ['an encoded dot', request('GET /a/%2e%2e/b'), 400],
    ['an encoded digit', request('GET /a%31'), 400],
    ['an encoded percent sign before a letter', request('GET /%2561pi'), 200],
    ['half of an encoded byte', request('GET /a%4'), 400],
    ['no encoded byte at all', request('GET /a%zz'), 400],
    ['a segment of two dots', request('GET /a/../b'), 400],
    ['a segment of one dot', request('GET /./b'), 400],
    ['a byte beyond ASCII', request('GET /a\xe9b'), 400],
    ['a URL with a host in it', request('GET http://localhost/x'), 400],
    ['33 query parameters', request(`GET /x?${many(33, (n) => `a${n}=1`).join('&')}`), 400],
    ['a selector of 21 terms', request(`GET /x?labelSelector=${many(21, (n) => `a${n}`).join(',')}`), 400],
    [
      'a field selector of 21 terms',
      request(`GET /x?fieldSelector=${many(21, (n) => `a${n}=b`).join('%2C')}`),
      400,
    ],
    ['a Host with a blank', 'GET /x HTTP/1.1\r\nHost: local host\r\n\r\n', 400],
    ['a Host with a path', 'GET /x HTTP/1.1\r\nHost: localhost/x\r\n\r\n', 400],
    ['a Host with a port that is none', 'GET /x HTTP/1.1\r\nHost: localhost:99999\r\n\r\n', 400],
    ['no Host', 'GET /x HTTP/1.1\r\n\r\n', 400],

    ['a method in lower case', request('get /x'), 400],
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.6\r\n', 400],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['HTTP/2 without asking', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['a version that is none', 'GET /x HTTP/9.9\r\nHost: localhost\r\n\r\n', 400],
    ['a version without a number', 'GET /x HTTP\r\nHost: localhost\r\n\r\n', 400],
    ['two lengths', request('GET /x', 'Content-Length: 3', 'Content-Length: 4'), 400],
    ['a length and chunks', request('GET /x', 'Content-Length: 3', 'Transfer-Encoding: chunked'), 400],
    ['a length that is no number', request('GET /x', 'Content-Length: -1'), 400],
    ['a header without a name', request('GET /x', ': x'), 400],
    ['a folded header', request('GET /x', 'X-A: 1', ' 2'), 400],
    ['a bare line feed', 'GET /x HTTP/1.1\nHost: localhost\n\n', 400],
    ['half a request line', 'GET /x', 400],
    ['half a header', 'GET /x HTTP/1.1\r\nHost: loc', 400],
  ])('%s', async (_, bytes, status) => {
    const { url, bugs } = await serve()
    const [answer, ...more] = await exchange(url, bytes)
    expect({ status: answer?.status, more, bugs }).toEqual({ status, more: [], bugs: [] })
    expect(answer!.headers).toMatchObject({
      'cache-control': 'no-store',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
      'x-content-type-options': 'nosniff',
    })
    for (const name of ['server', 'x-powered-by', 'set-cookie', 'access-control-allow-origin']) {
      expect(answer!.headers).not.toHaveProperty(name)
    }
    if (status === 200) return
    expect(answer!.headers['connection']).toBe('close')
    if (status === 405) expect(answer!.headers['allow']).toBe('GET, HEAD')
    if (bytes.startsWith('HEAD')) expect(answer!.body).toBe('')
    else expect(JSON.parse(answer!.body)).toMatchObject({ kind: 'Status', status: 'Failure', code: status })
  })

  test('ten requests at once are answered in their order', async () => {
    const { url } = await serve()
    const answers = await exchange(url, many(10, (n) => request(`GET /${n}`)).join(''))
    expect(answers.map(({ body }) => body)).toEqual(many(10, (n) => `GET /${n}`))
  })

  test('what is asked behind an endless answer waits for its turn, and costs nothing', async () => {
    let asked = 0
    const { url } = await serve({
      fetch: ({ url: of }) => {
        asked += 1
        return new Response(of.endsWith('/endless') ? new ReadableStream() : 'x'.repeat(1_000_000))
      },
    })
    const connection = connectRaw(url)
    connection.write(request('GET /endless') + many(300, () => request('GET /page')).join(''))
    await until('the first is answered', () => connection.received().includes('\r\n\r\n'))
    const [other] = await exchange(url, request('GET /other'))
    expect(other!.status).toBe(200)
    expect(asked).toBe(2)
    connection.socket.destroy()
    await exchange(url, request('GET /other'))
    expect(asked).toBe(3)
  })

  test('what follows a refused request is not answered', async () => {
    const { url } = await serve()
    const answers = await exchange(url, request('GET //x') + request('GET /secret'))
    expect(answers.map(({ status }) => status)).toEqual([400])
  })

  test('the sender of a large body reads why it is refused', async () => {
    const { url } = await serve()
    const connection = connectRaw(url)
    connection.write(request('POST /x', 'Content-Length: 500000'))
    connection.write('x'.repeat(500_000))
    expect(answersIn(await connection.closed)[0]!.status).toBe(405)
  })

  test('a body without an end is cut', async () => {
    const { url } = await serve()
    const connection = connectRaw(url)
    connection.write(request('POST /x', 'Transfer-Encoding: chunked'))
    const chunk = `10000\r\n${'x'.repeat(0x1_00_00)}\r\n`
    const send = (): void => {
      while (!connection.socket.destroyed && connection.socket.write(chunk));
    }
    connection.socket.on('drain', send)
    send()
    expect(answersIn(await connection.closed)[0]!.status).toBe(405)
  })

  test('HEAD is answered as GET is, without the body', async () => {
    const { url } = await serve()
    const [answer] = await exchange(url, request('HEAD /x'))
    expect(answer).toMatchObject({ status: 200, body: '' })
  })

  test('a HEAD ends the stream of its GET', async () => {
    let cancelled = 0
    const { url } = await serve({
      fetch: () => new Response(new ReadableStream({ cancel: () => void (cancelled += 1) })),
    })
    await exchange(url, request('HEAD /x'))
    expect(cancelled).toBe(1)
  })
})

describe('names of the host', () => {
  test.each([
    ['localhost', 200],
    ['LOCALHOST:8080', 200],
    ['127.0.0.1:1', 200],
    ['[::1]:8080', 200],
    ['evil.example', 403],
    ['localhost.evil.example', 403],
    ['127.0.0.1.evil.example', 403],
    ['localhost@evil.example', 400],
    ['192.0.2.1', 403],
    ['[::2]', 403],
  ])('%s, where nobody is asked who they are', async (host, status) => {
    const { url } = await serve()
    const [answer] = await exchange(url, `GET /x HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    expect(answer!.status).toBe(status)
  })

  test('are free where tokens are asked for', async () => {
    const { url } = await serve({ needsToken: true })
    const [answer] = await exchange(url, 'GET /x HTTP/1.1\r\nHost: reflash.example\r\n\r\n')
    expect(answer!.status).toBe(200)
  })
})

describe('patience', () => {
  const patience = { headersMs: 200, requestMs: 200, keepAliveMs: 200, stuckMs: 500 }

  test.each([
    ['a connection that says nothing', ''],
    ['half a request line', 'GET /'],
    ['half a header', 'GET /x HTTP/1.1\r\nHost: localhost\r\nX-'],
  ])('%s is closed', async (_, bytes) => {
    const { url } = await serve({ patience })
    const connection = connectRaw(url)
    connection.write(bytes)
    const answers = answersIn(await connection.closed)
    expect(answers.map(({ status }) => status)).toEqual([408])
  })

  test('a connection without a next request is closed', async () => {
    const { url } = await serve({ patience })
    const connection = connectRaw(url)
    connection.write(request('GET /x'))
    expect(answersIn(await connection.closed)).toHaveLength(1)
  })

  test('a client that takes nothing of a long answer is cut, and its route told', async () => {
    let cancelled = false
    const chunk = new Uint8Array(64 * 1024)
    const { url } = await serve({
      patience,
      fetch: () =>
        new Response(
          new ReadableStream({
            pull: (stream) => stream.enqueue(chunk),
            cancel: () => void (cancelled = true),
          }),
        ),
    })
    const connection = connectRaw(url)
    connection.socket.pause()
    connection.write(request('GET /x'))
    await until('the stream is cancelled', () => cancelled)
  })

  test('a stream may be silent for longer than anything else', async () => {
    const opened = Promise.withResolvers<ReadableStreamDefaultController<Uint8Array>>()
    const { url } = await serve({
      patience,
      fetch: () => new Response(new ReadableStream({ start: (stream) => opened.resolve(stream) })),
    })
    const connection = connectRaw(url)
    connection.write(request('GET /x'))
    const stream = await opened.promise
    await until('the header is there', () => connection.received().includes('\r\n\r\n'))
    await systemClock.sleep(800)
    stream.enqueue(new TextEncoder().encode('late\n'))
    stream.close()
    await until('it has come', () => connection.received().includes('late'))
  })

  test('connections beyond the limit are dropped', async () => {
    const { url } = await serve({ maxConnections: 2 })
    const first = connectRaw(url)
    const second = connectRaw(url)
    for (const connection of [first, second]) connection.write(request('GET /x'))
    await until('both are served', () => first.received() !== '' && second.received() !== '')
    const third = connectRaw(url)
    third.write(request('GET /x'))
    expect(await third.closed).toBe('')
  })
})

describe('bugs', () => {
  test('a route that throws is a 500 without details, and is told of', async () => {
    const { url, bugs } = await serve({ fetch: () => Promise.reject(new Error('the password is 123')) })
    const [answer] = await exchange(url, request('GET /x'))
    expect(answer!.status).toBe(500)
    expect(JSON.parse(answer!.body)).toMatchObject({ reason: 'InternalError', code: 500 })
    expect(answer!.body).not.toContain('123')
    expect(bugs).toEqual([new Error('the password is 123')])
  })

  test('a stream that fails is cut where it is, and is told of', async () => {
    let pulls = 0
    const { url, bugs } = await serve({
      fetch: () =>
        new Response(
          new ReadableStream({
            async pull(stream) {
              pulls += 1
              if (pulls > 3) throw new Error('the password is 123')
              stream.enqueue(new TextEncoder().encode('part\n'))
              await systemClock.sleep(5)
            },
          }),
        ),
    })
    const connection = connectRaw(url)
    connection.write(request('GET /x'))
    const text = await connection.closed
    expect(text).toContain('part')
    expect(text).not.toContain('123')
    expect(text.endsWith('0\r\n\r\n')).toBe(false)
    expect(bugs).toEqual([new Error('the password is 123')])
  })
})

describe('closing', () => {
  const endless = (signals: AbortSignal[]) => (asked: Request) => {
    signals.push(asked.signal)
    return new Response(
      new ReadableStream({
        start(stream) {
          stream.enqueue(new TextEncoder().encode('first\n'))
          asked.signal.addEventListener('abort', () => {
            stream.enqueue(new TextEncoder().encode('last\n'))
            stream.close()
          })
        },
      }),
    )
  }

  test('ends streams in their own words', async () => {
    const signals: AbortSignal[] = []
    const server = await serve({ fetch: endless(signals) })
    const connections = [connectRaw(server.url), connectRaw(server.url)]
    for (const connection of connections) connection.write(request('GET /x'))
    for (const connection of connections)
      await until('it runs', () => connection.received().includes('first'))
    await server.close()
    for (const connection of connections) expect(await connection.closed).toMatch(/last[^]*0\r\n\r\n$/)
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
  })

  test('does not wait for streams and clients that do not listen', async () => {
    const server = await serve({
      fetch: () => new Response(new ReadableStream({ start: (s) => s.enqueue(new Uint8Array(1)) })),
      patience: { closeMs: 100 },
    })
    const stubborn = connectRaw(server.url)
    stubborn.write(request('GET /x'))
    await until('it runs', () => stubborn.received() !== '')
    const half = connectRaw(server.url)
    half.write('GET /x HT')
    const silent = connectRaw(server.url)
    await server.close()
    await Promise.all([stubborn.closed, half.closed, silent.closed])
    const late = connectRaw(server.url)
    expect(await late.closed).toBe('')
  })

  test('a client that leaves ends its stream', async () => {
    const signals: AbortSignal[] = []
    const server = await serve({ fetch: endless(signals) })
    const call = httpGet(`${server.url}/x`)
    call.on('error', () => {})
    await until('it runs', () => signals.length === 1)
    call.destroy()
    await until('it is told', () => signals[0]!.aborted)
    expect(server.bugs).toEqual([])
  })

  test('says which port is taken, and by which flag to change it', async () => {
    const { url } = await serve()
    const port = Number(new URL(url).port)
    await expect(serve({ listen: { host: '127.0.0.1', port } })).rejects.toThrow(
      `127.0.0.1:${port} is in use by another process; give another address with --listen, or none`,
    )
  })
})
