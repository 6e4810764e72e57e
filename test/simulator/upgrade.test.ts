import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { bootAt, eventsOf } from '../../src/simulator/history.ts'
import { knownReleases, type Release } from '../../src/simulator/release.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'
import { scriptCommand, scripts, uploadScript } from '../../src/upgraders/openwrt/scripts.ts'
import { simulatedRouter } from '../support/simulated-router.ts'

const signal = new AbortController().signal

it('imitates the scripts as they are', () => {
  // When this fails the scripts have changed: see what that means for src/simulator, then write down the new digest.
  const digest = createHash('sha256')
    .update(JSON.stringify([scripts, uploadScript]))
    .digest('hex')
  expect(digest).toBe('0e828c9157625f37a3fecee0fd3b828c735b55f8beb6fdfe6316c91bc2b6fbd3')
})

describe('an upgrade of a simulated router', () => {
  const old = ['12.09', '15.05.1', '17.01.7', '19.07.10', '21.02.7', '23.05.5', '25.12.4'] as const
  it.each(old)('from %s runs the new release after a new boot', async (version) => {
    const release: Release = knownReleases[version]
    const world = simulatedRouter({ release })
    const { session, seen, token } = await world.prepare()
    expect(seen.release).toMatchObject({ version, revision: release.revision })
    expect(seen.lastFlash).toBeUndefined()
    await world.test(session)
    expect(await world.start(session, token)).toEqual({ kind: 'Started' })

    const back = await world.comeBack()
    expect(back.bootId).not.toBe(seen.bootId)
    expect(back.osIdentifier).toBe('OpenWrt 24.10.8 r29233-443ec4032a')
    expect(back.identity).toBe(seen.identity)
    const { operation, image } = world.job
    expect(back.lastFlash).toEqual({ operation, sha256: image.sha256, bootId: seen.bootId })

    const { history } = world.router
    expect(eventsOf(history, 'FlashStarted')).toMatchObject([
      {
        bootId: seen.bootId,
        board: seen.board,
        release,
        order: { ...token, operation, sha256: image.sha256 },
      },
    ])
    expect(eventsOf(history, 'FlashWritten')).toMatchObject([
      { sha256: image.sha256, release: knownReleases['24.10.8'] },
    ])
    expect(eventsOf(history, 'Booted').map((boot) => boot.release.version)).toEqual([version, '24.10.8'])
    const [started] = eventsOf(history, 'FlashStarted')
    expect(bootAt(history, started?.atMs ?? 0)?.release).toEqual(release)
    expect(bootAt(history, Infinity)?.bootId).toBe(back.bootId)
  })

  it('takes the time that it takes', async () => {
    const world = simulatedRouter({ timings: { flashMs: 100_000, rebootMs: 50_000 } })
    await world.flash()
    const startedMs = world.clock.monotonic()
    await world.comeBack()
    expect(world.clock.monotonic() - startedMs).toBeGreaterThan(135_000)
    expect(world.clock.monotonic() - startedMs).toBeLessThan(170_000)
  })

  it('goes only one way for any number of starters at once', async () => {
    const world = simulatedRouter()
    const { seen, token } = await world.prepare()
    const attempts = Array.from({ length: 4 }, () => world.connector.connect(world.target, 60_000, signal))
    const sessions = await world.run(Promise.all(attempts))
    const results = await world.run(
      Promise.all(sessions.map((session) => openwrtUpgrader.start(world.job, token, session, signal))),
    )
    expect(results.filter(({ kind }) => kind === 'Started')).toHaveLength(1)
    expect(eventsOf(world.router.history, 'FlashStarted')).toHaveLength(1)
    expect(
      eventsOf(world.router.history, 'Guard')
        .map(({ verdict }) => verdict)
        .toSorted((a, b) => a - b),
    ).toEqual([0, 94, 94, 94])
    await world.comeBack()
    // The same token, once more: it is dead in the new boot.
    expect(await world.start(await world.connect(), token)).toMatchObject({ kind: 'Refused' })
    expect(eventsOf(world.router.history, 'Guard').at(-1)).toMatchObject({
      verdict: 90,
      order: { bootId: seen.bootId },
    })
  })

  it('is refused by the guard for each of its reasons', async () => {
    const verdict = async (prepare: (world: ReturnType<typeof simulatedRouter>) => Promise<unknown>) => {
      const world = simulatedRouter()
      await prepare(world)
      expect(eventsOf(world.router.history, 'FlashStarted').length).toBeLessThan(2)
      return eventsOf(world.router.history, 'Guard').at(-1)?.verdict
    }
    const startWith = (changes: Partial<{ bootId: string; board: string; revision: string }>) =>
      verdict(async (world) => {
        const { session, token } = await world.prepare()
        await world.start(session, { ...token, ...changes })
      })
    expect(await startWith({ bootId: 'another' })).toBe(90)
    expect(await startWith({ board: 'another' })).toBe(91)
    expect(await startWith({ revision: 'another' })).toBe(92)
    expect(
      await verdict(async (world) => {
        const { session, token } = await world.prepare()
        await world.clock.advance(121_000)
        await world.start(session, token)
      }),
    ).toBe(93)
    expect(
      await verdict(async (world) => {
        const session = await world.connect()
        await world.start(session, world.tokenOf(await world.probe(session)))
      }),
    ).toBe(95)
    expect(
      await verdict(async (world) => {
        world.router.inject({ kind: 'StartDies' })
        const { session, token } = await world.prepare()
        await world.start(session, token)
        await world.start(session, token)
      }),
    ).toBe(96)
    expect(
      await verdict(async (world) => {
        world.router.inject({ kind: 'TestRefused', text: 'Invalid image type.' })
        await world.flash()
      }),
    ).toBe(97)
    expect(
      await verdict(async (world) => {
        world.router.inject({ kind: 'OverlayFull' })
        await world.flash()
      }),
    ).toBe(98)
  })

  it('may start again after a start that died, once its lock is void', async () => {
    const world = simulatedRouter()
    world.router.inject({ kind: 'StartDies' })
    const { session, token } = await world.prepare()
    expect(await world.start(session, token)).toEqual({ kind: 'Started' })
    await world.clock.advance(10_000)
    expect(await world.start(session, token)).toMatchObject({ kind: 'Refused', failureClass: 'NotStarted' })
    expect(eventsOf(world.router.history, 'Guard').at(-1)?.verdict).toBe(94)

    // While the start may still be on its way, its lock and its marker stay.
    await world.run(openwrtUpgrader.clearStart(world.job, token, session, signal))
    expect(world.router.state.marker).toBeDefined()
    await world.clock.advance(130_000)
    await world.run(openwrtUpgrader.clearStart(world.job, token, session, signal))
    expect(world.router.state.marker).toBeUndefined()
    const again = await world.probe(session)
    await world.upload(session)
    expect(await world.start(session, world.tokenOf(again))).toEqual({ kind: 'Started' })
    expect((await world.comeBack()).release.version).toBe('24.10.8')
  })

  it('makes room by stopping services, and an abandoned one starts them again', async () => {
    const world = simulatedRouter({ memoryAvailableBytes: 7 * 2 ** 20, image: { sizeBytes: 2 ** 20 } })
    const { session } = await world.prepare()
    const [stopped] = eventsOf(world.router.history, 'ServicesStopped')
    expect(stopped?.services).toContain('dnsmasq')
    expect((await world.probe(session)).leftovers).toBe(true)
    await world.run(openwrtUpgrader.abandon({ keepImage: false, commandMs: 30_000 }, session, signal))
    expect(eventsOf(world.router.history, 'ServicesStarted')).toMatchObject([{ services: stopped?.services }])
    expect((await world.probe(session)).leftovers).toBe(false)
    expect(world.router.state.files.size).toBe(0)
  })

  it('does not upload what is there already', async () => {
    const world = simulatedRouter()
    const { session } = await world.prepare()
    await world.upload(session)
    expect(eventsOf(world.router.history, 'Uploaded')).toHaveLength(1)
  })

  it('is tested by the router as its release would', async () => {
    const refusal = async (options: Parameters<typeof simulatedRouter>[0]) => {
      const world = simulatedRouter(options)
      const { session } = await world.prepare()
      return world.test(session)
    }
    await expect(refusal({ image: { boards: ['other,board'] } })).rejects.toMatchObject({ code: 'Rejected' })
    await expect(refusal({ image: { compatVersion: '1.1' } })).rejects.toMatchObject({ code: 'Rejected' })
    await expect(refusal({ image: { compatVersion: '2.0' } })).rejects.toMatchObject({ code: 'Rejected' })
    // Releases without metadata take anything with the right magic.
    await refusal({ image: { boards: ['other,board'] }, release: knownReleases['15.05.1'] })
  })

  it('loses the image when somebody removes it under sysupgrade', async () => {
    const world = simulatedRouter({ timings: { shutdownMs: 10_000 } })
    const before = await world.prepare()
    await world.start(before.session, before.token)
    // No script of the upgrader would do this.
    const { files } = world.router.state
    files.clear()
    const back = await world.comeBack()
    expect(back.bootId).not.toBe(before.seen.bootId)
    expect(back.release.version).toBe('24.10.0')
    expect(eventsOf(world.router.history, 'FlashWritten')).toEqual([])
  })
})

it('runs no script but the very one that is imitated', async () => {
  const world = simulatedRouter()
  const session = await world.connect()
  const changed = `${scripts.abandon}\necho more`
  const result = await world.run(
    session.exec(scriptCommand('abandon', ['no']), { stdin: changed, deadlineMs: 1000 }, signal),
  )
  expect(result.code).toBe(2)
  expect(result.stderr).toContain('not the script')
})
