import ssh2 from 'ssh2'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ReflashError } from '../../src/core/errors.ts'
import type { Connector, Session, Target } from '../../src/ports/connector.ts'
import type { Release } from '../../src/simulator/release.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import type { Router } from '../../src/simulator/router.ts'

/** A connector, and a simulated router that it reaches. */
export interface ConnectorWorld {
  connector: Connector
  router: Router
  /** How to reach the router; its credentials are right and nothing is pinned. */
  target: Target
  /** Public-key lines that the router shows. */
  hostKeys: readonly string[]
  /** An address at which nothing listens on the target's port. */
  deadAddress: string
  /** Lets time pass until the work has settled. */
  run<T>(work: Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface ConnectorSetUp {
  release: Release
  authorizedKeys: readonly string[]
}

const login = ssh2.utils.generateKeyPairSync('ed25519')
const stranger = ssh2.utils.generateKeyPairSync('ed25519')

const limits = { deadlineMs: 5000 }
const quiet = new AbortController().signal
const zeros = async function* (count: number, bytes = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < count; at += 1) yield new Uint8Array(bytes)
}

/** The promises of `ports/connector.ts` as tests, for anything that claims to keep them. */
export const connectorContract = (
  name: string,
  setUp: (options: ConnectorSetUp) => Promise<ConnectorWorld>,
): void => {
  describe(`connector contract: ${name}`, () => {
    let world: ConnectorWorld
    const prepare = async (release: Release) => {
      world = await setUp({ release, authorizedKeys: [login.public] })
    }
    beforeEach(() => prepare(knownReleases['24.10.0']))
    afterEach(() => world.close())

    const connect = (changes: Partial<Target> = {}, deadlineMs = 10_000, signal = quiet): Promise<Session> =>
      world.run(world.connector.connect({ ...world.target, ...changes }, deadlineMs, signal))
    const exec = (session: Session, command: readonly string[], stdin?: string) =>
      world.run(session.exec(command, { ...limits, ...(stdin !== undefined && { stdin }) }, quiet))

    describe('commands', () => {
      it('answers with exit code, output and errors', async () => {
        const session = await connect()
        expect(session.address).toBe(world.target.addresses[0])
        expect(await exec(session, ['echo', 'hello'])).toEqual({ code: 0, stdout: 'hello\n', stderr: '' })
        expect(await exec(session, ['false'])).toEqual({ code: 1, stdout: '', stderr: '' })
        const missing = await exec(session, ['ls', '/no/such/file'])
        expect(missing.code).toBeGreaterThan(0)
        expect(missing.stderr).toContain('/no/such/file')
        await session.close()
      })

      it('passes arguments and input on as they are, and reads output as Latin-1', async () => {
        const session = await connect()
        const odd = `it's "$HOME" \`id\` ; a  b \\ | > x`
        expect((await exec(session, ['echo', odd])).stdout).toBe(`${odd}\n`)
        expect((await exec(session, ['cat'], 'a\nß\n')).stdout).toBe('a\nÃ\u009f\n')
        expect((await exec(session, ['cat'])).stdout).toBe('')
        await session.close()
      })

      it('runs several, one after another and at once', async () => {
        const session = await connect()
        const answers = await world.run(
          Promise.all(['a', 'b', 'c'].map((word) => session.exec(['echo', word], limits, quiet))),
        )
        expect(answers.map(({ stdout }) => stdout)).toEqual(['a\n', 'b\n', 'c\n'])
        expect((await exec(session, ['true'])).code).toBe(0)
        await session.close()
      })

      it('ends at the deadline', async () => {
        const session = await connect()
        const slow = session.exec(['sleep', '60'], { deadlineMs: 300 }, quiet)
        await expect(world.run(slow)).rejects.toMatchObject({ code: 'Timeout' })
        await session.close()
      })

      it('keeps output under the cap', async () => {
        const session = await connect()
        expect((await exec(session, ['head', '-c', '60000', '/dev/zero'])).stdout).toHaveLength(60_000)
        const small = session.exec(['echo', 'too long'], { ...limits, maxOutputBytes: 4 }, quiet)
        await expect(world.run(small)).rejects.toMatchObject({ code: 'OutputTooLarge' })
        const other = await connect()
        await expect(exec(other, ['head', '-c', '200000', '/dev/zero'])).rejects.toMatchObject({
          code: 'OutputTooLarge',
        })
      })

      it('is aborted with the reason of its signal', async () => {
        const session = await connect()
        const abort = new AbortController()
        const slow = session.exec(['sleep', '60'], limits, abort.signal)
        abort.abort('enough')
        await expect(world.run(slow)).rejects.toBe('enough')
        await session.close()
      })

      it('says when the connection is lost, and finds the router again after its reboot', async () => {
        const session = await connect()
        const { bootId } = world.router.state
        const slow = session.exec(['sleep', '60'], { deadlineMs: 30_000 }, quiet)
        slow.catch(() => {})
        await expect(exec(session, ['reboot'])).rejects.toMatchObject({ code: 'ConnectionLost' })
        await expect(world.run(slow)).rejects.toMatchObject({ code: 'ConnectionLost' })
        await expect(exec(session, ['true'])).rejects.toMatchObject({ code: 'ConnectionLost' })
        const knock = () => world.run(world.connector.knock(world.target, 1000, quiet))
        expect(await knock()).toBe(false)
        while (!(await knock())) continue
        const again = await connect()
        expect((await exec(again, ['true'])).code).toBe(0)
        expect(world.router.state.bootId).not.toBe(bootId)
        await again.close()
      })

      it('does not wait for ever for a router that has fallen silent', async () => {
        const session = await connect()
        world.router.inject({ kind: 'Outage', ms: 60_000, answer: 'Silent' })
        const lost = session.exec(['true'], { deadlineMs: 300 }, quiet)
        await expect(world.run(lost)).rejects.toMatchObject({ code: 'Timeout' })
        await session.close()
      })

      it('is closed twice without complaint, and then runs nothing', async () => {
        const session = await connect()
        await session.close()
        await session.close()
        await expect(exec(session, ['true'])).rejects.toMatchObject({ code: 'ConnectionLost' })
      })
    })

    describe('uploads', () => {
      it('streams content and says how much the device has taken', async () => {
        const session = await connect()
        const seen: number[] = []
        const throttled: number[] = []
        const options = {
          ...limits,
          sizeBytes: 40_000,
          onProgress: (bytes: number) => void seen.push(bytes),
          throttle: async (bytes: number) => void throttled.push(bytes),
        }
        const result = await world.run(session.upload(['cat'], zeros(4, 10_000), options, quiet))
        expect(result).toMatchObject({ code: 0, stdout: '\0'.repeat(40_000) })
        expect(seen.at(-1)).toBe(40_000)
        expect(seen).toEqual(seen.toSorted((a, b) => a - b))
        expect(throttled.reduce((sum, bytes) => sum + bytes, 0)).toBe(40_000)
        await session.close()
      })

      it('reports what a command says that does not want the rest', async () => {
        const session = await connect()
        const sizeBytes = 128 * 65_536
        const early = session.upload(['false'], zeros(128), { ...limits, sizeBytes }, quiet)
        expect(await world.run(early)).toMatchObject({ code: 1 })
        await session.close()
      })

      it('passes on what is wrong with the content', async () => {
        const broken = new ReflashError('ImageInvalid', 'the bytes have changed')
        const content = async function* () {
          yield new Uint8Array(1000)
          throw broken
        }
        const session = await connect()
        const failing = session.upload(['cat'], content(), { ...limits, sizeBytes: 2000 }, quiet)
        await expect(world.run(failing)).rejects.toBe(broken)
        const other = await connect()
        const short = other.upload(['cat'], zeros(1), { ...limits, sizeBytes: 65_537 }, quiet)
        await expect(world.run(short)).rejects.toMatchObject({ code: 'ImageInvalid' })
      })

      it('gives up on a device that takes nothing', async () => {
        const session = await connect()
        const options = { deadlineMs: 20_000, idleMs: 300, sizeBytes: 128 * 65_536 }
        const idle = session.upload(['sleep', '60'], zeros(128), options, quiet)
        await expect(world.run(idle)).rejects.toMatchObject({ code: 'Timeout' })
      })

      it('is aborted with the reason of its signal and lets go of the content', async () => {
        const session = await connect()
        const abort = new AbortController()
        let closed = false
        const content = async function* () {
          try {
            yield new Uint8Array(1000)
            abort.abort('enough')
            yield new Uint8Array(1000)
          } finally {
            closed = true
          }
        }
        const aborted = session.upload(['cat'], content(), { ...limits, sizeBytes: 2000 }, abort.signal)
        await expect(world.run(aborted)).rejects.toBe('enough')
        expect(closed).toBe(true)
      })
    })

    describe('host keys', () => {
      /** A key of the same type that is not the router's. */
      const forged = (line: string): string => {
        const [type, blob = ''] = line.split(' ')
        return `${type} ${blob.slice(0, -8)}${blob.at(-8) === 'A' ? 'B' : 'A'}${blob.slice(-7)}`
      }
      const touched = () =>
        world.router.history.some(({ type }) => type === 'Connected' || type === 'AuthRefused')

      it('are all reported at first sight', async () => {
        const session = await connect()
        expect(session.hostKeys.toSorted()).toEqual(world.hostKeys.toSorted())
        expect(world.hostKeys).toHaveLength(2)
        await session.close()
      })

      it('may be pinned by one type, with a comment', async () => {
        for (const line of world.hostKeys) {
          const session = await connect({ hostKeys: [`${line} root@router`], acceptNewHostKeys: false })
          expect(session.hostKeys).toEqual([line])
          await session.close()
        }
      })

      it('that have changed end the attempt before anything is shown to the device', async () => {
        const hostKeys = world.hostKeys.map(forged)
        await expect(connect({ hostKeys })).rejects.toMatchObject({ code: 'HostKeyChanged' })
        expect(touched()).toBe(false)
      })

      it('that are unknown are refused where new ones are', async () => {
        await expect(connect({ acceptNewHostKeys: false })).rejects.toMatchObject({ code: 'HostKeyUnknown' })
        expect(touched()).toBe(false)
      })
    })

    describe('credentials', () => {
      it('may be a key', async () => {
        const session = await connect({ credentials: { username: 'root', privateKey: login.private } })
        expect((await exec(session, ['true'])).code).toBe(0)
        await session.close()
      })

      it('that the device refuses are told apart from those that are none', async () => {
        const attempt = (credentials: Omit<Target['credentials'], 'username'>) =>
          connect({ credentials: { username: 'root', ...credentials } })
        await expect(attempt({ password: 'wrong' })).rejects.toMatchObject({ code: 'AuthFailed' })
        await expect(attempt({ privateKey: stranger.private })).rejects.toMatchObject({ code: 'AuthFailed' })
        await expect(attempt({})).rejects.toMatchObject({ code: 'CredentialsInvalid' })
        await expect(attempt({ privateKey: 'no key' })).rejects.toMatchObject({ code: 'CredentialsInvalid' })
        await expect(attempt({ privateKey: login.public })).rejects.toMatchObject({
          code: 'CredentialsInvalid',
        })
      })
    })

    describe('reaching a device', () => {
      it('tries its addresses in turn', async () => {
        const [alive = ''] = world.target.addresses
        const session = await connect({ addresses: [world.deadAddress, alive] })
        expect(session.address).toBe(alive)
        await session.close()
        await expect(connect({ addresses: [world.deadAddress] })).rejects.toMatchObject({
          code: 'Unreachable',
        })
      })

      it('says the worst of what it found', async () => {
        const addresses = [...world.target.addresses, world.deadAddress]
        const credentials = { username: 'root', password: 'wrong' }
        await expect(connect({ addresses, credentials })).rejects.toMatchObject({ code: 'AuthFailed' })
      })

      it('ends at the deadline', async () => {
        world.router.inject({ kind: 'SlowConnect', ms: 60_000 })
        await expect(connect({}, 500)).rejects.toMatchObject({ code: 'Timeout' })
      })

      it('needs leave for old algorithms', async () => {
        await world.close()
        await prepare(knownReleases['15.05.1'])
        await expect(connect()).rejects.toMatchObject({ code: 'AlgorithmMismatch' })
        const session = await connect({ legacyAlgorithms: true })
        expect((await exec(session, ['true'])).code).toBe(0)
        await session.close()
      })

      it('is aborted with the reason of its signal', async () => {
        const abort = new AbortController()
        world.router.inject({ kind: 'SlowConnect', ms: 60_000 })
        const attempt = world.connector.connect(world.target, 10_000, abort.signal)
        attempt.catch(() => {})
        abort.abort('enough')
        await expect(world.run(attempt)).rejects.toBe('enough')
        await expect(connect({}, 1000, abort.signal)).rejects.toBe('enough')
        await expect(world.run(world.connector.knock(world.target, 1000, abort.signal))).rejects.toBe(
          'enough',
        )
      })

      it('knocks without a session', async () => {
        const knock = (changes: Partial<Target>) =>
          world.run(world.connector.knock({ ...world.target, ...changes }, 1000, quiet))
        expect(await knock({})).toBe(true)
        expect(await knock({ addresses: [world.deadAddress] })).toBe(false)
        expect(await knock({ addresses: [world.deadAddress, ...world.target.addresses] })).toBe(true)
        const jumpHost = { address: 'jump', port: 22, credentials: { username: 'root' }, hostKeys: [] }
        expect(await knock({ jumpHost })).toBeUndefined()
        expect(world.router.history.some(({ type }) => type === 'Connected')).toBe(false)
      })
    })
  })
}
