import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** What a request gets; a function writes the answer itself, and may leave it open. */
export type Reply =
  | { status?: number; headers?: Record<string, string>; body: unknown }
  | ((answer: ServerResponse) => void)

/** A server that says what a test wants to hear, and remembers what it was asked. */
export interface ScriptedApi {
  url: string
  requests: { url: URL; headers: IncomingMessage['headers'] }[]
  /** Breaks every connection and listens no more. */
  stop(): Promise<void>
  /** Listens again where it did before. */
  start(): Promise<void>
}

export async function startScriptedApi(
  reply: (url: URL, request: IncomingMessage) => Reply,
): Promise<ScriptedApi> {
  const requests: ScriptedApi['requests'] = []
  const server = createServer((request, answer) => {
    const url = new URL(request.url!, 'http://api')
    requests.push({ url, headers: request.headers })
    const said = reply(url, request)
    if (typeof said === 'function') {
      said(answer)
      return
    }
    answer.writeHead(said.status ?? 200, { 'Content-Type': 'application/json', ...said.headers })
    answer.end(typeof said.body === 'string' ? said.body : JSON.stringify(said.body))
  })
  let port = 0
  const start = async (): Promise<void> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    ;({ port } = server.address() as AddressInfo)
  }
  const stop = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  await start()
  onTestFinished(stop)
  return { url: `http://127.0.0.1:${port}`, requests, start, stop }
}

/** Sends lines on an answer that stays open, unless it ends, or is cut within one more line. */
export function streamReply(contentType: string, lines: readonly string[], then?: 'end' | 'cut'): Reply {
  return (answer) => {
    answer.writeHead(200, { 'Content-Type': contentType })
    const half = then === 'cut' ? '{"type":"MODIFIED","obj' : ''
    answer.write(lines.map((line) => `${line}\n`).join('') + half, () => {
      if (then === 'end') answer.end()
      if (then === 'cut') answer.destroy()
    })
  }
}
