import { describe, expect, it } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { drawFault, faultKinds, type FaultKind } from '../../src/simulator/faults.ts'
import { eventsOf, hashHistories } from '../../src/simulator/history.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { simulatedRouter } from '../support/simulated-router.ts'

type World = ReturnType<typeof simulatedRouter>
type Check = (world: World) => Promise<void>

const refusesUpload =
  (code: string): Check =>
  async (world) => {
    const session = await world.connect()
    await expect(world.upload(session)).rejects.toMatchObject({ code })
    expect(eventsOf(world.router.history, 'Uploaded')).toEqual([])
    // It was an accident: the next attempt works.
    const again = await world.connect()
    await world.upload(again)
    expect(eventsOf(world.router.history, 'Uploaded')).toHaveLength(1)
  }

const starts = (world: World) => eventsOf(world.router.history, 'FlashStarted').length
const verdicts = (world: World) => eventsOf(world.router.history, 'Guard').map(({ verdict }) => verdict)
const writes = (world: World) => eventsOf(world.router.history, 'FlashWritten').length

/** What each fault does, in words of the world. The type keeps the list complete. */
const checks: Record<FaultKind, { fault?: Parameters<World['router']['inject']>[0]; check: Check }[]> = {
  SlowConnect: [
    {
      fault: { kind: 'SlowConnect', ms: 20_000 },
      check: async (world) => {
        await world.connect()
        expect(world.clock.monotonic()).toBeGreaterThan(20_000)
      },
    },
  ],
  AuthRefused: [
    {
      check: async (world) => {
        await expect(world.connect()).rejects.toMatchObject({ code: 'AuthFailed' })
        await world.connect()
      },
    },
  ],
  LegacyOnly: [
    {
      check: async (world) => {
        const modern = { legacyAlgorithms: false }
        await expect(world.connect(modern)).rejects.toMatchObject({ code: 'AlgorithmMismatch' })
        await expect(world.connect(modern)).rejects.toMatchObject({ code: 'AlgorithmMismatch' })
        await world.connect()
      },
    },
  ],
  LinkLost: [
    {
      fault: { kind: 'LinkLost', command: 'guard', at: 'Before' },
      check: async (world) => {
        expect(await world.flash()).toMatchObject({ kind: 'Unknown' })
        await world.clock.advance(600_000)
        expect([starts(world), writes(world)]).toEqual([0, 0])
      },
    },
    {
      fault: { kind: 'LinkLost', command: 'guard', at: 'After' },
      check: async (world) => {
        expect(await world.flash()).toMatchObject({ kind: 'Unknown' })
        expect((await world.comeBack()).release.version).toBe('24.10.8')
        expect([starts(world), writes(world)]).toEqual([1, 1])
      },
    },
  ],
  LateDelivery: [
    {
      fault: { kind: 'LateDelivery', command: 'guard', ms: 100_000 },
      check: async (world) => {
        expect(await world.flash()).toMatchObject({ kind: 'Unknown' })
        expect(starts(world)).toBe(0)
        await world.clock.advance(100_000)
        expect(eventsOf(world.router.history, 'Guard')).toMatchObject([{ verdict: 0 }])
        expect(starts(world)).toBe(1)
      },
    },
    {
      fault: { kind: 'LateDelivery', command: 'guard', ms: 600_000 },
      check: async (world) => {
        await world.flash()
        await world.clock.advance(600_000)
        expect(eventsOf(world.router.history, 'Guard')).toMatchObject([{ verdict: 93 }])
      },
    },
    {
      fault: { kind: 'LateDelivery', command: 'guard', ms: 300_000 },
      check: async (world) => {
        await world.flash()
        world.router.powerCycle()
        await world.clock.advance(300_000)
        expect(eventsOf(world.router.history, 'Guard')).toMatchObject([{ verdict: 90 }])
      },
    },
  ],
  NoAnswer: [
    {
      fault: { kind: 'NoAnswer', command: 'probe' },
      check: async (world) => {
        await expect(world.probe(await world.connect())).rejects.toMatchObject({ code: 'Timeout' })
        await world.probe(await world.connect())
      },
    },
  ],
  HugeOutput: [
    {
      fault: { kind: 'HugeOutput', command: 'guard', bytes: 2 ** 20 },
      check: async (world) => {
        expect(await world.flash()).toMatchObject({ kind: 'Unknown' })
        expect(starts(world)).toBe(1)
      },
    },
    {
      fault: { kind: 'HugeOutput', command: 'probe', bytes: 2 ** 20 },
      check: async (world) => {
        await expect(world.probe(await world.connect())).rejects.toMatchObject({ code: 'OutputTooLarge' })
      },
    },
  ],
  ControlCharacters: [
    {
      check: async (world) => {
        const session = await world.connect()
        const seen = await world.probe(session)
        expect(seen.model).toContain('\\x1b')
        expect(JSON.stringify(Object.values(seen))).toMatch(/^[\x20-\x7e]*$/)
        expect((await world.probe(session)).model).toBe('TP-Link Archer C7 v5')
      },
    },
  ],
  NoSha256sum: [
    {
      check: async (world) => {
        expect(await world.flash()).toEqual({ kind: 'Started' })
        expect((await world.comeBack()).release.version).toBe('24.10.8')
      },
    },
  ],
  NoMemAvailable: [
    {
      check: async (world) => {
        const { memoryAvailableBytes = 0 } = await world.probe(await world.connect())
        expect(memoryAvailableBytes / 2 ** 20).toBeCloseTo(90, 0)
      },
    },
  ],
  LowMemory: [
    {
      fault: { kind: 'LowMemory', availableBytes: 2 ** 22 },
      check: async (world) => {
        const session = await world.connect()
        expect((await world.probe(session)).memoryAvailableBytes).toBe(2 ** 22)
        expect((await world.probe(session)).memoryAvailableBytes).toBeGreaterThan(2 ** 26)
      },
    },
  ],
  UploadCut: [{ fault: { kind: 'UploadCut', afterBytes: 20_000 }, check: refusesUpload('ConnectionLost') }],
  UploadStalled: [{ fault: { kind: 'UploadStalled', afterBytes: 20_000 }, check: refusesUpload('Timeout') }],
  UploadCorrupted: [{ check: refusesUpload('UploadFailed') }],
  TmpFull: [{ check: refusesUpload('NoSpace') }],
  OutOfMemory: [{ check: refusesUpload('NoSpace') }],
  TestRefused: [
    {
      fault: { kind: 'TestRefused', text: 'Invalid image type.' },
      check: async (world) => {
        const { session } = await world.prepare()
        await expect(world.test(session)).rejects.toMatchObject({ code: 'Rejected' })
      },
    },
    {
      fault: { kind: 'TestRefused', text: 'Invalid image type.', atStart: true },
      check: async (world) => {
        expect(await world.flash()).toMatchObject({ kind: 'Refused' })
        expect(verdicts(world)).toEqual([97])
      },
    },
  ],
  StartExit: ([246, 10, 0, null] as const).map((code) => ({
    fault: { kind: 'StartExit', code },
    check: async (world) => {
      expect(await world.flash()).toMatchObject({ kind: 'Unknown' })
      expect((await world.comeBack()).release.version).toBe('24.10.8')
    },
  })),
  OverlayFull: [
    {
      check: async (world) => {
        expect(await world.flash()).toMatchObject({ kind: 'Refused', failureClass: 'NotStarted' })
        expect(world.router.state.marker).toBeUndefined()
        expect(await world.flash()).toEqual({ kind: 'Started' })
      },
    },
  ],
  ReleaseEdited: [
    {
      check: async (world) => {
        expect(await world.flash()).toMatchObject({ kind: 'Refused', failureClass: 'NotStarted' })
        expect(verdicts(world)).toEqual([92])
        const { release } = await world.probe(await world.connect())
        expect(release.revision).toBe(`${world.router.state.release.revision}-local`)
      },
    },
  ],
  Tampered: (
    [
      ['Board', 91],
      ['Image', 95],
      ['Upgrade', 96],
      ['Lock', 94],
    ] as const
  ).map(([what, verdict]) => ({
    fault: { kind: 'Tampered', what },
    check: async (world) => {
      const { board } = world.router.state
      expect(await world.flash()).toMatchObject({ kind: 'Refused' })
      expect(verdicts(world)).toEqual([verdict])
      world.router.powerCycle()
      expect(world.router.state.board).toBe(board)
      expect(await world.flash()).toEqual({ kind: 'Started' })
    },
  })),
  Lies: [
    {
      check: async (world) => {
        const { bootId, release } = world.router.state
        expect(await world.flash()).toEqual({ kind: 'Started' })
        await world.clock.advance(600_000)
        const said = await world.probe(await world.connect())
        expect(said).toMatchObject({ bootId, release: { version: '24.10.8' } })
        expect(world.router.state.release).toEqual(release)
        expect(writes(world)).toBe(0)
        world.router.powerCycle()
        const later = await world.probe(await world.connect())
        expect(later.release.version).toBe(release.version)
      },
    },
  ],
  StartDies: [
    {
      check: async (world) => {
        const { bootId } = world.router.state
        expect(await world.flash()).toEqual({ kind: 'Started' })
        await world.clock.advance(600_000)
        expect(eventsOf(world.router.history, 'FlashDied')).toMatchObject([{ bootId }])
        expect(await world.probe(await world.connect())).toMatchObject({ bootId, upgrading: false })
      },
    },
  ],
  NoFin: [
    {
      check: async (world) => {
        const { session, token } = await world.prepare()
        expect(await world.start(session, token)).toEqual({ kind: 'Started' })
        await world.clock.advance(10_000)
        const beforeMs = world.clock.monotonic()
        const hanging = session.exec(['true'], { deadlineMs: 600_000 }, new AbortController().signal)
        await expect(world.run(hanging)).rejects.toMatchObject({ code: 'ConnectionLost' })
        // Nobody said that it was closed: the keepalive found out.
        expect(world.clock.monotonic() - beforeMs).toBeGreaterThan(30_000)
      },
    },
  ],
  RolledBack: [
    {
      check: async (world) => {
        await world.flash()
        const back = await world.comeBack()
        expect(back).toMatchObject({
          release: { version: '24.10.0' },
          lastFlash: { operation: world.job.operation },
        })
        expect(writes(world)).toBe(1)
      },
    },
  ],
  ImageRemoved: [
    {
      check: async (world) => {
        await world.flash()
        expect((await world.comeBack()).release.version).toBe('24.10.0')
        expect(writes(world)).toBe(0)
      },
    },
  ],
  WrongRelease: [
    {
      fault: { kind: 'WrongRelease', release: knownReleases['23.05.6'] },
      check: async (world) => {
        await world.flash()
        expect((await world.comeBack()).release.version).toBe('23.05.6')
      },
    },
  ],
  ConfigLost: [
    {
      check: async (world) => {
        const { hostKeys } = await world.connect()
        await world.flash()
        await world.clock.advance(600_000)
        await expect(world.connect({ hostKeys: [...hostKeys] })).rejects.toMatchObject({
          code: 'HostKeyChanged',
        })
        await expect(world.connect()).rejects.toMatchObject({ code: 'AuthFailed' })
        const blank = await world.connect({ credentials: { username: 'root', password: '' } })
        expect(await world.probe(blank)).not.toHaveProperty('lastFlash')
      },
    },
  ],
  AddedHostKey: [
    {
      check: async () => {
        const world = simulatedRouter({
          release: knownReleases['18.06.9'],
          image: knownReleases['19.07.10'],
        })
        world.router.inject({ kind: 'AddedHostKey' })
        const { hostKeys } = await world.connect()
        expect(hostKeys).toHaveLength(1)
        await world.flash()
        await world.comeBack()
        expect((await world.connect()).hostKeys).toHaveLength(2)
        expect((await world.connect({ hostKeys: [...hostKeys] })).hostKeys).toEqual(hostKeys)
      },
    },
  ],
  LateReturn: [
    {
      fault: { kind: 'LateReturn', ms: 3_600_000 },
      check: async (world) => {
        await world.flash()
        await world.clock.advance(3_600_000)
        expect(world.router.answer()).toBe('Silent')
        expect((await world.comeBack()).release.version).toBe('24.10.8')
      },
    },
  ],
  NoReturn: [
    {
      check: async (world) => {
        await world.flash()
        await world.clock.advance(30 * 24 * 3_600_000)
        expect(world.router.answer()).toBe('Silent')
        world.router.powerCycle()
        expect((await world.probe(await world.connect())).release.version).toBe('24.10.8')
      },
    },
  ],
  Outage: [
    {
      fault: { kind: 'Outage', ms: 60_000, answer: 'Refuses' },
      check: async (world) => {
        const beforeMs = world.clock.monotonic()
        await expect(world.connect()).rejects.toMatchObject({ code: 'Unreachable' })
        expect(world.clock.monotonic() - beforeMs).toBeLessThan(1000)
        await world.clock.advance(60_000)
        await world.connect()
      },
    },
    {
      fault: { kind: 'Outage', ms: 70_000, answer: 'Silent' },
      check: async (world) => {
        const beforeMs = world.clock.monotonic()
        await expect(world.connect()).rejects.toMatchObject({ code: 'Unreachable' })
        expect(world.clock.monotonic() - beforeMs).toBeGreaterThanOrEqual(60_000)
      },
    },
  ],
  OtherDevice: [
    {
      check: async (world) => {
        const seen = await world.probe(await world.connect())
        expect(seen.board).toBe('netgear,r6220')
        const { session, token } = await world.prepare()
        expect(await world.start(session, { ...token, board: 'tplink,archer-c7-v5' })).toMatchObject({
          kind: 'Refused',
          failureClass: 'IdentityChanged',
        })
      },
    },
  ],
  SpontaneousReboot: [
    {
      fault: { kind: 'SpontaneousReboot', afterMs: 5000 },
      check: async (world) => {
        const { seen } = await world.prepare()
        const back = await world.comeBack()
        expect(back.bootId).not.toBe(seen.bootId)
        expect(back.uptimeSeconds).toBeLessThan(seen.uptimeSeconds + 60)
        expect(back.leftovers).toBe(false)
        expect(starts(world)).toBe(0)
      },
    },
  ],
}

