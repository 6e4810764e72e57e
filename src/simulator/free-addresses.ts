import { createServer, type AddressInfo, type Server } from 'node:net'

/** Ports on loopback that nobody listens on right now. */
export async function freeAddresses(count: number): Promise<{ address: string; port: number }[]> {
  const servers = await Promise.all(Array.from({ length: count }, listen))
  const addresses = servers.map((server) => ({
    address: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
  }))
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))))
  return addresses
}

const listen = (): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
