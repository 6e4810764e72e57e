/** Images from addresses and servers that nothing must come from. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Row } from './row.ts'

const anyDigest = 'ab'.repeat(32)

const fromUrl = (what: string, url: string, validated: string, logged: string | RegExp): Row => ({
  id: 'B19',
  what,
  restraint: 'image',
  spoil: async (good) => {
    await good.release()
    await good.edit('image.yaml', '{path: images/subject.bin}', `{url: "${url}"}\n  sha256: ${anyDigest}`)
  },
  says: [`image.yaml:6:17: spec.source.url: ${validated}`],
  logs: [logged],
})

/** What a server answers is only known to a run. */
const fromServer = (
  what: string,
  answer: RequestListener,
  logged: NonNullable<Row['logs']>,
  more: Partial<Row> = {},
): Row => ({
  id: 'B19',
  what,
  restraint: 'image',
  spoil: async (good) => {
    const server = createServer(answer)
    good.defer(() => {
      server.closeAllConnections()
      server.close()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await good.release()
    const source = `{url: "http://127.0.0.1:${port}/a.bin"}\n  sha256: ${anyDigest}`
    await good.edit('image.yaml', '{path: images/subject.bin}', source)
  },
  says: [],
  logs: logged,
  ...more,
})

const redirectTo =
  (location: string): RequestListener =>
  (_, response) =>
    response.writeHead(302, { location }).end()

const metadataService = '169.254.169.254'

export const urlRows: readonly Row[] = [
  fromUrl(
    'the metadata service of a cloud',
    `https://${metadataService}/latest/meta-data`,
    'images are not fetched from the address 169.254.169.254',
    'images are not fetched from the address 169.254.169.254',
  ),
  fromUrl(
    'the same, as an IPv6 address',
    'http://[::ffff:a9fe:a9fe]/',
    'images are not fetched from the address ::ffff:a9fe:a9fe',
    'images are not fetched from the address ::ffff:a9fe:a9fe',
  ),
  fromUrl(
    'a URL with a password',
    'https://root:hunter2@192.0.2.1/a.bin',
    'the URL must not carry a user name or password',
    'the URL must not carry a user name or password',
  ),
  fromServer('a redirect to a file', redirectTo('file:///etc/shadow'), [
    'the URL scheme file: is not allowed, only http: and https:',
  ]),
  fromServer('a redirect to the metadata service', redirectTo(`http://${metadataService}/`), [
    'images are not fetched from the address 169.254.169.254',
  ]),
  fromServer(
    'a body of 10 GB',
    (_, response) => response.writeHead(200, { 'content-length': 10_000_000_000 }).write('x'),
    ['the image has 10000000000 bytes, at most 67108864 are allowed'],
  ),
  fromServer('a file of another digest', (_, response) => response.end('something else'), [
    /^the image has the SHA-256 [0-9a-f]{64}, expected is (ab){32}$/,
  ]),
  fromServer(
    'a body that drips',
    (_, response) => {
      const drip = setInterval(() => response.write('x'), 1000)
      response.on('close', () => clearInterval(drip))
    },
    [],
    { neverEnds: true },
  ),
]
