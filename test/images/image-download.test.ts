import type { LookupAddress } from 'node:dns'
import { type RequestListener, request as httpRequest } from 'node:http'
import { describe, expect, it } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { isAllowedAddress } from '../../src/adapters/images/address-rules.ts'
import type { Lookup } from '../../src/adapters/images/http-client.ts'
import { makeFirmware } from '../../src/simulator/firmware.ts'
import { type ImageServer, sendFile, serve, serveTls } from '../support/image-server.ts'
import { drain, makeStore, never, sha256Of } from '../support/image-stores.ts'
import { requires } from '../support/requires.ts'
import { until } from '../support/until.ts'

const bytes = makeFirmware({ version: '24.10.8', revision: 'r1-a', boards: ['a'], sizeBytes: 500_000 })
const sha256 = sha256Of(bytes)
const limits = { resumePauseMs: 1 }
const whole: RequestListener = (request, response) => sendFile(request, response, { bytes })
const rejection = (code: string, says = '') => ({ code, message: expect.stringContaining(says) })
const addressOf = (server: ImageServer) => `${server.origin}/a.bin`
const redirectTo =
  (location: string): RequestListener =>
  (_request, response) =>
    response.writeHead(302, { location }).end('elsewhere')

describe('an image from a URL', () => {
  it('is fetched once, and then comes from the cache', async () => {
    const server = await serve(whole)
    const { store } = await makeStore()
    for (let round = 0; round < 2; round += 1) {
      const stored = await store.fetch({ url: addressOf(server), sha256 }, never)
      expect(stored).toMatchObject({ sha256, sizeBytes: bytes.length, metadata: { revision: 'r1-a' } })
    }
    expect(sha256Of(await drain(store.open(sha256, never)))).toBe(sha256)
    expect(server.requests).toHaveLength(1)
    await until('no connection is left', async () => (await server.connections()) === 0)
  })

  it('is resumed where the connection was cut', async () => {
    const { store, unfinishedBytes } = await makeStore({ limits })
    const cuts = [
      { cutAfter: 100_000, arrivedBytes: 100_000 },
      { cutAfter: 150_000, arrivedBytes: 250_000 },
    ]
    const server = await serve((request, response) => {
      const cut = cuts.shift()
      const beforeCut = () =>
        until('the part is there', async () => (await unfinishedBytes()) === cut?.arrivedBytes)
      sendFile(request, response, { bytes, etag: '"one"', ...(cut && { cutAfter: cut.cutAfter, beforeCut }) })
    })
    expect(await store.fetch({ url: addressOf(server), sha256 }, never)).toMatchObject({ sha256 })
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([
      undefined,
      'bytes=100000-',
      'bytes=250000-',
    ])
  })

  it('starts over when it has changed on the server meanwhile', async () => {
    let etag = '"old"'
    const server = await serve((request, response) => {
      if (etag === '"new"') return sendFile(request, response, { bytes, etag })
      sendFile(request, response, { bytes: Buffer.alloc(500_000), etag, cutAfter: 100_000 })
      etag = '"new"'
    })
    const { store } = await makeStore({ limits })
    expect(await store.fetch({ url: addressOf(server), sha256 }, never)).toMatchObject({ sha256 })
    expect(server.requests).toHaveLength(2)
  })

  it.each([undefined, 'W/"weak"'])('starts over when the server gives the ETag %s', async (etag) => {
    let isFirst = true
    const server = await serve((request, response) => {
      sendFile(request, response, { bytes, ...(etag && { etag }), ...(isFirst && { cutAfter: 100_000 }) })
      isFirst = false
    })
    const { store } = await makeStore({ limits })
    expect(await store.fetch({ url: addressOf(server), sha256 }, never)).toMatchObject({ sha256 })
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([undefined, undefined])
  })

  it('is given up when it is cut again and again', async () => {
    const server = await serve((request, response) =>
      sendFile(request, response, { bytes, etag: '"one"', cutAfter: 1000 }),
    )
    const { store, unfinished } = await makeStore({ limits: { ...limits, maxResumes: 3 } })
    const fetching = store.fetch({ url: addressOf(server), sha256 }, never)
    await expect(fetching).rejects.toMatchObject(rejection('FetchFailed', '/a.bin cannot be fetched'))
    expect(server.requests).toHaveLength(4)
    expect(await unfinished()).toEqual([])
  })

  it('is not believed when the server sends another part than was asked for', async () => {
    const { store, unfinishedBytes } = await makeStore({ limits })
    const server = await serve((request, response) => {
      const beforeCut = () => until('the part is there', async () => (await unfinishedBytes()) === 1000)
      const cut = { bytes, etag: '"one"', cutAfter: 1000, beforeCut }
      if (!request.headers.range) return sendFile(request, response, cut)
      response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end('0123456789')
    })
    const fetching = store.fetch({ url: addressOf(server), sha256 }, never)
    await expect(fetching).rejects.toMatchObject(rejection('FetchFailed', 'another part'))
  })

  it.each<{ name: string; answer: RequestListener; code: string; says: string }>([
    {
      name: 'is missing',
      answer: (_, response) => response.writeHead(404).end(),
      code: 'NotFound',
      says: '404',
    },
    {
      name: 'is gone',
      answer: (_, response) => response.writeHead(410).end(),
      code: 'NotFound',
      says: '410',
    },
    {
      name: 'is forbidden',
      answer: (_, response) => response.writeHead(403).end(),
      code: 'FetchFailed',
      says: '403',
    },
    {
      name: 'breaks the server',
      answer: (_, response) => response.writeHead(500).end(),
      code: 'FetchFailed',
      says: '500',
    },
    {
      name: 'is cut before its first byte',
      answer: (_, response) => response.destroy(),
      code: 'FetchFailed',
      says: '/a.bin',
    },
    {
      name: 'is a page that says sorry',
      answer: (_, response) => response.end('<html>Sorry</html>'),
      code: 'DigestMismatch',
      says: sha256,
    },
    { name: 'is empty', answer: (_, response) => response.end(), code: 'DigestMismatch', says: sha256 },
    {
      name: 'declares too many bytes',
      answer: (_, response) => response.writeHead(200, { 'content-length': 10e9 }).write('x'),
      code: 'TooLarge',
      says: '10000000000',
    },
    {
      name: 'sends bytes without end',
      answer: (_, response) => {
        const chunk = Buffer.alloc(64 * 1024)
        const more = () => {
          while (!response.destroyed && response.write(chunk));
        }
        response.on('drain', more)
        more()
      },
      code: 'TooLarge',
      says: 'more',
    },
  ])('fails without a second try when it $name', async ({ answer, code, says }) => {
    const server = await serve(answer)
    const { store, kept, unfinished } = await makeStore({ limits, maxBytes: 1_000_000 })
    const url = `${addressOf(server)}?token=hunter2#hunter2`
    const fetching = store.fetch({ url, sha256 }, never)
    await expect(fetching).rejects.toMatchObject(rejection(code, says))
    await expect(fetching).rejects.not.toMatchObject(rejection(code, 'hunter2'))
    expect(server.requests).toHaveLength(1)
    expect([...(await kept()), ...(await unfinished())]).toEqual([])
    await until('the connection is closed', async () => (await server.connections()) === 0)
  })

  it('fails when nobody listens', async () => {
    const server = await serve(whole)
    const { store } = await makeStore({
      http: { lookup: (_, __, done) => done(null, [{ address: '127.0.0.2', family: 4 }]) },
    })
    const fetching = store.fetch({ url: `http://images.test:${server.port}/a.bin`, sha256 }, never)
    await expect(fetching).rejects.toMatchObject(rejection('FetchFailed', 'ECONNREFUSED'))
  })

  it('fails when its name cannot be resolved', async () => {
    const missing = Object.assign(new Error('getaddrinfo ENOTFOUND images.test'), { code: 'ENOTFOUND' })
    const { store } = await makeStore({ http: { lookup: (_, __, done) => done(missing, []) } })
    const fetching = store.fetch({ url: 'http://images.test/a.bin', sha256 }, never)
    await expect(fetching).rejects.toMatchObject(rejection('FetchFailed', 'ENOTFOUND'))
  })

  it('needs its digest', async () => {
    const { store } = await makeStore()
    const fetching = store.fetch({ url: 'http://127.0.0.1/a.bin' }, never)
    await expect(fetching).rejects.toMatchObject(rejection('UrlRefused', 'SHA-256'))
  })
})

