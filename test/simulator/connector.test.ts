import { expect, it } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createRandom } from '../../src/adapters/clock/random.ts'
import type { Target } from '../../src/ports/connector.ts'
import { createSimulatedConnector } from '../../src/simulator/connector.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { createRouter } from '../../src/simulator/router.ts'

const signal = new AbortController().signal
const credentials = { username: 'root', password: 'correct-horse' }

const behindJumpHost = () => {
  const clock = createManualClock()
  const routerOf = (name: string) =>
    createRouter({ name, clock, random: createRandom(name), release: knownReleases['24.10.0'] })
  const routers = new Map(['jump', 'ap'].map((name) => [name, routerOf(name)]))
  const jump = routers.get('jump')!
  const connector = createSimulatedConnector(clock, (address) => routers.get(address))
  const jumpHost = {
    address: 'jump',
    port: 22,
    credentials,
    hostKeys: jump.state.hostKeys.map(({ line }) => line),
  }
  const target: Target = {
    addresses: ['ap'],
    port: 22,
    credentials,
    hostKeys: [],
    acceptNewHostKeys: true,
    urgent: false,
    legacyAlgorithms: false,
    jumpHost,
  }
  const run = async <T>(work: Promise<T>): Promise<T> => {
    let settled = false
    const end = () => {
      settled = true
    }
    work.then(end, end)
    await clock.runUntil(() => settled, 3_600_000)
    return work
  }
  return { jump, connector, target, jumpHost, run }
}

it('goes through a jump host, and loses the session with it', async () => {
  const { jump, connector, target, run } = behindJumpHost()
  const session = await run(connector.connect(target, 60_000, signal))
  expect(jump.history.some(({ type }) => type === 'Connected')).toBe(true)
  expect(await run(session.exec(['echo', 'hi'], { deadlineMs: 1000 }, signal))).toMatchObject({
    stdout: 'hi\n',
  })
  const waiting = session.exec(['sleep', '60'], { deadlineMs: 120_000 }, signal)
  jump.powerCycle()
  await expect(run(waiting)).rejects.toMatchObject({ code: 'ConnectionLost' })
})

it('never reaches the device when the jump host is not the pinned one', async () => {
  const { jump, connector, target, jumpHost, run } = behindJumpHost()
  const hostKeys = [`ssh-ed25519 ${Buffer.alloc(51).toString('base64')}`]
  const attempt = connector.connect({ ...target, jumpHost: { ...jumpHost, hostKeys } }, 60_000, signal)
  await expect(run(attempt)).rejects.toMatchObject({ code: 'HostKeyChanged' })
  expect(jump.history.some(({ type }) => type === 'Connected')).toBe(false)
})
