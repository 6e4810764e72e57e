import { KeyObject } from 'node:crypto'
import ssh2 from 'ssh2'
import type { CipherAlgorithm } from 'ssh2'
import { expect, test } from 'vitest'
import { holdKeyObjects } from '../../src/adapters/ssh/key-objects.ts'
import { startScriptedServer } from '../support/ssh-servers.ts'

type Internals = { _protocol: Record<'_cipher' | '_decipher', Record<string, unknown>> }

const keysOf = (client: ssh2.Client) => {
  const { _cipher, _decipher } = (client as unknown as Internals)._protocol
  return [_cipher, _decipher].flatMap((end) =>
    Object.entries(end).filter(
      ([name, key]) => /Key/.test(name) && (Buffer.isBuffer(key) || key instanceof KeyObject),
    ),
  )
}

const echo = (client: ssh2.Client, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    client.exec(text, (error, channel) => {
      if (error) return reject(error)
      channel.on('data', (data: Buffer) => resolve(data.toString()))
    })
  })

test.each<{ cipher: CipherAlgorithm; keys: number }>([
  { cipher: 'chacha20-poly1305@openssh.com', keys: 4 },
  { cipher: 'aes128-gcm@openssh.com', keys: 2 },
  { cipher: 'aes128-ctr', keys: 2 },
])(
  'a connection by $cipher works on with KeyObjects, through new key exchanges',
  async ({ cipher, keys }) => {
    const server = await startScriptedServer((connection) => {
      connection.on('session', (accept) => {
        accept().on('exec', (acceptExec, _reject, { command }) => void acceptExec().end(command))
      })
    })
    const client = new ssh2.Client()
    client.on('handshake', () => holdKeyObjects(client))
    const ready = new Promise((resolve, reject) =>
      client.once('ready', () => resolve(true)).once('error', reject),
    )
    client.connect({
      host: '127.0.0.1',
      port: server.port,
      username: 'root',
      algorithms: { cipher: [cipher] },
    })
    await ready

    expect(await echo(client, 'before')).toBe('before')
    const first = keysOf(client)
    expect(first.map(([, key]) => key instanceof KeyObject)).toEqual(Array.from({ length: keys }, () => true))

    const again = new Promise((resolve) => client.once('handshake', resolve))
    ;(client as unknown as { _protocol: { rekey(): void } })._protocol.rekey()
    await again
    expect(await echo(client, 'after')).toBe('after')
    const second = keysOf(client)
    expect(second.map(([, key]) => key instanceof KeyObject)).toEqual(first.map(() => true))
    expect(second.map(([, key]) => key)).not.toContain(first[0]![1])

    client.end()
    await server.close()
  },
)
