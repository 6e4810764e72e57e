import { connect, type Socket } from 'node:net'
import { ReflashError } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import { guarded } from './guarded.ts'

/** "router.lan:22", "[fd00::1]:22". */
export const endpoint = (address: string, port: number): string =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`

const advice: Record<string, string> = {
  ECONNREFUSED: 'refuses connections: is its SSH server running, and on this port?',
  EHOSTUNREACH: 'cannot be reached: is it switched on, and is there a route to it?',
  ENETUNREACH: 'cannot be reached: there is no route to its network',
  ETIMEDOUT: 'does not answer: is it switched on, and does a firewall drop the connection?',
  ECONNRESET: 'resets the connection at once',
  ENOTFOUND: 'has a name that does not resolve',
  EAI_AGAIN: 'has a name that cannot be resolved now: is the DNS server reachable?',
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'

export const unreachable = (where: string, cause: unknown): ReflashError => {
  const code = codeOf(cause)
  return new ReflashError('Unreachable', `${where} ${advice[code] ?? 'cannot be reached'} (${code})`, {
    cause,
  })
}

export interface TcpOptions {
  address: string
  port: number
  limitMs: number
  clock: Clock
  signal: AbortSignal
}

/** A connected socket. @throws ReflashError `Unreachable`. */
export const openTcp = ({ address, port, limitMs, clock, signal }: TcpOptions): Promise<Socket> => {
  const where = endpoint(address, port)
  const late = () =>
    new ReflashError('Unreachable', `${where} does not answer within ${Math.round(limitMs / 1000)} s`, {
      cause: new Error('no answer to the TCP connection'),
    })
  return guarded({ clock, limitMs, signal, late }, (resolve, reject) => {
    // Without noDelay, Nagle and delayed acknowledgements make ssh2 uploads 25 to 50 times slower.
    const socket = connect({
      host: address,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
    })
    let connected = false
    // The listener stays for the socket's life: a socket may fail more than once.
    socket.on('error', (error) => reject(unreachable(where, error)))
    socket.once('connect', () => {
      connected = true
      resolve(socket)
    })
    return () => {
      if (!connected) socket.destroy()
    }
  })
}

/** The kernel itself asks again after a second only: too late for a device that comes up in between. */
const askAgainMs = 400

/**
 * Whether something accepts a connection within the limit; false as well when it is aborted. Of a device that reboots
 * this is asked many times, so it makes no error of what is no news.
 */
export const answersTcp = ({ address, port, limitMs, clock, signal }: TcpOptions): Promise<boolean> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve(false)
    const sockets: Socket[] = []
    let cancelAgain = (): void => {}
    const end = (answers: boolean): void => {
      cancelLimit()
      cancelAgain()
      signal.removeEventListener('abort', onAbort)
      for (const socket of sockets) socket.destroy()
      resolve(answers)
    }
    const onAbort = (): void => end(false)
    const ask = (): void => {
      const socket = connect({ host: address, port })
      socket.on('error', onAbort)
      socket.once('connect', () => end(true))
      sockets.push(socket)
      cancelAgain = clock.after(askAgainMs, ask)
    }
    const cancelLimit = clock.after(limitMs, onAbort)
    signal.addEventListener('abort', onAbort, { once: true })
    ask()
  })
