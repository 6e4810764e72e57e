import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import { makeFirmware } from '../../src/simulator/firmware.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { createRouter } from '../../src/simulator/router.ts'
import { serveRouter } from '../../src/simulator/ssh-server.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'

const signal = new AbortController().signal

it.each(['18.06.9', '24.10.0'] as const)('upgrades a router from %s over real SSH', async (version) => {
  const timings = {
    connectMs: 0,
    commandMs: 0,
    testMs: 10,
    uploadBytesPerSecond: 1e8,
    shutdownMs: 50,
    flashMs: 100,
    rebootMs: 100,
  }
  const release = knownReleases[version]
  const router = createRouter({ name: 'r', clock: systemClock, random: createRandom(1), release, timings })
  const served = await serveRouter(router)
  try {
    const connector = createSshConnector({ clock: systemClock })
    const bytes = makeFirmware({
      ...knownReleases['24.10.8'],
      boards: [router.state.board],
      sizeBytes: 2 ** 20,
    })
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const target = {
      addresses: [served.address],
      port: served.port,
      credentials: { username: 'root', password: 'correct-horse' },
      hostKeys: served.hostKeys(),
      acceptNewHostKeys: false,
      urgent: false,
      legacyAlgorithms: false,
    }
    const job = {
      operation: 'r-0badcafe-1',
      image: { sha256, sizeBytes: bytes.length, boards: [router.state.board] },
      options: {},
      timeouts: { commandMs: 5000, uploadMs: 10_000 },
    }
    const session = await connector.connect(target, 5000, signal)
    const seen = await openwrtUpgrader.probe(session, job.timeouts, signal)
    const content = async function* () {
      yield bytes
    }
    await openwrtUpgrader.upload(job, session, { content, onProgress: () => {} }, signal)
    await openwrtUpgrader.test(job, session, signal)
    const token = {
      bootId: seen.bootId,
      board: seen.board,
      revision: release.revision,
      maxUptimeSeconds: seen.uptimeSeconds + 60,
    }
    expect(await openwrtUpgrader.start(job, token, session, signal)).toEqual({ kind: 'Started' })
    while (await connector.knock(target, 1000, signal)) await systemClock.sleep(5)
    while (!(await connector.knock(target, 1000, signal))) await systemClock.sleep(5)
    // The keys that were pinned before are still the right ones, although 21.02 and newer have one more.
    const after = await connector.connect(target, 5000, signal)
    const back = await openwrtUpgrader.probe(after, job.timeouts, signal)
    expect(back.release.version).toBe('24.10.8')
    expect(back.bootId).not.toBe(seen.bootId)
    await after.close()
  } finally {
    await served.close()
  }
  expect(eventsOf(router.history, 'FlashWritten')).toMatchObject([{ bootId: expect.any(String) }])
})
