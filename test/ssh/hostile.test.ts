import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Connection, ServerChannel } from 'ssh2'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import type { Connector, Session } from '../../src/ports/connector.ts'
import { createFastClock } from '../support/fast-clock.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { type ScriptedServer, startScriptedServer } from '../support/ssh-servers.ts'
import { targetOf } from '../support/ssh-target.ts'
import { replacing, startTamperingProxy } from '../support/tampering-proxy.ts'
import { until } from '../support/until.ts'

const never = new AbortController().signal
const connector = createSshConnector({ clock: systemClock })
const cleanUps: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

/** Accepts TCP connections and does with them what it is told, which is not SSH. */
const startTcp = async (onSocket: (socket: Socket) => void): Promise<number> => {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  cleanUps.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const scripted = async (...args: Parameters<typeof startScriptedServer>): Promise<ScriptedServer> => {
  const server = await startScriptedServer(...args)
  cleanUps.push(() => server.close())
  return server
}

/** A device that treats every command as the function says. */
const device = (onExec: (channel: ServerChannel, client: Connection) => void): Promise<ScriptedServer> =>
  scripted((client) => {
    client.on('session', (accept) => {
      accept().on('exec', (acceptExec) => {
        const channel = acceptExec()
        channel.on('error', () => {})
        onExec(channel, client)
      })
    })
  })

const connect = async (server: { port: number }, by: Connector = connector): Promise<Session> => {
  const session = await by.connect(targetOf(server.port), 60_000, never)
  cleanUps.push(() => session.close())
  return session
}

describe('what is no SSH server', () => {
  test('says nothing: Timeout', async () => {
    const port = await startTcp(() => {})
    await expect(connector.connect(targetOf(port), 200, never)).rejects.toMatchObject({
      code: 'Timeout',
      message: expect.stringContaining('does not start SSH'),
    })
  })

  test.each([
    { name: 'hangs up', onSocket: (socket: Socket) => void socket.end() },
    { name: 'resets', onSocket: (socket: Socket) => void socket.resetAndDestroy() },
    {
      name: 'speaks HTTP',
      onSocket: (socket: Socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    },
    { name: 'is SSH 1', onSocket: (socket: Socket) => void socket.end('SSH-1.5-old\r\n') },
    {
      name: 'sends rubbish after its greeting',
      onSocket: (socket: Socket) =>
        void socket.end(Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.alloc(99, 255)])),
    },
  ])('$name: Unreachable', async ({ onSocket }) => {
    const port = await startTcp(onSocket)
    await expect(connector.connect(targetOf(port), 5000, never)).rejects.toMatchObject({
      code: 'Unreachable',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    })
  })

  test('greets without end: over at the deadline', async () => {
    const port = await startTcp((socket) => {
      const timer = setInterval(() => socket.write('x'), 5)
      socket.on('close', () => clearInterval(timer))
    })
    await expect(connector.connect(targetOf(port), 300, never)).rejects.toMatchObject({ code: 'Timeout' })
  })

  test('greets with more than 64 KiB: Unreachable', async () => {
    const port = await startTcp((socket) => void socket.write('hello\r\n'.repeat(10_000)))
    await expect(connector.connect(targetOf(port), 60_000, never)).rejects.toMatchObject({
      code: 'Unreachable',
      message: expect.stringContaining('no SSH identification within 65536 bytes'),
    })
  })

  test('is left at once on abort', async () => {
    const sockets: Socket[] = []
    const port = await startTcp((socket) => sockets.push(socket))
    const abort = new AbortController()
    const reason = new Error('enough')
    const connecting = connector.connect(targetOf(port), 60_000, abort.signal)
    const refused = expect(connecting).rejects.toBe(reason)
    const socket = await until('it has connected', () => sockets[0])
    abort.abort(reason)
    await refused
    socket.resume()
    await until('the socket is closed', () => socket.destroyed)
  })
})

