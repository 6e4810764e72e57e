import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import type { Target } from '../../src/ports/connector.ts'
import { freePort } from '../support/free-port.ts'
import { requires } from '../support/requires.ts'
import { password, type RunningServer, sshdPrograms, startSshd, userKeys } from '../support/ssh-servers.ts'
import { targetOf } from '../support/ssh-target.ts'

const never = new AbortController().signal
const limits = { deadlineMs: 10_000 }
const connector = createSshConnector({ clock: systemClock })

requires(...sshdPrograms)('a session on OpenSSH', () => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startSshd()
  })
  afterAll(() => server.kill())

  const connect = (more: Partial<Target> = {}) =>
    connector.connect(targetOf(server.port, more), 10_000, never)

  test('pins ed25519, ECDSA and RSA at first sight', async () => {
    const session = await connect()
    expect(session.hostKeys.toSorted()).toEqual(server.hostKeys.toSorted())
    await session.close()
  })

  test.each(['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa'])(
    'knows it by its %s key alone',
    async (type) => {
      const pins = server.hostKeys.filter((line) => line.startsWith(type))
      const session = await connect({ hostKeys: pins, credentials: { username: 'root', password } })
      expect(session.hostKeys).toEqual(pins)
      await session.close()
    },
  )

  test('runs commands and takes uploads larger than its window', async () => {
    const session = await connect({ hostKeys: server.hostKeys })
    expect(await session.exec(['sh', '-c', 'cat >&2; exit 3'], { ...limits, stdin: 'x' }, never)).toEqual({
      code: 3,
      stdout: '',
      stderr: 'x',
    })
    const image = randomBytes(5_000_000)
    const content = async function* () {
      yield image
    }
    const options = { deadlineMs: 20_000, sizeBytes: image.length }
    const { stdout } = await session.upload(['sha256sum'], content(), options, never)
    expect(stdout).toBe(`${createHash('sha256').update(image).digest('hex')}  -\n`)
    await session.close()
  })

  test('does not wait for a child in the background that holds the channel open', async () => {
    const session = await connect({ hostKeys: server.hostKeys })
    const started = session.exec(['sh', '-c', 'sleep 600 & echo started'], limits, never)
    expect(await started).toMatchObject({ code: 0, stdout: 'started\n' })
    expect(await session.exec(['echo', 'on'], limits, never)).toMatchObject({ stdout: 'on\n' })
    await session.close()
  }, 20_000)

  test('says which login the device accepts instead', async () => {
    const keysOnly = await startSshd({ config: ['PasswordAuthentication no'] })
    const target = targetOf(keysOnly.port, { credentials: { username: 'root', password } })
    await expect(connector.connect(target, 10_000, never)).rejects.toMatchObject({
      code: 'AuthFailed',
      message: expect.stringContaining('accepts: publickey'),
    })
    await keysOnly.kill()
  })

  test('says what the device offers when nothing matches', async () => {
    const old = await startSshd({ config: ['KexAlgorithms diffie-hellman-group14-sha1'] })
    await expect(connector.connect(targetOf(old.port), 10_000, never)).rejects.toMatchObject({
      code: 'AlgorithmMismatch',
      message: expect.stringMatching(/key exchange.*diffie-hellman-group14-sha1.*legacyAlgorithms: true/),
    })
    const session = await connector.connect(targetOf(old.port, { legacyAlgorithms: true }), 10_000, never)
    await session.close()
    await old.kill()
  })

  test('reaches a device through a jump host, and back', async () => {
    const jumpHost = {
      address: '127.0.0.1',
      port: server.port,
      credentials: { username: 'root', privateKey: userKeys.ed25519.private },
      hostKeys: server.hostKeys,
    }
    const device = await startSshd()
    const target = targetOf(device.port, { jumpHost })
    const session = await connector.connect(target, 10_000, never)
    expect(session.hostKeys.toSorted()).toEqual(device.hostKeys.toSorted())
    expect(await session.exec(['echo', 'far'], limits, never)).toMatchObject({ stdout: 'far\n' })
    const image = randomBytes(3_000_000)
    const content = async function* () {
      yield image
    }
    const options = { deadlineMs: 20_000, sizeBytes: image.length }
    expect(await session.upload(['wc', '-c'], content(), options, never)).toMatchObject({
      stdout: `${image.length}\n`,
    })
    await session.close()

    const closed = await freePort()
    await expect(connector.connect({ ...target, port: closed }, 10_000, never)).rejects.toMatchObject({
      code: 'Unreachable',
      message: expect.stringMatching(/jump host 127\.0\.0\.1:\d+ cannot reach 127\.0\.0\.1:/),
    })
    const unpinned = { ...jumpHost, hostKeys: [] }
    await expect(connector.connect({ ...target, jumpHost: unpinned }, 10_000, never)).rejects.toMatchObject({
      code: 'HostKeyUnknown',
      message: expect.stringMatching(/^jump host: /),
    })

    const cut = await connector.connect(target, 10_000, never)
    const running = cut.exec(['sleep', '600'], limits, never)
    const outcome = expect(running).rejects.toMatchObject({ code: 'ConnectionLost' })
    await device.kill()
    await outcome
    await cut.close()
  })

  test('says that a jump host forbids forwarding', async () => {
    const strict = await startSshd({ config: ['AllowTcpForwarding no'] })
    const jumpHost = {
      address: '127.0.0.1',
      port: strict.port,
      credentials: { username: 'root', privateKey: userKeys.rsa.private },
      hostKeys: strict.hostKeys,
    }
    const target = targetOf(server.port, { jumpHost })
    await expect(connector.connect(target, 10_000, never)).rejects.toMatchObject({
      code: 'Unsupported',
      message: expect.stringContaining('does not allow forwarding'),
    })
    await strict.kill()
  })
})
