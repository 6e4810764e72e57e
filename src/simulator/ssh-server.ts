import { once } from 'node:events'
import { createServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net'
import ssh2, { type AuthContext, type Connection, type ServerChannel } from 'ssh2'
import { systemClock } from '../adapters/clock/system-clock.ts'
import { ReflashError } from '../core/errors.ts'
import { servableKey } from './host-key.ts'
import type { CommandResult, Link, Router } from './router.ts'
import { splitCommand } from './split-command.ts'

export interface ServedRouter {
  address: string
  port: number
  /** Public-key lines that it shows at the moment. */
  hostKeys(): string[]
  close(): Promise<void>
}

/** How a server can be worse than the router behind it. */
export interface Manners {
  /** What it does to a client that was let in, beside serving it. */
  onClient?: (connection: Connection) => void
  /** Gives the answer to a command in its own way. */
  answer?: (channel: ServerChannel, result: CommandResult) => void
}

/** `dropbear -T 3`, as OpenWrt starts it. */
const maxRefusals = 3
const relistenMs = 100

const legacyKex = ['diffie-hellman-group14-sha1', 'diffie-hellman-group1-sha1'] as const

/**
 * Puts a router behind a real SSH server on loopback. While the router is down the port is closed, and so are its
 * connections; it comes back on the same port. The router has to run on the system clock.
 * @throws ReflashError `Unreachable` when it cannot listen there.
 */
export const serveRouter = async (
  router: Router,
  {
    address = '127.0.0.1',
    port = 0,
    manners = {},
  }: { address?: string; port?: number; manners?: Manners } = {},
): Promise<ServedRouter> => {
  const sockets = new Set<Socket>()
  let listener: TcpServer | undefined
  let servedPort = port
  let closed = false

  const accept = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // Clients come and go as they like.
    socket.on('error', () => socket.destroy())
    socket.setNoDelay()
    // Whoever only knocks says nothing, and is no occasion for a fault.
    socket.once('readable', () => {
      if (socket.readableLength > 0) greet(router, socket, manners)
    })
  }

  const stop = () => {
    listener?.close()
    listener = undefined
  }

  const start = async (): Promise<void> => {
    const next = createServer(accept).listen(servedPort, address)
    await once(next, 'listening')
    servedPort = (next.address() as AddressInfo).port
    listener = next
    if (closed || router.answer() !== 'Accepts') stop()
  }

  /** Its port may be taken for a moment, by an outgoing connection of somebody. */
  const restart = async (): Promise<void> => {
    while (!closed && listener === undefined && router.answer() === 'Accepts') {
      try {
        await start()
      } catch {
        await systemClock.sleep(relistenMs)
      }
    }
  }

  await start().catch((error: unknown) => {
    throw new ReflashError('Unreachable', `cannot listen on ${address} port ${port}`, { cause: error })
  })
  const forget = router.onPower((power, how) => {
    if (power === 'Down') stop()
    // What died in silence is reset by the next boot.
    if (power === 'Up' || how === 'Closed') for (const socket of sockets) socket.destroy()
    if (power === 'Up') void restart()
  })

  return {
    address,
    port: servedPort,
    hostKeys: () => router.state.hostKeys.map((key) => servableKey(key).line),
    close: async () => {
      closed = true
      forget()
      const ends = [listener, ...sockets].filter((end) => end !== undefined).map((end) => once(end, 'close'))
      stop()
      for (const socket of sockets) socket.destroy()
      await Promise.all(ends)
    },
  }
}

/** Every connection has a server of its own, because each may be offered something else. */
const greet = (router: Router, socket: Socket, manners: Manners): void => {
  const { hostKeys, legacyOnly, delayMs } = router.greet()
  const server = new ssh2.Server(
    {
      hostKeys: hostKeys.map((key) => servableKey(key).privateKey),
      ident: 'dropbear',
      algorithms: { compress: ['none'], ...(legacyOnly && { kex: [...legacyKex] }) },
    },
    (connection) => welcome(router, connection, socket, manners),
  )
  if (delayMs === 0) server.injectSocket(socket)
  else systemClock.after(delayMs, () => void (socket.destroyed || server.injectSocket(socket)))
}

/** Stops to answer, without a word. */
const mute = (socket: Socket) => {
  socket.removeAllListeners('data')
  socket.pause()
}

/** Serves one client: lets it in, and runs what it asks for. */
const welcome = (router: Router, connection: Connection, socket: Socket, manners: Manners): void => {
  const { onClient, answer = giveAnswer } = manners
  connection.on('error', () => socket.destroy())
  let refusals = 0
  connection.on('authentication', (context) => {
    const verdict = judge(router, context)
    if (verdict === 'Accepted') return context.accept()
    if (verdict === 'Refused') refusals += 1
    if (refusals < maxRefusals) context.reject(['password', 'publickey'])
    else socket.destroy()
  })
  connection.on('ready', () => {
    const link = router.open()
    link.onEnd((how) => void (how === 'Closed' ? socket.destroy() : mute(socket)))
    connection.on('close', () => link.close())
    connection.on('session', (acceptSession) => {
      acceptSession().on('exec', (acceptExec, _reject, { command }) => {
        void serveCommand(link, { command: splitCommand(command), channel: acceptExec(), answer })
      })
    })
    onClient?.(connection)
  })
}

/** ssh2 names the signature where OpenSSH lines name the key. */
const keyTypeOf = (algorithm: string): string => algorithm.replace(/^rsa-sha2-.*/, 'ssh-rsa')

const judge = (router: Router, context: AuthContext): 'Accepted' | 'Refused' | 'Unasked' => {
  const { username } = context
  if (context.method === 'password')
    return router.authenticate({ username, password: context.password }) ? 'Accepted' : 'Refused'
  if (context.method !== 'publickey') return 'Unasked'
  const { key, blob, signature, hashAlgo } = context
  // A client asks whether a key would do before it signs; the answer commits to nothing.
  if (blob === undefined || signature === undefined) return 'Accepted'
  const publicKey = `${keyTypeOf(key.algo)} ${key.data.toString('base64')}`
  const parsed = ssh2.utils.parseKey(publicKey)
  const proven = !(parsed instanceof Error) && [parsed].flat()[0]?.verify(blob, signature, hashAlgo) === true
  return proven && router.authenticate({ username, publicKey }) ? 'Accepted' : 'Refused'
}

interface Served {
  command: readonly string[]
  channel: ServerChannel
  answer: NonNullable<Manners['answer']>
}

const serveCommand = async (link: Link, { command, channel, answer }: Served): Promise<void> => {
  channel.on('error', () => {})
  const result = await link.run(command, channel)
  // Input that nobody reads would keep the channel open.
  channel.resume()
  answer(channel, result)
}

const giveAnswer = (channel: ServerChannel, { code, stdout, stderr }: CommandResult): void => {
  channel.stderr.write(Buffer.from(stderr, 'latin1'))
  channel.write(Buffer.from(stdout, 'latin1'), () => {
    if (code !== null) channel.exit(code)
    channel.end()
    channel.close()
  })
}
