import { createHash, randomBytes } from 'node:crypto'
import ssh2 from 'ssh2'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import type { Credentials, Session, Target } from '../../src/ports/connector.ts'
import { requires } from '../support/requires.ts'
import {
  dropbearPrograms,
  password,
  type RunningServer,
  startDropbear,
  userKeys,
} from '../support/ssh-servers.ts'
import { targetOf } from '../support/ssh-target.ts'
import { until } from '../support/until.ts'

const never = new AbortController().signal
const connector = createSshConnector({ clock: systemClock })
const limits = { deadlineMs: 10_000 }

const sockets = () => process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length
const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

const connect = (server: RunningServer, more: Partial<Target> = {}): Promise<Session> =>
  connector.connect(targetOf(server.port, more), 10_000, never)

const withSession = async <T>(server: RunningServer, use: (session: Session) => Promise<T>): Promise<T> => {
  const session = await connect(server)
  try {
    return await use(session)
  } finally {
    await session.close()
  }
}

const chunks = async function* (content: Buffer) {
  for (let start = 0; start < content.length; start += 10_000) yield content.subarray(start, start + 10_000)
}

requires(...dropbearPrograms)('a session on dropbear', () => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startDropbear()
  })
  afterAll(() => server.kill())

  describe('logging in', () => {
    test.each<{ name: string; credentials: Credentials }>([
      { name: 'an RSA key', credentials: { username: 'root', privateKey: userKeys.rsa.private } },
      { name: 'an ed25519 key', credentials: { username: 'root', privateKey: userKeys.ed25519.private } },
      {
        name: 'an encrypted key',
        credentials: { username: 'root', privateKey: userKeys.encrypted.private, passphrase: 'sesame' },
      },
      { name: 'a password', credentials: { username: 'root', password } },
    ])('works with $name', async ({ credentials }) => {
      const session = await connect(server, { credentials })
      expect(await session.exec(['true'], limits, never)).toMatchObject({ code: 0 })
      await session.close()
    })

    test('a key that was just used is worth nothing without its passphrase', async () => {
      const credentials = { username: 'root', privateKey: userKeys.encrypted.private }
      const session = await connect(server, { credentials: { ...credentials, passphrase: 'sesame' } })
      await session.close()
      for (const wrong of [credentials, { ...credentials, passphrase: 'open' }])
        await expect(connect(server, { credentials: wrong })).rejects.toMatchObject({
          code: 'CredentialsInvalid',
        })
    })

    test('works with the blank password of a new router', async () => {
      const fresh = await startDropbear({ blankPassword: true })
      const session = await connect(fresh, { credentials: { username: 'root', password: '' } })
      expect(await session.exec(['true'], limits, never)).toMatchObject({ code: 0 })
      await session.close()
      await fresh.kill()
    })

    test('tries a wrong password exactly once', async () => {
      const before = server.log().split('Bad password attempt').length
      await expect(
        connect(server, { credentials: { username: 'root', password: 'wrong' } }),
      ).rejects.toMatchObject({
        code: 'AuthFailed',
        message: expect.stringMatching(
          /127\.0\.0\.1:\d+ refuses root by password \(it accepts: publickey, password\)/,
        ),
      })
      await until('dropbear has logged it', () => server.log().split('Bad password attempt').length > before)
      expect(server.log().split('Bad password attempt').length).toBe(before + 1)
    })

    test('reports a key that is not authorized', async () => {
      const { private: privateKey } = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 })
      await expect(connect(server, { credentials: { username: 'root', privateKey } })).rejects.toMatchObject({
        code: 'AuthFailed',
        message: expect.stringContaining('authorized_keys'),
      })
    })
  })

  describe('host keys', () => {
    test('all of them are reported at first sight, in OpenSSH lines', async () => {
      const session = await connect(server)
      expect(session.hostKeys.toSorted()).toEqual(server.hostKeys.toSorted())
      await session.close()
    })

    test.each(['ssh-rsa', 'ssh-ed25519'])(
      'a device known by its %s key alone shows that one',
      async (type) => {
        const pins = server.hostKeys.filter((line) => line.startsWith(type))
        const session = await connect(server, { hostKeys: pins, acceptNewHostKeys: false })
        expect(session.hostKeys).toEqual(pins)
        await session.close()
      },
    )

    test('another key is refused before anything is sent', async () => {
      const other = await startDropbear()
      await expect(connect(server, { hostKeys: other.hostKeys })).rejects.toMatchObject({
        code: 'HostKeyChanged',
        message: expect.stringMatching(/SHA256:[\w+/]{43}.*Nothing was sent.*hostKeys: ssh-/s),
      })
      await other.kill()
    })

    test('a key of a type that the device did not have is no excuse', async () => {
      const rsaOnly = await startDropbear({ hostKeyTypes: ['rsa'] })
      const pins = server.hostKeys.filter((line) => line.startsWith('ssh-ed25519'))
      await expect(connect(rsaOnly, { hostKeys: pins })).rejects.toMatchObject({ code: 'HostKeyChanged' })
      await rsaOnly.kill()
    })

    test('an unknown key is shown, not accepted, where that is the rule', async () => {
      const refusal = connect(server, { acceptNewHostKeys: false })
      await expect(refusal).rejects.toMatchObject({ code: 'HostKeyUnknown' })
      await expect(refusal).rejects.toThrow(server.hostKeys.find((line) => line.startsWith('ssh-ed25519')))
    })

    test('a second connection, by ChaCha now, shows the same keys', async () => {
      for (let round = 0; round < 3; round++) {
        const session = await connect(server, { hostKeys: server.hostKeys })
        expect(await session.exec(['echo', 'x'], limits, never)).toMatchObject({ stdout: 'x\n' })
        await session.close()
      }
    })
  })

  describe('commands', () => {
    test('give output, errors and exit status, with the words as given', () =>
      withSession(server, async (session) => {
        const command = ['sh', '-c', 'cat; echo "$1" >&2; exit 7', 'sh', "it's $HOME;\n`x`"]
        expect(await session.exec(command, { ...limits, stdin: 'a\nb' }, never)).toEqual({
          code: 7,
          stdout: 'a\nb',
          stderr: "it's $HOME;\n`x`\n",
        })
      }))

    test('keep every byte', () =>
      withSession(server, async (session) => {
        const { stdout } = await session.exec(['printf', String.raw`\000\377\200a`], limits, never)
        expect(stdout).toBe('\0\xff\x80a')
      }))

    test('that a signal ends name it', () =>
      withSession(server, async (session) => {
        const result = await session.exec(['sh', '-c', 'kill -9 $PPID'], limits, never)
        expect(result).toMatchObject({ code: null, signal: 'SIGKILL' })
      }))

    test('run one after the other', () =>
      withSession(server, async (session) => {
        for (const word of ['1', '2', '3'])
          expect(await session.exec(['echo', word], limits, never)).toMatchObject({ stdout: `${word}\n` })
      }))

    test('end at their deadline', async () => {
      const session = await connect(server)
      const slow = session.exec(['sleep', '600'], { deadlineMs: 300 }, never)
      await expect(slow).rejects.toMatchObject({
        code: 'Timeout',
        message: expect.stringContaining('sleep on 127.0.0.1'),
      })
      await expect(session.exec(['true'], limits, never)).rejects.toMatchObject({ code: 'ConnectionLost' })
      await session.close()
    })

    test('end at once when aborted, with the reason', async () => {
      const session = await connect(server)
      const abort = new AbortController()
      const slow = session.exec(['sleep', '600'], limits, abort.signal)
      const reason = new Error('enough')
      abort.abort(reason)
      await expect(slow).rejects.toBe(reason)
      await session.close()
    })

    test.each(['yes', 'yes >&2'])('that never stop talking are cut off (%s)', async (script) => {
      const session = await connect(server)
      const flood = session.exec(['sh', '-c', script], limits, never)
      await expect(flood).rejects.toMatchObject({ code: 'OutputTooLarge' })
      await session.close()
    })

    test('may fill their output to the very limit', () =>
      withSession(server, async (session) => {
        const command = ['head', '-c', '5000', '/dev/zero']
        const { stdout } = await session.exec(command, { ...limits, maxOutputBytes: 5000 }, never)
        expect(stdout.length).toBe(5000)
      }))
  })

  describe('uploads', () => {
    const image = randomBytes(3_000_000)
    const digest = createHash('sha256').update(image).digest('hex')
    const put = ['sh', '-c', 'cat > "$0" && sha256sum "$0"']

    test('arrive whole, with progress up to the last byte', () =>
      withSession(server, async (session) => {
        const progress: number[] = []
        const options = {
          deadlineMs: 20_000,
          sizeBytes: image.length,
          onProgress: (bytes: number) => progress.push(bytes),
        }
        const file = `${server.home}/image`
        const result = await session.upload([...put, file], chunks(image), options, never)
        expect(result).toMatchObject({ code: 0, stdout: `${digest}  ${file}\n` })
        expect(progress.at(-1)).toBe(image.length)
        expect(progress).toEqual(progress.toSorted((a, b) => a - b))
      }))

    test('ask the throttle for every byte before they send it', () =>
      withSession(server, async (session) => {
        let grantedBytes = 0
        const throttle = async (bytes: number) => void (grantedBytes += bytes)
        const options = { deadlineMs: 20_000, sizeBytes: image.length, throttle }
        await session.upload(['sh', '-c', 'cat >/dev/null'], chunks(image), options, never)
        expect(grantedBytes).toBe(image.length)
      }))

    test('report why the command ended early, not that the pipe broke', () =>
      withSession(server, async (session) => {
        const full = ['sh', '-c', 'head -c 100000 >/dev/null; echo "No space left on device" >&2; exit 3']
        const options = { deadlineMs: 20_000, sizeBytes: image.length }
        expect(await session.upload(full, chunks(image), options, never)).toMatchObject({
          code: 3,
          stderr: 'No space left on device\n',
        })
        // The session is as good as before.
        expect(await session.exec(['true'], limits, never)).toMatchObject({ code: 0 })
      }))

    test('of which the device takes nothing fail by their idle limit', async () => {
      const session = await connect(server)
      const options = { deadlineMs: 60_000, idleMs: 300, sizeBytes: image.length }
      await expect(session.upload(['sleep', '600'], chunks(image), options, never)).rejects.toMatchObject({
        code: 'Timeout',
        message: expect.stringContaining('took no byte'),
      })
      await session.close()
    })

    test('read no more ahead than the window and a few pieces', async () => {
      const session = await connect(server)
      let readBytes = 0
      const counted = async function* () {
        for await (const chunk of chunks(image)) {
          readBytes += chunk.length
          yield chunk
        }
      }
      const options = { deadlineMs: 60_000, idleMs: 500, sizeBytes: image.length }
      const stuck = session.upload(['sleep', '600'], counted(), options, never)
      await expect(stuck).rejects.toMatchObject({ code: 'Timeout' })
      // The window, what the pipe to the command takes, one chunk.
      expect(readBytes).toBeLessThan(256 * 1024)
      await session.close()
    })

    test.each([
      { name: 'shorter', sizeBytes: image.length + 1 },
      { name: 'longer', sizeBytes: image.length - 1 },
    ])('$name than announced fail', async ({ sizeBytes }) => {
      const session = await connect(server)
      const upload = session.upload(['cat'], chunks(image), { deadlineMs: 20_000, sizeBytes }, never)
      // "cat" sends everything back, more than may come.
      await expect(upload).rejects.toMatchObject({ code: 'OutputTooLarge' })
      const again = await connect(server)
      const quiet = ['sh', '-c', 'cat >/dev/null']
      await expect(
        again.upload(quiet, chunks(image), { deadlineMs: 20_000, sizeBytes }, never),
      ).rejects.toMatchObject({ code: 'ImageInvalid' })
      await session.close()
      await again.close()
    })

    test("fail with the content's own error", async () => {
      const session = await connect(server)
      const broken = new Error('the disk is gone')
      const content = async function* () {
        yield image.subarray(0, 1000)
        throw broken
      }
      const options = { deadlineMs: 20_000, sizeBytes: image.length }
      await expect(session.upload(['sh', '-c', 'cat >/dev/null'], content(), options, never)).rejects.toBe(
        broken,
      )
      await session.close()
    })

    test('end at once when aborted, while the throttle holds them', async () => {
      const session = await connect(server)
      const abort = new AbortController()
      const reason = new Error('enough')
      const throttle = (_bytes: number, signal: AbortSignal) => systemClock.sleep(60_000, signal)
      const options = { deadlineMs: 20_000, sizeBytes: image.length, throttle }
      const upload = session.upload(['sh', '-c', 'cat >/dev/null'], chunks(image), options, abort.signal)
      setImmediate(() => abort.abort(reason))
      await expect(upload).rejects.toBe(reason)
      await session.close()
    })
  })

  describe('a power cut', () => {
    test('breaks what runs, and what comes later', async () => {
      const doomed = await startDropbear()
      const image = randomBytes(1_000_000)
      const starts: ((session: Session) => Promise<unknown>)[] = [
        (session) => session.exec(['sleep', '600'], limits, never),
        (session) => session.exec(['sh', '-c', 'cat; sleep 600'], { ...limits, stdin: 'x' }, never),
        (session) =>
          session.upload(
            ['sleep', '600'],
            chunks(image),
            { deadlineMs: 20_000, sizeBytes: image.length },
            never,
          ),
      ]
      const sessions = await Promise.all(starts.map(() => connect(doomed)))
      const outcomes = Promise.allSettled(starts.map((start, index) => start(sessions[index]!)))
      await withSession(doomed, (session) =>
        until('the commands run', () => session.exec(['true'], limits, never)),
      )
      await doomed.kill()
      for (const outcome of await outcomes) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ConnectionLost' } })
      }
      for (const session of sessions) {
        await expect(session.exec(['true'], limits, never)).rejects.toMatchObject({ code: 'ConnectionLost' })
        await session.close()
        await session.close()
      }
    })
  })

  test('nothing is left open: no socket, no timer', async () => {
    const before = { sockets: sockets(), timers: timers() }
    for (let round = 0; round < 5; round++) {
      const session = await connect(server)
      await session.exec(['true'], limits, never)
      await session.exec(['sleep', '600'], { deadlineMs: 20 }, never).catch(() => {})
      await session.close()
    }
    await connect(server, { acceptNewHostKeys: false }).catch(() => {})
    await connector.knock({ addresses: ['127.0.0.1'], port: server.port }, 1000, never)
    await until(
      'all sockets and timers are gone',
      () => sockets() <= before.sockets && timers() <= before.timers,
    )
  })
})