describe.each(faultKinds)('%s', (kind) => {
  for (const [index, { fault, check }] of checks[kind].entries())
    it(`does what it says (${index + 1})`, async () => {
      const world = simulatedRouter()
      world.router.inject(fault ?? drawFault(kind, createRandom(1)))
      await check(world)
      if (kind !== 'AddedHostKey')
        expect(eventsOf(world.router.history, 'Fault').map((event) => event.kind)).toContain(kind)
    })
})

it('happens as often as it was asked for', async () => {
  const world = simulatedRouter()
  world.router.inject({ kind: 'AuthRefused' }, 3)
  for (let attempt = 0; attempt < 3; attempt += 1) await expect(world.connect()).rejects.toThrow('refuses')
  await world.connect()
})

it('happens in the same way for the same seed', async () => {
  const history = async (seed: number) => {
    const world = simulatedRouter({ seed })
    const random = createRandom(seed)
    for (const kind of faultKinds) world.router.inject(drawFault(kind, random.fork(kind)))
    for (let attempt = 0; attempt < 20; attempt += 1) {
      await world.flash().catch(() => {})
      await world.clock.advance(600_000)
    }
    return world.router.history
  }
  const [first, second, other] = [await history(1), await history(1), await history(2)]
  expect(hashHistories([first])).toBe(hashHistories([second]))
  expect(hashHistories([first])).not.toBe(hashHistories([other]))
  expect(eventsOf(first, 'Fault').length).toBeGreaterThan(10)
})
