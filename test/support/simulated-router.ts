import { createHash } from 'node:crypto'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createRandom } from '../../src/adapters/clock/random.ts'
import type { Session, Target } from '../../src/ports/connector.ts'
import type { Job, Probe, StartResult, StartToken } from '../../src/ports/upgrader.ts'
import { createSimulatedConnector } from '../../src/simulator/connector.ts'
import { makeFirmware, type FirmwareOptions } from '../../src/simulator/firmware.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { createRouter, type RouterOptions } from '../../src/simulator/router.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'

const signal = new AbortController().signal
const board = 'tplink,archer-c7-v5'
const timeouts = { commandMs: 30_000, uploadMs: 600_000 }

/** One simulated router in virtual time, with what it takes to upgrade it step by step. */
export const simulatedRouter = (
  options: Partial<RouterOptions> & { seed?: number; image?: Partial<FirmwareOptions> } = {},
) => {
  const clock = createManualClock()
  const random = createRandom(options.seed ?? 1)
  const router = createRouter({
    name: 'ap-1',
    clock,
    random,
    release: knownReleases['24.10.0'],
    board,
    ...options,
  })
  const connector = createSimulatedConnector(clock, (address) => (address === 'ap-1' ? router : undefined))
  const target: Target = {
    addresses: ['ap-1'],
    port: 22,
    credentials: { username: 'root', password: 'correct-horse' },
    hostKeys: [],
    acceptNewHostKeys: true,
    urgent: false,
    legacyAlgorithms: true,
  }
  const bytes = makeFirmware({ ...knownReleases['24.10.8'], boards: [board], ...options.image })
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const job: Job = {
    operation: 'ap-1-0badcafe-1',
    image: { sha256, sizeBytes: bytes.length, boards: [board] },
    options: {},
    timeouts,
  }

  async function* content(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 4096) yield bytes.subarray(at, at + 4096)
  }

  /** Lets time pass until the work has settled. */
  const run = async <T>(work: Promise<T>): Promise<T> => {
    let settled = false
    const end = () => {
      settled = true
    }
    work.then(end, end)
    await clock.runUntil(() => settled, 60 * 24 * 3_600_000)
    return work
  }
  const connect = (changes: Partial<Target> = {}): Promise<Session> =>
    run(connector.connect({ ...target, ...changes }, 60_000, signal))
  const probe = (session: Session): Promise<Probe> => run(openwrtUpgrader.probe(session, timeouts, signal))
  const upload = (session: Session): Promise<void> =>
    run(openwrtUpgrader.upload(job, session, { content, onProgress: () => {} }, signal))
  const test = (session: Session): Promise<void> => run(openwrtUpgrader.test(job, session, signal))
  const tokenOf = (seen: Probe): StartToken => ({
    bootId: seen.bootId,
    board: seen.board,
    revision: seen.release.revision ?? '',
    maxUptimeSeconds: seen.uptimeSeconds + 120,
  })
  const start = (session: Session, token: StartToken): Promise<StartResult> =>
    run(openwrtUpgrader.start(job, token, session, signal))
  /** Up to the image in place. */
  const prepare = async () => {
    const session = await connect()
    const seen = await probe(session)
    await upload(session)
    return { session, seen, token: tokenOf(seen) }
  }
  /** Up to the guard's answer, over a session of its own. */
  const flash = async (): Promise<StartResult> => {
    const { session, token } = await prepare()
    return start(session, token)
  }
  /** Knocks until it answers after having gone, for a day at most, then probes over a new connection. */
  const comeBack = async (): Promise<Probe> => {
    for (const wanted of [false, true]) {
      const giveUpMs = clock.monotonic() + 24 * 3_600_000
      while ((await run(connector.knock(target, 1000, signal))) !== wanted) {
        if (clock.monotonic() > giveUpMs)
          throw new Error(wanted ? 'it never came back' : 'it never went down')
        await clock.advance(1000)
      }
    }
    return probe(await connect())
  }
  return {
    clock,
    router,
    connector,
    target,
    job,
    bytes,
    run,
    connect,
    probe,
    upload,
    test,
    tokenOf,
    start,
    prepare,
    flash,
    comeBack,
  }
}
