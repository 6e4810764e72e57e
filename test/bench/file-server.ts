/** A server of ready-made answers, and of nothing else: `node file-server.ts FOLDER` says its port on stdout. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

interface Answer {
  /** Path and query, as it was asked for. */
  url: string
  /** What the answer depends on beside the URL. */
  accept: string
  type: string
  file: string
}

const folder = process.argv[2]!
const answers = JSON.parse(readFileSync(join(folder, 'answers.json'), 'utf8')) as Answer[]

const server = createServer(({ url, headers }, response) => {
  const answer =
    answers.find((one) => one.url === url && one.accept === headers.accept) ??
    answers.find((one) => one.url === url)
  if (!answer) return response.writeHead(404, { 'content-type': 'text/plain' }).end('not found')
  return response.writeHead(200, { 'content-type': answer.type }).end(readFileSync(join(folder, answer.file)))
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as { port: number }).port}\n`)
})
