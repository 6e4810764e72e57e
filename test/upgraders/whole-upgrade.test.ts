import { expect, it } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import { makeFirmware } from '../../src/simulator/firmware.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'
import { type NamespaceRouter, routerPrograms, startRouter } from '../support/namespace-router.ts'
import { requires } from '../support/requires.ts'
import { contextOf, jobOf, probeOf, tokenOf } from '../support/router-session.ts'
import { until } from '../support/until.ts'

const signal = new AbortController().signal
const image = makeFirmware({
  version: '24.10.8',
  revision: 'r29233-443ec4032a',
  boards: ['tplink,archer-c7-v5'],
  sizeBytes: 4 * 2 ** 20,
})
const job = jobOf(image, { options: { keepChangedFiles: true } })
const connector = createSshConnector({ clock: systemClock })

const connectTo = (router: NamespaceRouter) =>
  connector.connect(
    {
      addresses: [router.address],
      port: router.port,
      credentials: { username: 'root', password: router.password },
      hostKeys: router.hostKeyLines,
      acceptNewHostKeys: false,
      urgent: false,
      legacyAlgorithms: false,
    },
    10_000,
    signal,
  )

const withRouter = async (body: (router: NamespaceRouter) => Promise<void>): Promise<void> => {
  const router = await startRouter({ release: knownReleases['23.05.5'] })
  try {
    await body(router)
  } finally {
    await router.stop()
  }
}

/** Everything up to the start, over one connection that the flash then ends. */
const upgrade = async (router: NamespaceRouter) => {
  const session = await connectTo(router)
  const probe = await probeOf(session, signal)
  await openwrtUpgrader.check(job, probe, signal)
  await openwrtUpgrader.upload(job, session, contextOf(image), signal)
  await openwrtUpgrader.test(job, session, signal)
  const started = await openwrtUpgrader.start(job, await tokenOf(session, signal), session, signal)
  return { probe, started, session }
}

requires(...routerPrograms)('a whole upgrade over dropbear', () => {
  it('ends in the new release, under a new boot id, on the same device', () =>
    withRouter(async (router) => {
      const { probe: before, started, session } = await upgrade(router)
      expect(started).toEqual({ kind: 'Started' })
      await session.close()
      await router.booted(1)
      const later = await connectTo(router)
      const after = await probeOf(later, signal)
      await later.close()
      expect(after.osIdentifier).toBe('OpenWrt 24.10.8 r29233-443ec4032a')
      expect(after.identity).toBe(before.identity)
      expect(after.bootId).not.toBe(before.bootId)
      expect(after.lastFlash?.bootId).toBe(before.bootId)
      expect(router.flashes().map(({ sha256 }) => sha256)).toEqual([job.image.sha256])
    }))

  it('goes on when the client is lost right after the start', () =>
    withRouter(async (router) => {
      const session = await connectTo(router)
      await openwrtUpgrader.upload(job, session, contextOf(image), signal)
      const token = await tokenOf(session, signal)
      const answer = openwrtUpgrader.start(job, token, session, signal)
      await until('sysupgrade runs', () => router.starts() === 1)
      await session.close()
      expect(['Started', 'Unknown']).toContain((await answer).kind)
      await router.booted(1)
      expect(router.release().version).toBe('24.10.8')
    }))

  it('that falls back shows its marker under another boot id', () =>
    withRouter(async (router) => {
      router.misbehave({ rollBack: true })
      const { probe: before } = await upgrade(router)
      await router.booted(1)
      const session = await connectTo(router)
      const after = await probeOf(session, signal)
      await session.close()
      expect(after.osIdentifier).toBe(before.osIdentifier)
      expect(after.bootId).not.toBe(before.bootId)
      expect(after.lastFlash).toMatchObject({ operation: job.operation, bootId: before.bootId })
      expect(router.flashes()).toEqual([])
    }))

  it.each([246, 10, 0])('is started whatever sysupgrade exits with: %i', (exitCode) =>
    withRouter(async (router) => {
      router.misbehave({ exitCode })
      expect((await upgrade(router)).started).toEqual({ kind: 'Started' })
      await router.booted(1)
      expect(router.release().version).toBe('24.10.8')
    }),
  )

  it('leaves its log when it dies at once', () =>
    withRouter(async (router) => {
      router.misbehave({ die: 'Failed to kill all processes.' })
      const { started, session } = await upgrade(router)
      expect(started).toEqual({ kind: 'Started' })
      await until(
        'the log is there',
        async () => (await openwrtUpgrader.log(job, session, signal)).length > 0,
      )
      expect(await openwrtUpgrader.log(job, session, signal)).toEqual(['Failed to kill all processes.'])
      await session.close()
      expect(router.boots()).toBe(1)
    }))
})