describe('during the login', () => {
  test('a greeting and an identification may come byte by byte', async () => {
    const server = await scripted(() => {}, { greeting: 'SSH is here\r\nand nothing else' })
    const proxy = await startFaultProxy({ port: server.port })
    cleanUps.push(() => proxy.close())
    proxy.add({ kind: 'slice', bytes: 1 }, { direction: 'downstream' })
    const session = await connector.connect(targetOf(proxy.port), 20_000, never)
    expect(session.hostKeys).toEqual([server.hostKey])
    await session.close()
  })

  test('the wrong host key gets no authentication, not even a name', async () => {
    const server = await scripted(() => {})
    const other = await scripted(() => {})
    const target = targetOf(server.port, { hostKeys: [other.hostKey] })
    await expect(connector.connect(target, 5000, never)).rejects.toMatchObject({ code: 'HostKeyChanged' })
    await until('the connection is closed', () => server.connections() === 0)
    expect(server.authentications).toEqual([])
  })

  test('a silent device runs into the deadline', async () => {
    const server = await scripted((client) => client.on('authentication', () => {}))
    await expect(connector.connect(targetOf(server.port), 300, never)).rejects.toMatchObject({
      code: 'Timeout',
      message: expect.stringContaining('does not finish the SSH login'),
    })
  })

  test('what the device writes is shown as printable ASCII', async () => {
    const server = await scripted((client) =>
      client.on('authentication', (context) => context.reject(['\x1b[31mred\x07' as 'password'], false)),
    )
    await expect(connector.connect(targetOf(server.port), 5000, never)).rejects.toMatchObject({
      code: 'AuthFailed',
      message: expect.stringContaining(String.raw`\x1b[31mred\x07`),
    })
    expect(server.authentications).toEqual(['publickey root'])
  })

  test('a dropped connection is ConnectionLost', async () => {
    const server = await scripted((client) => client.on('authentication', () => client.end()))
    await expect(connector.connect(targetOf(server.port), 5000, never)).rejects.toMatchObject({
      code: 'ConnectionLost',
    })
  })

  test.each([
    {
      name: 'neither password nor key',
      credentials: { username: 'root' },
      why: 'neither a password nor a private key',
    },
    { name: 'no username', credentials: { username: '', password: 'x' }, why: 'no username' },
    {
      name: 'rubbish for a key',
      credentials: { username: 'root', privateKey: 'rubbish' },
      why: 'cannot be read',
    },
  ])('credentials with $name are refused before anything is sent', async ({ credentials, why }) => {
    const server = await scripted(() => {})
    const target = targetOf(server.port, { credentials })
    await expect(connector.connect(target, 5000, never)).rejects.toMatchObject({
      code: 'CredentialsInvalid',
      message: expect.stringContaining(why),
    })
    expect(server.connections()).toBe(0)
  })
})

