/** The connections to an API server, and who is asked as whom. */
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { stringify } from 'yaml'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { openClusterAccess } from '../../src/adapters/kubernetes/cluster-access.ts'
import { createTransport, type ApiAnswer } from '../../src/adapters/kubernetes/transport.ts'
import { makeCertificate } from '../support/certificate.ts'
import { startHttpFaultProxy } from '../support/http-fault-proxy.ts'
import { requires } from '../support/requires.ts'
import { startScriptedApi, streamReply, type Reply } from '../support/scripted-api.ts'
import { until } from '../support/until.ts'

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

const makeFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-transport-'))
  cleanUps.push(() => rm(folder, { recursive: true }))
  return folder
}

/** A transport as a kubeconfig has it, in virtual time. */
async function transportTo(server: string, parts: { cluster?: object; user?: object } = {}) {
  const kubeconfig = join(await makeFolder(), 'config')
  const config = {
    'current-context': 'a',
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    clusters: [{ name: 'a', cluster: { server, ...parts.cluster } }],
    users: [{ name: 'a', user: parts.user ?? {} }],
  }
  await writeFile(kubeconfig, stringify(config))
  const clock = createManualClock()
  const access = openClusterAccess({ kubeconfig }, () => clock.monotonic())
  const transport = createTransport({ access, clock, userAgent: 'reflash/7' })
  cleanUps.push(() => transport.close())
  const get = (path = '/things', more: object = {}): Promise<ApiAnswer> =>
    transport.request({ method: 'GET', path, ...more })
  return { transport, clock, get, kubeconfig }
}

async function startProxied(reply: (url: URL) => Reply = () => ({ body: { ok: true } })) {
  const api = await startScriptedApi(reply)
  const proxy = await startHttpFaultProxy({ to: api.url })
  cleanUps.push(() => proxy.close())
  return { api, proxy, ...(await transportTo(proxy.origin)) }
}

const unavailable = { code: 'ServerUnavailable' }

describe('connections', () => {
  test('are kept and used again, also when the first requests come all at once', async () => {
    const { proxy, transport, get } = await startProxied()
    await Promise.all(Array.from({ length: 5 }, () => get()))
    for (let index = 0; index < 20; index += 1) await get()
    expect(proxy.tcp.connections.length).toBeLessThanOrEqual(5)
    await transport.close()
    await until('all are closed', () => proxy.tcp.connections.every(({ closedMs }) => closedMs !== undefined))
    cleanUps.pop()
  })

  test('are plain for http, and the user agent is ours', async () => {
    const { api, get } = await startProxied()
    expect(await get()).toEqual({ status: 200, body: { ok: true } })
    expect(api.requests[0]!.headers['user-agent']).toBe('reflash/7')
  })
})

describe('an answer', () => {
  test('that does not come in time is none', async () => {
    const { proxy, get } = await startProxied()
    proxy.add({ kind: 'stall' })
    await expect(get('/things', { limitMs: 50 })).rejects.toMatchObject(unavailable)
  })

  test('of which the second half does not come in time is none', async () => {
    const { proxy, get } = await startProxied(() => ({ body: { long: 'x'.repeat(100_000) } }))
    proxy.tcp.add({ kind: 'stall' }, { direction: 'downstream', afterBytes: 50_000 })
    await expect(get('/things', { limitMs: 200 })).rejects.toMatchObject(unavailable)
  })

  test('that is waited for no longer rejects with the reason of who waits', async () => {
    const { proxy, get } = await startProxied()
    proxy.add({ kind: 'stall' })
    const reason = new Error('enough')
    const stopping = new AbortController()
    const asked = get('/things', { signal: stopping.signal })
    await until('the request', () => proxy.requests.length === 1)
    stopping.abort(reason)
    await expect(asked).rejects.toBe(reason)
  })

  test.each([
    ['7', 7000],
    ['0', 0],
    ['100000', 60_000],
    ['-1', undefined],
    ['soon', undefined],
  ])('with Retry-After: %s', async (header, retryAfterMs) => {
    const { get } = await startProxied(() => ({ status: 429, headers: { 'Retry-After': header }, body: {} }))
    expect((await get()).retryAfterMs).toBe(retryAfterMs)
  })
})

describe('a server that does not answer', () => {
  test('is asked once a second, and whoever asks meanwhile hears so at once', async () => {
    const { proxy, clock, get } = await startProxied()
    await get()
    const off = proxy.add({ kind: 'lose' })
    for (let asked = 0; asked < 50; asked += 1) {
      await expect(get()).rejects.toMatchObject(unavailable)
      await clock.advance(100)
    }
    // The first, and one in each second of five.
    expect(proxy.requests.length).toBeLessThanOrEqual(1 + 6)
    expect(proxy.requests.length).toBeGreaterThanOrEqual(1 + 4)
    off()
    await clock.advance(1000)
    for (let asked = 0; asked < 5; asked += 1) expect((await get()).status).toBe(200)
  })

  test('holds up nobody else while one request waits for it', async () => {
    const { proxy, clock, get } = await startProxied()
    proxy.add({ kind: 'lose' }, { times: 1 })
    await expect(get()).rejects.toMatchObject(unavailable)
    proxy.add({ kind: 'stall' }, { path: '/slow' })
    await clock.advance(1000)
    const slow = get('/slow', { limitMs: 2000 }).catch((error: unknown) => error)
    await until('the slow one', () => proxy.requests.length === 2)
    await clock.advance(1000)
    expect((await get()).status).toBe(200)
    proxy.clear()
    expect(await slow).toMatchObject({ status: 200 })
  })
})

