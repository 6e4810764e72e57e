import ssh2, { type ServerConfig } from 'ssh2'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import { judgeHostKey, parseHostKeyLine } from '../../src/adapters/ssh/host-key.ts'
import type { ErrorCode } from '../../src/core/errors.ts'
import { createHostKey, servableKey } from '../../src/simulator/host-key.ts'
import { recordFigure } from '../support/figures.ts'
import { startScriptedServer, userKeys } from '../support/ssh-servers.ts'
import { targetOf } from '../support/ssh-target.ts'
import { replacing, startTamperingProxy } from '../support/tampering-proxy.ts'

const never = new AbortController().signal

interface Key {
  privateKey: string
  line: string
}
const ed25519 = (name: string): Key => servableKey(createHostKey('ssh-ed25519', createRandom(name)))
const withoutComment = (line: string): string => line.split(' ').slice(0, 2).join(' ')
const ecdsaPair = ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 })
const [old, next, stranger] = [ed25519('old'), ed25519('next'), ed25519('stranger')]
const rsa = servableKey(createHostKey('ssh-rsa', createRandom('rsa')))
const otherRsa: Key = { privateKey: userKeys.rsa.private, line: withoutComment(userKeys.rsa.public) }
const ecdsa: Key = { privateKey: ecdsaPair.private, line: withoutComment(ecdsaPair.public) }

interface Row {
  says: string
  /** What the device is known by, and what it shows. */
  pins: readonly Key[]
  shows: readonly Key[]
  acceptNew?: boolean
  /** Host keys of the session, or why there is none. */
  end: readonly Key[] | ErrorCode
  algorithms?: ServerConfig['algorithms']
}

const rows: readonly Row[] = [
  { says: 'the pinned key is good', pins: [old], shows: [old], end: [old] },
  { says: 'another key of the same type is refused', pins: [old], shows: [stranger], end: 'HostKeyChanged' },
  { says: 'a key of another type instead is refused', pins: [old], shows: [rsa], end: 'HostKeyChanged' },
  {
    says: 'a new type beside the pinned one changes nothing',
    pins: [rsa],
    shows: [old, ecdsa, rsa],
    end: [rsa],
  },
  {
    says: 'of two pinned keys the stronger one is asked for',
    pins: [rsa, old],
    shows: [old, rsa],
    end: [old],
  },
  {
    says: 'one of two pinned keys is another',
    pins: [rsa, old],
    shows: [stranger, rsa],
    end: 'HostKeyChanged',
  },
  { says: 'one of two pinned keys has gone', pins: [old, rsa], shows: [rsa], end: [rsa] },
  {
    says: 'one of two pinned keys has gone, and the other is not his',
    pins: [old, rsa],
    shows: [otherRsa],
    end: 'HostKeyChanged',
  },
  { says: 'in a rotation, the old key is good', pins: [old, next], shows: [old], end: [old] },
  { says: 'in a rotation, the new key is good', pins: [old, next], shows: [next], end: [next] },
  {
    says: 'in a rotation, a third key is refused',
    pins: [old, next],
    shows: [stranger],
    end: 'HostKeyChanged',
  },
  { says: 'after a rotation, the old key is refused', pins: [next], shows: [old], end: 'HostKeyChanged' },
  {
    says: 'no pin, where an operator has to say so',
    pins: [],
    shows: [old],
    acceptNew: false,
    end: 'HostKeyUnknown',
  },
  {
    says: 'no pin, where first sight will do: all are pinned',
    pins: [],
    shows: [old, ecdsa, rsa],
    end: [old, ecdsa, rsa],
  },
  {
    says: 'no strong key exchange any more',
    pins: [old],
    shows: [old],
    algorithms: { kex: ['diffie-hellman-group14-sha1'] },
    end: 'AlgorithmMismatch',
  },
  {
    says: 'no strong cipher any more',
    pins: [old],
    shows: [old],
    algorithms: { cipher: ['aes128-cbc', '3des-cbc'] },
    end: 'AlgorithmMismatch',
  },
  {
    says: 'no strong MAC any more',
    pins: [old],
    shows: [old],
    algorithms: { cipher: ['aes128-ctr'], hmac: ['hmac-md5', 'hmac-sha1'] },
    end: 'AlgorithmMismatch',
  },
]

const serve = async (shows: readonly Key[], algorithms?: ServerConfig['algorithms']) => {
  const server = await startScriptedServer(() => {}, {
    hostKeys: shows.map(({ privateKey }) => privateKey),
    ...(algorithms && { algorithms }),
  })
  onTestFinished(() => server.close())
  return server
}

const connect = async (port: number, pins: readonly Key[], acceptNew = true) => {
  const connector = createSshConnector({ clock: systemClock })
  const target = targetOf(port, { hostKeys: pins.map(({ line }) => line), acceptNewHostKeys: acceptNew })
  const session = await connector.connect(target, 20_000, never)
  await session.close()
  return session.hostKeys
}

describe('a device that is known by its host keys', () => {
  test.each(rows)('$says', async ({ pins, shows, acceptNew, end, algorithms }) => {
    const server = await serve(shows, algorithms)
    const connecting = connect(server.port, pins, acceptNew)
    if (typeof end !== 'string') {
      expect(await connecting).toEqual(end.map(({ line }) => line))
      return
    }
    await expect(connecting).rejects.toMatchObject({
      code: end,
      message: expect.stringMatching(/^[\x20-\x7e]+$/),
    })
    // Nobody who is not the device hears so much as a user name.
    expect(server.authentications).toEqual([])
  })

  test('its key shown by somebody who does not have it is refused', async () => {
    const server = await serve([stranger])
    const raw = (key: Key): Buffer => parseHostKeyLine(key.line).subarray(-32)
    const proxy = await startTamperingProxy(server.port, replacing(raw(stranger), raw(old)))
    onTestFinished(() => proxy.close())
    await expect(connect(proxy.port, [old])).rejects.toMatchObject({ code: 'ConnectionLost' })
    expect(server.authentications).toEqual([])
    recordFigure({ suite: 'hostile', name: 'host key cases', value: rows.length + 3 })
  })

  test('a key too large to be kept is refused, not pinned', () => {
    const field = (bytes: Buffer): Buffer => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return Buffer.concat([length, bytes])
    }
    const keyOf = (modulusBytes: number): Buffer =>
      Buffer.concat([
        field(Buffer.from('ssh-rsa')),
        field(Buffer.of(1, 0, 1)),
        field(Buffer.alloc(modulusBytes, 1)),
      ])
    const policy = { pins: [], acceptNew: true }
    expect(judgeHostKey(keyOf(1025), policy, 'ap-1')).toBeUndefined()
    expect(judgeHostKey(keyOf(2049), policy, 'ap-1')).toMatchObject({
      code: 'Unsupported',
      message: 'ap-1 shows a host key of 2071 bytes, too large to be pinned',
    })
  })
})
