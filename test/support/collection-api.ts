import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { RawObject } from '../../src/adapters/kubernetes/follow-kind.ts'
import { statusOf } from './http-faults.ts'

/** One collection as an API server has it: pages, watches from a version, and versions that grow too old. */
export interface CollectionApi {
  origin: string
  /** Makes or changes an object, and tells the watches. */
  put(...names: string[]): void
  /** Tells the watches how far they are. */
  bookmark(): void
  /** Writes this on every watch, whatever it is. */
  say(line: string): void
  endWatches(): void
  /** Forgets what happened: versions from before, and tokens of pages, are too old. */
  compact(): void
  /** Answers every list with this instead. */
  pretend(body: string | undefined): void
  watches(): number
  close(): Promise<void>
}

const tooOld = statusOf(410)

export async function startCollectionApi(): Promise<CollectionApi> {
  const objects = new Map<string, RawObject>()
  const watches = new Set<ServerResponse>()
  let history: { version: number; line: string }[] = []
  let version = 10
  let oldest = 0
  let pretended: string | undefined

  const send = (answer: ServerResponse, body: object, status = 200): void => {
    answer.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  }
  const list = (query: URLSearchParams, answer: ServerResponse): void => {
    const [at, made] = (query.get('continue') ?? `0 ${version}`).split(' ').map(Number) as [number, number]
    if (made < oldest) return send(answer, tooOld, 410)
    const all = [...objects.values()]
    const end = at + Number(query.get('limit') ?? all.length)
    const more = end < all.length ? `${end} ${made}` : ''
    const metadata = { resourceVersion: `${made}`, continue: more }
    send(answer, { apiVersion: 'v1', kind: 'List', metadata, items: all.slice(at, end) })
  }
  const watch = (query: URLSearchParams, answer: ServerResponse): void => {
    answer.writeHead(200, { 'Content-Type': 'application/json' }).flushHeaders()
    const from = Number(query.get('resourceVersion'))
    if (from < oldest) return void answer.end(`${JSON.stringify({ type: 'ERROR', object: tooOld })}\n`)
    for (const each of history) if (each.version > from) answer.write(each.line)
    watches.add(answer)
    answer.on('close', () => watches.delete(answer))
  }
  const say = (line: string): void => {
    for (const each of watches) each.write(line)
  }
  const server = createServer((request, answer) => {
    const { searchParams } = new URL(request.url!, 'http://api')
    if (searchParams.get('watch') === 'true') watch(searchParams, answer)
    else if (pretended !== undefined) answer.writeHead(200).end(pretended)
    else list(searchParams, answer)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    put(...names) {
      for (const name of names) {
        version += 1
        const type = objects.has(name) ? 'MODIFIED' : 'ADDED'
        const object = { metadata: { name, resourceVersion: `${version}` } }
        objects.set(name, object)
        const line = `${JSON.stringify({ type, object })}\n`
        history.push({ version, line })
        say(line)
      }
    },
    bookmark() {
      const object = { kind: 'Device', metadata: { resourceVersion: `${version}` } }
      say(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`)
    },
    say,
    endWatches() {
      for (const each of watches) each.end()
    },
    compact() {
      version += 1
      oldest = version
      history = []
    },
    pretend: (body) => void (pretended = body),
    watches: () => watches.size,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
