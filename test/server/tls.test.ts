import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { get } from 'node:https'
import { join } from 'node:path'
import { connect, type PeerCertificate } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { startServer } from '../../src/server/http-server.ts'
import { openTlsFiles } from '../../src/server/tls-files.ts'
import { makeCertificate } from '../support/certificate.ts'
import { connectRaw } from '../support/raw-http.ts'
import { requires } from '../support/requires.ts'
import { makeTree } from '../support/tree.ts'

interface Answer {
  status: number | undefined
  fingerprint: string
}

/** One request over a connection of its own; which certificate was shown, whoever signed it. */
const ask = (url: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    // The certificate is looked at below.
    const options = { agent: false, rejectUnauthorized: false } as const
    get(`${url}/x`, options, (response) => {
      const { fingerprint256 } = (
        response.socket as unknown as { getPeerCertificate(): PeerCertificate }
      ).getPeerCertificate()
      response.resume()
      response.once('end', () => resolve({ status: response.statusCode, fingerprint: fingerprint256 }))
    }).once('error', reject)
  })

async function serveTls() {
  const folder = await makeTree()
  const paths = await makeCertificate(folder)
  const clock = createManualClock()
  const errors: string[] = []
  const server = await startServer({
    listen: { host: '127.0.0.1', port: 0 },
    fetch: () => new Response('ok'),
    needsToken: false,
    maxConnections: 100,
    clock: systemClock,
    onBug: (error) => errors.push(String(error)),
    tls: openTlsFiles(paths, { clock, onError: (why) => errors.push(why) }),
  })
  onTestFinished(() => server.close())
  return { url: server.url, folder, paths, clock, errors }
}

/** Another certificate in the place of the one that is there. */
async function replaceCertificate(folder: string, paths: { cert: string; key: string }): Promise<void> {
  const next = join(folder, 'next')
  await mkdir(next, { recursive: true })
  const { cert, key } = await makeCertificate(next)
  await rename(key, paths.key)
  await rename(cert, paths.cert)
}

requires('openssl')('TLS', () => {
  test('is asked for by the URL, and answers', async () => {
    const { url } = await serveTls()
    expect(url).toMatch(/^https:/)
    expect(await ask(url)).toMatchObject({ status: 200 })
  })

  test('a new certificate is shown to those who come after it, and nobody is cut', async () => {
    const { url, folder, paths, clock, errors } = await serveTls()
    const before = await ask(url)
    await replaceCertificate(folder, paths)
    expect(await ask(url)).toEqual(before)
    await clock.advance(1000)
    const after = await ask(url)
    expect(after.status).toBe(200)
    expect(after.fingerprint).not.toBe(before.fingerprint)
    expect(errors).toEqual([])
  })

  test('a bad one is told of once and not used, until it is mended', async () => {
    const { url, folder, paths, clock, errors } = await serveTls()
    const before = await ask(url)
    const old = await readFile(paths.cert)
    await writeFile(paths.cert, 'this is no certificate')
    for (let n = 0; n < 3; n += 1) {
      await clock.advance(1000)
      expect(await ask(url)).toEqual(before)
    }
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatch(/^--tls-cert .*; the certificate from before stays in use$/)

    // Half of a replacement: the certificate is there and its key is not yet.
    await writeFile(paths.cert, old)
    await clock.advance(1000)
    expect(await ask(url)).toEqual(before)
    await replaceCertificate(folder, paths)
    await clock.advance(1000)
    expect((await ask(url)).fingerprint).not.toBe(before.fingerprint)
  })

  test('that is older than 1.2 is not spoken', async () => {
    const { url } = await serveTls()
    const failed = new Promise<Error>((resolve) => {
      const { hostname, port } = new URL(url)
      connect({
        host: hostname,
        port: Number(port),
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'DEFAULT:@SECLEVEL=0',
        rejectUnauthorized: false,
      })
        .once('error', resolve)
        .once('secureConnect', () => resolve(new Error('it was spoken')))
    })
    expect((await failed).message).toMatch(/protocol version/)
  })

  test('who does not speak it is cut, and the server goes on', async () => {
    const { url, errors } = await serveTls()
    const plain = connectRaw(url.replace('https', 'http'))
    plain.write('GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect(await plain.closed).not.toContain('200')
    expect(await ask(url)).toMatchObject({ status: 200 })
    expect(errors).toEqual([])
  })

  test.each([
    ['a certificate that is missing', { cert: 'none.pem' }, /--tls-cert .*ENOENT/],
    ['a key as certificate', { cert: 'key.pem' }, /--tls-cert /],
    ['the key of another one', { key: 'other/key.pem' }, /--tls-key .*key values mismatch/],
  ])('%s is refused at the start', async (_, changed, message) => {
    const folder = await makeTree({ 'other/.keep': '' })
    await makeCertificate(join(folder, 'other'))
    await makeCertificate(folder)
    const [cert, key] = ['cert.pem', 'key.pem']
    const named = { cert, key, ...changed }
    const paths = { cert: join(folder, named.cert), key: join(folder, named.key) }
    expect(() => openTlsFiles(paths, { clock: createManualClock(), onError: () => {} })).toThrow(message)
  })
})
