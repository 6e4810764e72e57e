import { readFile } from 'node:fs/promises'
import {
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  createServer,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { makeCertificate } from './certificate.ts'
import { makeFolder } from './image-stores.ts'

/** A web server that lives as long as the test, on loopback. */
export interface ImageServer {
  origin: string
  port: number
  /** The requests so far. */
  requests: { url: string; headers: IncomingMessage['headers'] }[]
  /** Connections that are open now. */
  connections(): Promise<number>
}

const listen = async (
  server: Server,
  scheme: string,
  requests: ImageServer['requests'],
): Promise<ImageServer> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return {
    origin: `${scheme}://127.0.0.1:${port}`,
    port,
    requests,
    connections: () => promisify(server.getConnections.bind(server))(),
  }
}

const recording = (requests: ImageServer['requests'], answer: RequestListener): RequestListener => {
  return (request, response) => {
    requests.push({ url: request.url ?? '', headers: request.headers })
    answer(request, response)
  }
}

export const serve = (answer: RequestListener): Promise<ImageServer> => {
  const requests: ImageServer['requests'] = []
  return listen(createServer(recording(requests, answer)), 'http', requests)
}

/** Also gives the CA to trust. Needs the program `openssl`. */
export const serveTls = async (answer: RequestListener): Promise<ImageServer & { ca: string }> => {
  const { key, cert } = await makeCertificate(await makeFolder())
  const requests: ImageServer['requests'] = []
  const ca = await readFile(cert, 'utf8')
  const server = createTlsServer({ key: await readFile(key), cert: ca }, recording(requests, answer))
  return { ...(await listen(server, 'https', requests)), ca }
}

interface Sending {
  bytes: Buffer
  etag?: string
  /** Cuts the connection after so many bytes, */
  cutAfter?: number
  /** and not before this. */
  beforeCut?: () => Promise<unknown>
}

/** Sends the file, or the part that is asked for, as a good server does. */
export const sendFile = (
  request: IncomingMessage,
  response: ServerResponse,
  { bytes, etag, cutAfter, beforeCut = () => Promise.resolve() }: Sending,
): void => {
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? []
  const offset = from !== undefined && request.headers['if-range'] === etag ? Number(from) : 0
  const part = bytes.subarray(offset)
  response.writeHead(offset > 0 ? 206 : 200, {
    'content-length': part.length,
    ...(etag !== undefined && { etag }),
    ...(offset > 0 && { 'content-range': `bytes ${offset}-${bytes.length - 1}/${bytes.length}` }),
  })
  if (cutAfter === undefined) response.end(part)
  else {
    response.write(part.subarray(0, cutAfter))
    void beforeCut().then(() => response.destroy())
  }
}
