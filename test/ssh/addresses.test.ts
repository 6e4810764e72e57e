import { createServer } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import { freePort } from '../support/free-port.ts'
import { startScriptedServer } from '../support/ssh-servers.ts'
import { targetOf } from '../support/ssh-target.ts'

const never = new AbortController().signal
const connector = createSshConnector({ clock: systemClock })
const cleanUps: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

/** TEST-NET-1: nobody answers there, or there is no route. */
const blackHole = '192.0.2.1'

const startDevice = async () => {
  const server = await startScriptedServer(() => {})
  cleanUps.push(() => server.close())
  return server
}

/** Accepts and says nothing, at another address of the loopback but the same port. */
const startMute = async (port: number) => {
  const mute = createServer((socket) => void socket.on('error', () => {})).listen(port, '127.0.0.2')
  await new Promise((resolve) => mute.once('listening', resolve))
  cleanUps.push(() => void mute.close())
}

describe('several addresses', () => {
  test('are tried in order until one answers', async () => {
    const { port } = await startDevice()
    // Nothing listens at 127.0.0.3.
    const session = await connector.connect(
      targetOf(port, { addresses: ['127.0.0.3', '127.0.0.1'] }),
      5000,
      never,
    )
    expect(session.address).toBe('127.0.0.1')
    await session.close()
  })

  test('share the time: one that says nothing leaves the others theirs', async () => {
    const { port } = await startDevice()
    await startMute(port)
    const startMs = performance.now()
    const session = await connector.connect(
      targetOf(port, { addresses: ['127.0.0.2', '127.0.0.1'] }),
      2000,
      never,
    )
    expect(session.address).toBe('127.0.0.1')
    expect(performance.now() - startMs).toBeLessThan(1900)
    await session.close()
  })

  test('that all fail report the worst first', async () => {
    const device = await startDevice()
    const stranger = await startDevice()
    await startMute(device.port)
    const target = targetOf(device.port, {
      addresses: ['127.0.0.3', '127.0.0.2', '127.0.0.1'],
      hostKeys: [stranger.hostKey],
    })
    await expect(connector.connect(target, 1500, never)).rejects.toMatchObject({
      code: 'HostKeyChanged',
      message: expect.stringMatching(/^127\.0\.0\.1:.*127\.0\.0\.2:.*127\.0\.0\.3:/),
    })
  })

  test('that are missing are said to be', async () => {
    await expect(connector.connect(targetOf(22, { addresses: [] }), 1000, never)).rejects.toMatchObject({
      code: 'Unreachable',
      message: expect.stringContaining('no address'),
    })
  })
})

describe('an address', () => {
  test('that refuses names its port and what to look at', async () => {
    const port = await freePort()
    await expect(connector.connect(targetOf(port), 5000, never)).rejects.toMatchObject({
      code: 'Unreachable',
      message: expect.stringMatching(
        new RegExp(`127\\.0\\.0\\.1:${port} refuses connections: .* \\(ECONNREFUSED\\)`),
      ),
      cause: expect.objectContaining({ code: 'ECONNREFUSED' }),
    })
  })

  test('that does not resolve is Unreachable', async () => {
    const target = targetOf(22, { addresses: ['no-such-router.invalid'] })
    await expect(connector.connect(target, 20_000, never)).rejects.toMatchObject({
      code: 'Unreachable',
      message: expect.stringContaining('no-such-router.invalid:22 has a name that'),
    })
  })

  test('where nobody is is Unreachable within the limit', async () => {
    const connecting = connector.connect(targetOf(22, { addresses: [blackHole] }), 300, never)
    await expect(connecting).rejects.toMatchObject({ code: 'Unreachable' })
  })
})

describe('a knock', () => {
  test('is heard when any of the addresses accepts', async () => {
    const { port } = await startDevice()
    const startMs = performance.now()
    const addresses = [blackHole, '127.0.0.3', '127.0.0.1']
    expect(await connector.knock({ addresses, port }, 5000, never)).toBe(true)
    expect(performance.now() - startMs).toBeLessThan(2000)
  })

  test('is not heard where nobody listens, within its limit', async () => {
    const port = await freePort()
    expect(await connector.knock({ addresses: ['127.0.0.1', blackHole], port }, 300, never)).toBe(false)
  })

  test('is not possible through a jump host', async () => {
    const { jumpHost } = {
      jumpHost: { address: '127.0.0.1', port: 22, credentials: { username: 'root' }, hostKeys: [] },
    }
    expect(
      await connector.knock({ addresses: ['127.0.0.1'], port: 22, jumpHost }, 300, never),
    ).toBeUndefined()
  })

  test('ends with the reason when aborted', async () => {
    const abort = new AbortController()
    const reason = new Error('enough')
    const knocking = connector.knock({ addresses: [blackHole], port: 22 }, 60_000, abort.signal)
    abort.abort(reason)
    await expect(knocking).rejects.toBe(reason)
  })
})

test('an unusable pin is refused with the line', async () => {
  const target = targetOf(22, { hostKeys: ['ssh-ed25519 rubbish'] })
  await expect(connector.connect(target, 1000, never)).rejects.toMatchObject({
    code: 'Invalid',
    message: expect.stringContaining('ssh-ed25519 rubbish'),
  })
})