describe('time for a download', () => {
  /** Sends a byte whenever it is told to. */
  const drip = async () => {
    let send = () => {}
    const server = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 1000 })
      send = () => void response.write('x')
      send()
    })
    return { server, send: () => send() }
  }

  it('ends after a minute without a byte', async () => {
    const clock = createManualClock()
    const { server } = await drip()
    const { store, unfinished } = await makeStore({ clock, limits: { maxResumes: 0 } })
    const fetching = store.fetch({ url: addressOf(server), sha256 }, never).catch((error: unknown) => error)
    await until('the request is there', () => server.requests.length === 1)
    await clock.advance(59_000)
    expect(await unfinished()).toHaveLength(1)
    await clock.advance(2000)
    expect(await fetching).toMatchObject(rejection('FetchFailed', 'no data for 60 s'))
    expect(await unfinished()).toEqual([])
  })

  it('ends at the deadline, however steadily bytes drip in', async () => {
    const clock = createManualClock()
    const { server, send } = await drip()
    const { store } = await makeStore({ clock, limits: { deadlineMs: 100_000 } })
    let failure: unknown
    store.fetch({ url: addressOf(server), sha256 }, never).catch((error: unknown) => (failure = error))
    await until('the request is there', () => server.requests.length === 1)
    let elapsedMs = 0
    await until('it gives up', async () => {
      send()
      await clock.advance(1000)
      elapsedMs += 1000
      return failure
    })
    expect(failure).toMatchObject(rejection('FetchFailed', 'longer than 100 s'))
    expect(elapsedMs).toBeGreaterThanOrEqual(100_000)
    await until('the connection is closed', async () => (await server.connections()) === 0)
  })

  it('ends on abort, with the reason of the caller', async () => {
    const { server } = await drip()
    const { store, unfinished } = await makeStore()
    const controller = new AbortController()
    const reason = new Error('stop')
    const fetching = store.fetch({ url: addressOf(server), sha256 }, controller.signal)
    await until('the request is there', () => server.requests.length === 1)
    controller.abort(reason)
    await expect(fetching).rejects.toBe(reason)
    await until('the connection is closed', async () => (await server.connections()) === 0)
    await until('nothing is left', async () => (await unfinished()).length === 0)
  })
})