describe('a command of a hostile device', () => {
  test('never answered ends at its deadline', async () => {
    const server = await scripted((client) => client.on('session', () => {}))
    const session = await connect(server)
    await expect(session.exec(['x'], { deadlineMs: 200 }, never)).rejects.toMatchObject({ code: 'Timeout' })
    await until('the connection is closed', () => server.connections() === 0)
  })

  test('that is silent ends at its deadline', async () => {
    const session = await connect(await device(() => {}))
    await expect(session.exec(['x'], { deadlineMs: 200 }, never)).rejects.toMatchObject({ code: 'Timeout' })
  })

  test('that drips ends at its deadline', async () => {
    const server = await device((channel) => {
      const timer = setInterval(() => channel.writable && channel.write('.'), 20)
      channel.on('close', () => clearInterval(timer))
      cleanUps.push(() => clearInterval(timer))
    })
    const session = await connect(server)
    await expect(session.exec(['x'], { deadlineMs: 300 }, never)).rejects.toMatchObject({ code: 'Timeout' })
  })

  test('that exits without closing its channel counts after 5 s', async () => {
    const session = await connect(
      await device((channel) => {
        channel.write('out')
        channel.exit(4)
      }),
      createSshConnector({ clock: createFastClock(50) }),
    )
    expect(await session.exec(['x'], { deadlineMs: 60_000 }, never)).toEqual({
      code: 4,
      stdout: 'out',
      stderr: '',
    })
  })

  test('that closes without an exit status has none', async () => {
    const session = await connect(await device((channel) => channel.close()))
    expect(await session.exec(['x'], { deadlineMs: 5000 }, never)).toMatchObject({ code: null })
  })

  test('cut off together with the connection after its exit status has that status only if its output was over', async () => {
    const session = await connect(
      await device((channel, client) => {
        channel.exit(0)
        setImmediate(() => client.end())
      }),
    )
    await expect(session.exec(['x'], { deadlineMs: 5000 }, never)).rejects.toMatchObject({
      code: 'ConnectionLost',
    })
    const complete = await connect(
      await device((channel, client) => {
        channel.exit(6)
        channel.stderr.end()
        channel.end()
        setImmediate(() => client.end())
      }),
    )
    expect(await complete.exec(['x'], { deadlineMs: 5000 }, never)).toMatchObject({ code: 6 })
  })

  test('may not paint the terminal when it dies by a signal', async () => {
    const session = await connect(
      await device((channel) => {
        channel.exit('KILL', false, '\x1b[31m'.repeat(1000))
        channel.end()
      }),
    )
    const result = await session.exec(['x'], { deadlineMs: 5000 }, never)
    expect(result).toEqual({ code: null, signal: 'SIGKILL', stdout: '', stderr: '' })
  })

  test('refused is Unsupported, and the session lives on', async () => {
    let asked = 0
    const server = await scripted((client) =>
      client.on('session', (accept) => {
        accept().on('exec', (acceptExec, reject) => {
          if (++asked === 1) return reject()
          const channel = acceptExec()
          channel.exit(0)
          channel.end()
        })
      }),
    )
    const session = await connect(server)
    await expect(session.exec(['x'], { deadlineMs: 5000 }, never)).rejects.toMatchObject({
      code: 'Unsupported',
    })
    expect(await session.exec(['x'], { deadlineMs: 5000 }, never)).toMatchObject({ code: 0 })
  })

  test('without a channel is Busy', async () => {
    const server = await scripted((client) => client.on('session', (_accept, reject) => reject()))
    const session = await connect(server)
    await expect(session.exec(['x'], { deadlineMs: 5000 }, never)).rejects.toMatchObject({ code: 'Busy' })
  })

  test('flooding after its exit takes the connection down', async () => {
    const server = await device((channel) => {
      channel.exit(0)
      const timer = setInterval(() => channel.writable && channel.write(Buffer.alloc(50_000)), 20)
      cleanUps.push(() => clearInterval(timer))
    })
    const session = await connect(server)
    await expect(session.exec(['x'], { deadlineMs: 5000 }, never)).rejects.toMatchObject({
      code: 'OutputTooLarge',
    })
    await until('the connection is closed', () => server.connections() === 0)
  })
})

describe('somebody in between', () => {
  test('who hides the strict key exchange of a device known for it is refused before the login', async () => {
    const server = await scripted(() => {})
    const attack = { on: false }
    const hide = replacing(Buffer.from('kex-strict-s-v00'), Buffer.from('kex-strict-x-v00'))
    const proxy = await startTamperingProxy(server.port, (chunk) => (attack.on ? hide(chunk) : chunk))
    cleanUps.push(() => proxy.close())
    const target = targetOf(proxy.port, { hostKeys: [server.hostKey] })
    const learning = createSshConnector({ clock: systemClock })
    await (await learning.connect(target, 5000, never)).close()
    attack.on = true
    await expect(learning.connect(target, 5000, never)).rejects.toMatchObject({
      code: 'ConnectionLost',
      message: expect.stringContaining('strict key exchange before'),
    })
    expect(server.authentications).toEqual(['publickey root', 'publickey root'])
    attack.on = false
    await (await learning.connect(target, 5000, never)).close()
  })
})

describe('a device that goes silent', () => {
  test('is given up after 40 s without a sign of life', async () => {
    const fast = createSshConnector({ clock: createFastClock(100) })
    // Nothing is sent, and at this speed not one real keepalive either.
    const session = await connect(await device(() => {}), fast)
    const command = session.exec(['x'], { deadlineMs: 3_600_000 }, never)
    await expect(command).rejects.toMatchObject({
      code: 'ConnectionLost',
      message: expect.stringContaining('no sign of life'),
    })
  })
})
