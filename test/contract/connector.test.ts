import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import type { Target } from '../../src/ports/connector.ts'
import { createSimulatedConnector } from '../../src/simulator/connector.ts'
import { createRouter } from '../../src/simulator/router.ts'
import { serveRouter } from '../../src/simulator/ssh-server.ts'
import { connectorContract } from './connector.ts'

const targetAt = (address: string, port: number): Target => ({
  addresses: [address],
  port,
  credentials: { username: 'root', password: 'correct-horse' },
  hostKeys: [],
  acceptNewHostKeys: true,
  urgent: false,
  legacyAlgorithms: false,
})

connectorContract('in memory, in virtual time', async (options) => {
  const clock = createManualClock()
  const router = createRouter({ name: 'r', clock, random: createRandom('contract'), ...options })
  return {
    connector: createSimulatedConnector(clock, (address) => (address === 'r.example' ? router : undefined)),
    router,
    target: targetAt('r.example', 22),
    hostKeys: router.state.hostKeys.map(({ line }) => line),
    deadAddress: 'nobody.example',
    run: async (work) => {
      let settled = false
      const end = () => {
        settled = true
      }
      work.then(end, end)
      await clock.runUntil(() => settled, 24 * 3_600_000)
      return work
    },
    close: async () => {},
  }
})

connectorContract('over SSH to a simulated router', async (options) => {
  const timings = { connectMs: 0, commandMs: 0, rebootMs: 300, uploadBytesPerSecond: 1e9 }
  const router = createRouter({
    name: 'r',
    clock: systemClock,
    random: createRandom('contract'),
    timings,
    ...options,
  })
  const served = await serveRouter(router)
  return {
    connector: createSshConnector({ clock: systemClock }),
    router,
    target: targetAt(served.address, served.port),
    hostKeys: served.hostKeys(),
    deadAddress: '127.0.0.2',
    run: (work) => work,
    close: () => served.close(),
  }
})