describe('an error', () => {
  test.each([500, 501, 429])('of one request, %i, holds up no other', async (status) => {
    const { api, get } = await startProxied(({ pathname }) => ({
      status: pathname === '/broken' ? status : 200,
      body: {},
    }))
    for (let asked = 0; asked < 5; asked += 1) {
      expect((await get('/broken')).status).toBe(status)
      expect((await get()).status).toBe(200)
    }
    expect(api.requests).toHaveLength(10)
  })

  test.each([502, 503, 504])(
    'of a server that is not there, %i, is not asked for again at once',
    async (status) => {
      const { api, clock, get } = await startProxied(() => ({ status, body: '' }))
      expect((await get()).status).toBe(status)
      await expect(get()).rejects.toMatchObject(unavailable)
      await clock.advance(1000)
      expect((await get()).status).toBe(status)
      expect(api.requests).toHaveLength(2)
    },
  )
})

describe('a stream', () => {
  const lines = ['{"name":"käse-🧀"}', '', '{"a":1}']

  test('is read line by line, in pieces of one byte too; half a line at its end is none', async () => {
    const { proxy, transport } = await startProxied(() => streamReply('application/json', lines, 'end'))
    proxy.add({ kind: 'slice', bytes: 1 })
    const stream = await transport.stream({ method: 'GET', path: '/things' })
    const heard: string[] = []
    for await (const line of stream.lines) heard.push(line)
    expect(heard).toEqual(lines)
  })

  test('that breaks says so, after the lines that came', async () => {
    const { transport } = await startProxied(() => streamReply('application/json', lines, 'cut'))
    const stream = await transport.stream({ method: 'GET', path: '/things' })
    const heard: string[] = []
    const read = async () => {
      for await (const line of stream.lines) heard.push(line)
    }
    await expect(read()).rejects.toMatchObject(unavailable)
    expect(heard).toEqual(lines)
  })

  test('that was refused, with the refusal cut short, is a server that does not answer', async () => {
    const { transport } = await startProxied(() => (answer) => {
      answer.writeHead(500, { 'Content-Length': '1000' })
      answer.write('half', () => answer.destroy())
    })
    const stream = await transport.stream({ method: 'GET', path: '/things' })
    expect(stream.status).toBe(500)
    await expect(stream.text()).rejects.toMatchObject(unavailable)
  })
})

describe('credentials of a plugin', () => {
  /** A plugin that answers when a file is there, and notes each of its starts. */
  const startWithPlugin = async () => {
    const folder = await makeFolder()
    const [answer, starts] = [join(folder, 'answer'), join(folder, 'starts')]
    const script = `echo >>${starts}; until [ -e ${answer} ]; do sleep 0.02; done; cat ${answer}`
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: ['-c', script] }
    const api = await startScriptedApi(() => ({ body: {} }))
    const reply = (token: string) =>
      writeFile(answer, JSON.stringify({ kind: 'ExecCredential', status: { token } }))
    // So that none goes on waiting.
    cleanUps.push(() => reply('late'))
    const countStarts = async () => (await readFile(starts, 'utf8')).length
    return { api, reply, countStarts, ...(await transportTo(api.url, { user: { exec } })) }
  }

  test('that hangs holds up nobody for longer than they wait, and is started once', async () => {
    const { api, clock, reply, countStarts, get } = await startWithPlugin()
    const reason = new Error('enough')
    const asked = [
      expect(get('/things', { limitMs: 50 })).rejects.toMatchObject(unavailable),
      expect(get('/things', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason),
    ]
    await Promise.all(asked)
    await clock.advance(1000)
    await expect(get('/things', { limitMs: 50 })).rejects.toThrow(/has no credentials to be asked with/)
    expect(api.requests).toHaveLength(0)
    await clock.advance(1000)
    const waiting = get()
    await reply('t0ken')
    expect((await waiting).status).toBe(200)
    expect(api.requests[0]!.headers.authorization).toBe('Bearer t0ken')
    expect(await countStarts()).toBe(1)
  })

  test('that hangs holds up no stream that is given up', async () => {
    const { transport } = await startWithPlugin()
    const reason = new Error('silence')
    const stopping = new AbortController()
    const asked = transport.stream({ method: 'GET', path: '/things', signal: stopping.signal })
    stopping.abort(reason)
    await expect(asked).rejects.toBe(reason)
  })
})

