import { connect, type Socket } from 'node:net'
import { afterEach } from 'vitest'

/** A connection to which tests write bytes as they like. */
export interface RawConnection {
  socket: Socket
  write(text: string): void
  /** Everything that has come so far. */
  received(): string
  /** Resolves with all of it when the other side has closed. */
  closed: Promise<string>
}

const open = new Set<Socket>()
// Not `onTestFinished` of each: it would keep every connection of a long test, and all that came by it.
afterEach(() => {
  for (const socket of open) socket.destroy()
})

export function connectRaw(url: string): RawConnection {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let received = ''
  socket.setEncoding('latin1').on('data', (text: string) => (received += text))
  // A server that has said enough may cut the connection while we still write.
  socket.on('error', () => {})
  open.add(socket)
  const closed = new Promise<string>((resolve) =>
    socket.once('close', () => {
      open.delete(socket)
      resolve(received)
    }),
  )
  return { socket, write: (text) => void socket.write(text, 'latin1'), received: () => received, closed }
}

export interface RawAnswer {
  status: number
  headers: Record<string, string>
  body: string
}

/** The answers in what a server has sent; each with a Content-Length, or the last up to the end. */
export function answersIn(text: string): RawAnswer[] {
  const answers: RawAnswer[] = []
  let rest = text
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) throw new Error(`no whole header: ${rest}`)
    const [first, ...lines] = rest.slice(0, end).split('\r\n')
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(first!)?.[1]
    if (status === undefined) throw new Error(`no status line: ${first}`)
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.replace(/^[^:]*: */, '')]),
    )
    const length = headers['content-length'] === undefined ? Infinity : Number(headers['content-length'])
    answers.push({ status: Number(status), headers, body: rest.slice(end + 4, end + 4 + length) })
    rest = rest.slice(end + 4 + length)
  }
  return answers
}