describe('one download for many', () => {
  const gated = async () => {
    const gate = Promise.withResolvers<void>()
    const server = await serve((request, response) => void gate.promise.then(() => whole(request, response)))
    return { server, open: () => gate.resolve() }
  }

  it('is shared by all who ask at once', async () => {
    const { server, open } = await gated()
    const { store } = await makeStore()
    const all = Array.from({ length: 20 }, () => store.fetch({ url: addressOf(server), sha256 }, never))
    open()
    for (const stored of await Promise.all(all)) expect(stored).toMatchObject({ sha256 })
    expect(server.requests).toHaveLength(1)
  })

  it('goes on when one of them leaves, and ends with the last', async () => {
    const { server, open } = await gated()
    const { store } = await makeStore()
    const [first, second] = [new AbortController(), new AbortController()]
    const request = { url: addressOf(server), sha256 }
    const leaving = store.fetch(request, first.signal)
    const staying = store.fetch(request, second.signal)
    await until('the request is there', () => server.requests.length === 1)
    first.abort(new Error('left'))
    await expect(leaving).rejects.toThrow('left')
    second.abort(new Error('left too'))
    await expect(staying).rejects.toThrow('left too')
    await until('the connection is closed', async () => (await server.connections()) === 0)
    // Who comes after that gets a download of his own.
    const late = store.fetch(request, never)
    open()
    expect(await late).toMatchObject({ sha256 })
    expect(server.requests).toHaveLength(2)
  })

  it('fails for all of them, and is tried anew by the next', async () => {
    let isBroken = true
    const server = await serve((request, response) => {
      if (isBroken) response.writeHead(503).end()
      else whole(request, response)
    })
    const { store } = await makeStore()
    const request = { url: addressOf(server), sha256 }
    const results = await Promise.allSettled([store.fetch(request, never), store.fetch(request, never)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(server.requests).toHaveLength(1)
    isBroken = false
    expect(await store.fetch(request, never)).toMatchObject({ sha256 })
  })
})

describe('a redirect', () => {
  const hops = (count: number): RequestListener => {
    return (request, response) => {
      const hop = Number(request.url?.slice(1))
      if (hop < count) response.writeHead(307, { location: `/${hop + 1}?token=hunter2` }).end('elsewhere')
      else whole(request, response)
    }
  }
  const numbered = (count: number) =>
    serve((request, response) => {
      request.url = request.url?.split('?')[0] ?? ''
      hops(count)(request, response)
    })

  it('is followed five times', async () => {
    const server = await numbered(5)
    const { store } = await makeStore()
    expect(await store.fetch({ url: `${server.origin}/0`, sha256 }, never)).toMatchObject({ sha256 })
    expect(server.requests).toHaveLength(6)
  })

  it('is not followed a sixth time', async () => {
    const server = await numbered(6)
    const { store } = await makeStore()
    const fetching = store.fetch({ url: `${server.origin}/0`, sha256 }, never)
    await expect(fetching).rejects.toMatchObject(rejection('UrlRefused', 'more than 5'))
    expect(server.requests).toHaveLength(6)
    await until('the connections are closed', async () => (await server.connections()) === 0)
  })

  it.each([
    'file:///etc/passwd',
    'ftp://127.0.0.1/a.bin',
    'http://169.254.169.254/latest/meta-data',
    'http://[fe80::1]/a.bin',
    'http://root:hunter2@127.0.0.1/a.bin',
    'http://',
  ])('is not followed to %s', async (location) => {
    const server = await serve(redirectTo(location))
    const { store } = await makeStore()
    const fetching = store.fetch({ url: addressOf(server), sha256 }, never)
    await expect(fetching).rejects.toMatchObject({
      code: 'UrlRefused',
      message: expect.not.stringContaining('hunter2'),
    })
  })
})

requires('openssl')('https', () => {
  it('is fetched from a server that is trusted', async () => {
    const server = await serveTls(whole)
    const { store } = await makeStore({ http: { ca: server.ca } })
    expect(await store.fetch({ url: addressOf(server), sha256 }, never)).toMatchObject({ sha256 })
  })

  it('is refused from a server that is not', async () => {
    const server = await serveTls(whole)
    const { store } = await makeStore()
    const fetching = store.fetch({ url: addressOf(server), sha256 }, never)
    await expect(fetching).rejects.toMatchObject(rejection('FetchFailed', 'certificate'))
    expect(server.requests).toEqual([])
  })

  it('is never left for http by a redirect', async () => {
    const plain = await serve(whole)
    const server = await serveTls(redirectTo(addressOf(plain)))
    const { store } = await makeStore({ http: { ca: server.ca } })
    const fetching = store.fetch({ url: addressOf(server), sha256 }, never)
    await expect(fetching).rejects.toMatchObject(rejection('UrlRefused', 'from https: to http:'))
    expect(plain.requests).toEqual([])
  })

  it('may be reached from http by a redirect', async () => {
    const server = await serveTls(whole)
    const plain = await serve(redirectTo(addressOf(server)))
    const { store } = await makeStore({ http: { ca: server.ca } })
    expect(await store.fetch({ url: addressOf(plain), sha256 }, never)).toMatchObject({ sha256 })
  })
})

describe('the address of a server', () => {
  it.each([
    'http://169.254.169.254/',
    'http://0xa9fea9fe/',
    'http://2852039166/',
    'http://169.254.43518/',
    'http://[::ffff:169.254.169.254]/',
    'http://[fe80::1]/',
    'http://[fd00:ec2::254]/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://user@127.0.0.1/',
    'http://:hunter2@127.0.0.1/',
    'file:///etc/passwd',
    'https://',
    'nonsense',
  ])('is refused: %s', async (url) => {
    const { store } = await makeStore()
    const fetching = store.fetch({ url, sha256 }, never)
    await expect(fetching).rejects.toMatchObject({
      code: 'UrlRefused',
      message: expect.not.stringContaining('hunter2'),
    })
  })

  const resolveTo =
    (...addresses: LookupAddress[]): Lookup =>
    (_name, _options, done) =>
      done(null, addresses)
  const metadataService = { address: '169.254.169.254', family: 4 }
  const loopback = { address: '127.0.0.1', family: 4 }

  it('is checked when the name has been resolved', async () => {
    const { store } = await makeStore({ http: { lookup: resolveTo(metadataService) } })
    const fetching = store.fetch({ url: 'http://images.test/a.bin', sha256 }, never)
    await expect(fetching).rejects.toMatchObject(rejection('UrlRefused', 'images.test (169.254.169.254)'))
  })

  it('is checked anew after each redirect and each resolution', async () => {
    const server = await serve(redirectTo('/again'))
    let lookups = 0
    const lookup: Lookup = (_name, _options, done) => {
      lookups += 1
      done(null, [lookups === 1 ? loopback : metadataService])
    }
    const { store } = await makeStore({ http: { lookup } })
    const fetching = store.fetch({ url: `http://images.test:${server.port}/a.bin`, sha256 }, never)
    await expect(fetching).rejects.toMatchObject(rejection('UrlRefused', '169.254.169.254'))
    expect(server.requests).toHaveLength(1)
  })

  it('is one of those that are allowed when a name has several', async () => {
    const server = await serve(whole)
    const { store } = await makeStore({ http: { lookup: resolveTo(metadataService, loopback) } })
    const url = `http://images.test:${server.port}/a.bin`
    expect(await store.fetch({ url, sha256 }, never)).toMatchObject({ sha256 })
  })

  it('may not be private where that is forbidden', async () => {
    const server = await serve(whole)
    const { store } = await makeStore({ allowPrivateUrls: false, http: { lookup: resolveTo(loopback) } })
    for (const host of ['127.0.0.1', 'images.test']) {
      const fetching = store.fetch({ url: `http://${host}:${server.port}/a.bin`, sha256 }, never)
      await expect(fetching).rejects.toMatchObject(rejection('UrlRefused', '127.0.0.1'))
    }
    expect(server.requests).toEqual([])
  })

  it.each([
    ['192.0.2.1', true, true],
    ['2001:db8::1', true, true],
    ['127.0.0.1', true, false],
    ['::1', true, false],
    ['0.0.0.0', true, false],
    ['10.1.2.3', true, false],
    ['172.31.0.1', true, false],
    ['172.32.0.1', true, true],
    ['192.168.1.1', true, false],
    ['100.64.0.1', true, false],
    ['fd12::1', true, false],
    ['::ffff:10.0.0.1', true, false],
    ['169.254.0.1', false, false],
    ['::ffff:169.254.0.1', false, false],
    ['::169.254.0.1', false, false],
    ['fe80::1%eth0', false, false],
    ['febf::1', false, false],
    ['2002:a9fe:a9fe::1', false, false],
    ['100.100.100.200', false, false],
    ['168.63.129.16', false, false],
    ['nonsense', false, false],
    ['', false, false],
  ])('%s is allowed: %s, and without private networks: %s', (address, usually, strictly) => {
    expect(isAllowedAddress(address, true)).toBe(usually)
    expect(isAllowedAddress(address, false)).toBe(strictly)
  })
})

describe('a proxy', () => {
  /** Forwards what it is sent in absolute form. */
  const forward: RequestListener = (request, response) => {
    const onwards = httpRequest(request.url ?? '', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onwards.on('error', () => response.destroy())
    onwards.end()
  }

  it('is used when it is set, even on an address that images may not come from', async () => {
    const [server, proxy] = await Promise.all([serve(whole), serve(forward)])
    const { store } = await makeStore({ http: { proxy: { httpProxy: proxy.origin, noProxy: '' } } })
    expect(await store.fetch({ url: addressOf(server), sha256 }, never)).toMatchObject({ sha256 })
    expect(proxy.requests.map(({ url }) => url)).toEqual([addressOf(server)])
  })

  it('is passed by for hosts that need none', async () => {
    const [server, proxy] = await Promise.all([serve(whole), serve(forward)])
    const { store } = await makeStore({ http: { proxy: { httpProxy: proxy.origin, noProxy: '127.0.0.1' } } })
    expect(await store.fetch({ url: addressOf(server), sha256 }, never)).toMatchObject({ sha256 })
    expect(proxy.requests).toEqual([])
  })

  it('does not make a forbidden address allowed', async () => {
    const proxy = await serve(forward)
    const { store } = await makeStore({ http: { proxy: { httpProxy: proxy.origin, noProxy: '' } } })
    const fetching = store.fetch({ url: 'http://169.254.169.254/a.bin', sha256 }, never)
    await expect(fetching).rejects.toMatchObject({ code: 'UrlRefused' })
    expect(proxy.requests).toEqual([])
  })
})