describe.each([
  ['of the kubeconfig', (tokenFile: string) => ({ tokenFile })],
  [
    'of the kubeconfig, beside it',
    (tokenFile: string) => ({ tokenFile: relative(join(tmpdir(), 'kubeconfig'), tokenFile) }),
  ],
  ['of the kubeconfig, with a token for others', (tokenFile: string) => ({ tokenFile, token: 'unused' })],
  // As the library describes it.
  ['of a pod', (tokenFile: string) => ({ 'auth-provider': { name: 'tokenFile', config: { tokenFile } } })],
])('a token in a file %s', (_, userWith) => {
  const startGuarded = async (accepted: () => string) => {
    const tokenFile = join(await makeFolder(), 'token')
    await writeFile(tokenFile, 'old')
    const user = userWith(tokenFile)
    const seen: (string | undefined)[] = []
    const api = await startScriptedApi((_url, { headers }) => {
      seen.push(headers.authorization)
      return { status: headers.authorization === `Bearer ${accepted()}` ? 200 : 401, body: {} }
    })
    return { tokenFile, seen, ...(await transportTo(api.url, { user })) }
  }

  test('that was rotated is read again when the server refuses the old one', async () => {
    let accepted = 'old'
    const { tokenFile, seen, get } = await startGuarded(() => accepted)
    expect((await get()).status).toBe(200)
    accepted = 'new'
    await writeFile(tokenFile, 'new\n')
    expect((await get()).status).toBe(200)
    expect(seen).toEqual(['Bearer old', 'Bearer old', 'Bearer new'])
  })

  test('that was rotated is read again after a while without being refused', async () => {
    const { clock, tokenFile, seen, get } = await startGuarded(() => 'old')
    await get()
    await writeFile(tokenFile, 'new')
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 })
    cleanUps.push(async () => vi.useRealTimers())
    await clock.advance(61_000)
    await get()
    expect(seen.slice(0, 2)).toEqual(['Bearer old', 'Bearer new'])
  })

  test('that is gone is told', async () => {
    const { clock, tokenFile, get } = await startGuarded(() => 'old')
    await get()
    await rm(tokenFile)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 })
    cleanUps.push(async () => vi.useRealTimers())
    await clock.advance(61_000)
    await expect(get()).rejects.toThrow(/the credentials for .* cannot be read: ENOENT/)
  })

  test('that is refused while the kubeconfig is being written is asked for again', async () => {
    let accepted = 'old'
    const { clock, tokenFile, kubeconfig, get } = await startGuarded(() => accepted)
    await get()
    accepted = 'new'
    await writeFile(tokenFile, 'new')
    const whole = await readFile(kubeconfig)
    await writeFile(kubeconfig, '')
    await expect(get()).rejects.toMatchObject(unavailable)
    await writeFile(kubeconfig, whole)
    await clock.advance(1000)
    expect((await get()).status).toBe(200)
  })

  test('that is wrong is tried twice and no more', async () => {
    const { seen, get } = await startGuarded(() => 'another')
    expect((await get()).status).toBe(401)
    expect(seen).toHaveLength(2)
  })
})

requires('openssl')('certificates in files', () => {
  test('of the authority and of the client are taken up when they are rotated', async () => {
    const [mine, theirs, theirNext] = await Promise.all(
      ['client', 'server', 'next'].map(async () => makeCertificate(await makeFolder())),
    )
    const pem = async ({ key, cert }: { key: string; cert: string }) => ({
      key: await readFile(key, 'utf8'),
      cert: await readFile(cert, 'utf8'),
    })
    const clients: string[] = []
    const tls = { ...(await pem(theirs!)), requestCert: true, rejectUnauthorized: false }
    const server = createServer(tls, ({ socket }, answer) => {
      clients.push((socket as TLSSocket).getPeerCertificate().fingerprint256)
      answer.end('{}')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    cleanUps.push(async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    })
    const folder = await makeFolder()
    const [ca, cert, key] = ['ca', 'cert', 'key'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    const put = async (authority: { cert: string }, client: { key: string; cert: string }) => {
      await writeFile(ca, await readFile(authority.cert))
      await writeFile(cert, await readFile(client.cert))
      await writeFile(key, await readFile(client.key))
    }
    await put(theirs!, mine!)
    const { clock, get } = await transportTo(`https://127.0.0.1:${(server.address() as AddressInfo).port}`, {
      cluster: { 'certificate-authority': ca },
      user: { 'client-certificate': cert, 'client-key': key },
    })
    expect((await get()).status).toBe(200)
    server.setSecureContext(await pem(theirNext!))
    await put(theirNext!, theirs!)
    await clock.advance(10_000)
    expect((await get()).status).toBe(200)
    expect(new Set(clients).size).toBe(2)
    await writeFile(ca, await readFile(mine!.cert))
    await clock.advance(10_000)
    await expect(get()).rejects.toMatchObject(unavailable)
  })
})
