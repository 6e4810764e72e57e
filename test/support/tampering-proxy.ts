import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface TamperingProxy {
  readonly port: number
  close(): void
}

/** Somebody between us and a device on loopback, who changes what the device says. */
export async function startTamperingProxy(
  devicePort: number,
  change: (chunk: Buffer) => Buffer,
): Promise<TamperingProxy> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const device = connect(devicePort, '127.0.0.1')
    for (const each of [socket, device]) {
      sockets.add(each)
      each.on('error', () => {})
    }
    device.on('data', (chunk) => socket.write(change(chunk)))
    device.on('close', () => socket.destroy())
    socket.on('data', (chunk) => device.write(chunk))
    socket.on('close', () => device.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** A change that puts other bytes, as many, in the place of some. */
export const replacing =
  (from: Buffer, to: Buffer) =>
  (chunk: Buffer): Buffer => {
    const at = chunk.indexOf(from)
    if (at < 0) return chunk
    const changed = Buffer.from(chunk)
    to.copy(changed, at)
    return changed
  }
