import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A port of the loopback that can be shut, so that connections to it are refused, and opened again. */
export interface Listener {
  readonly port: number
  shut(): Promise<void>
  open(): Promise<void>
  /** For good. */
  close(): void
}

const host = '127.0.0.1'

const listen = async (server: Server, port: number): Promise<number> => {
  server.listen(port, host)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** Binds a port without listening on it, by a connection that comes from there: nobody else is given it meanwhile. */
const keepPort = async (port: number, shut: () => void): Promise<() => void> => {
  const ends: Socket[] = []
  const server = createServer((socket) => void ends.push(socket.on('error', () => {})))
  const target = { host, port: await listen(server, 0) }
  shut()
  const socket = connect({ ...target, localAddress: host, localPort: port }).on('error', () => {})
  ends.push(socket)
  await Promise.all([once(socket, 'connect'), once(server, 'connection')])
  server.close()
  return () => {
    for (const end of ends) end.resetAndDestroy()
  }
}

/** Sockets are handed over half-open: they end only when they are told to. */
export const openListener = async (onSocket: (socket: Socket) => void): Promise<Listener> => {
  const start = () => createServer({ allowHalfOpen: true }, onSocket)
  let server: Server | undefined = start()
  let giveUpPort: (() => void) | undefined
  const port = await listen(server, 0)
  return {
    port,
    shut: async () => {
      const open = server
      if (!open) return
      server = undefined
      giveUpPort = await keepPort(port, () => void open.close())
    },
    open: async () => {
      if (server) return
      giveUpPort?.()
      server = start()
      await listen(server, port)
    },
    close: () => {
      server?.close()
      giveUpPort?.()
    },
  }
}
