import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { hasCode } from '../../src/core/errors.ts'
import { makeFirmware } from '../../src/simulator/firmware.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'
import { scriptCommand, scripts, uploadCommand } from '../../src/upgraders/openwrt/scripts.ts'
import {
  type NamespaceRouter,
  type RouterOptions,
  routerPrograms,
  startRouter,
} from '../support/namespace-router.ts'
import { requires } from '../support/requires.ts'
import { contextOf, jobOf, probeOf, sessionOf, tokenOf } from '../support/router-session.ts'
import { until } from '../support/until.ts'

const signal = new AbortController().signal
const board = 'tplink,archer-c7-v5'
const mebibyte = 2 ** 20
const firmware = (version: string, sizeBytes?: number) =>
  makeFirmware({ version, revision: `r1-${version}`, boards: [board], ...(sizeBytes && { sizeBytes }) })
const image = firmware('24.10.8')
/** Large enough that hashing it takes a moment. */
const largeImage = firmware('24.10.8', 48 * mebibyte)
const job = jobOf(image)

let router: NamespaceRouter | undefined
afterEach(async () => {
  await router?.stop()
  router = undefined
})

const boot = async (options: Partial<RouterOptions> = {}) => {
  router = await startRouter({ release: knownReleases['23.05.5'], ...options })
  return { router, session: sessionOf(router) }
}

const shell = async (on: NamespaceRouter, text: string): Promise<string> =>
  (await on.run(['sh', '-c', text])).stdout.trim()
const uptimeOf = async (on: NamespaceRouter): Promise<number> =>
  Number((await shell(on, 'cat /proc/uptime')).split('.')[0])

/** A router with the image in place, and the arguments of a good start. */
const ready = async (options: Partial<RouterOptions> = {}, of = image) => {
  const machine = await boot(options)
  const ofJob = jobOf(of)
  await openwrtUpgrader.upload(ofJob, machine.session, contextOf(of), signal)
  return { ...machine, job: ofJob, token: await tokenOf(machine.session, signal) }
}

/** Resolves when a guard on its way has taken the lock. */
const lockTaken = (on: NamespaceRouter, operation: string) =>
  until('the guard holds the lock', async () =>
    (await shell(on, 'cat /tmp/reflash.lock.*')).includes(operation),
  )

requires(...routerPrograms)('the guard on a real busybox', () => {
  it('starts what was decided on, once, and marks it', async () => {
    const { router, session, token } = await ready()
    expect(await openwrtUpgrader.start(job, token, session, signal)).toEqual({ kind: 'Started' })
    expect(
      await openwrtUpgrader.start({ ...job, operation: 'other' }, token, session, signal),
    ).not.toMatchObject({ kind: 'Started' })
    await router.booted(1)
    expect(router.release()).toEqual({ distribution: 'OpenWrt', version: '24.10.8', revision: 'r1-24.10.8' })
    expect(router.flashes()).toEqual([
      { sha256: job.image.sha256, version: '24.10.8', revision: 'r1-24.10.8' },
    ])
    const probe = await probeOf(session, signal)
    expect(probe.lastFlash).toEqual({
      operation: job.operation,
      sha256: job.image.sha256,
      bootId: token.bootId,
    })
    expect(probe).toMatchObject({ upgrading: false, leftovers: false })
  })

  it.each([
    ['another boot', 90, { bootId: '00000000-0000-4000-8000-000000000000' }],
    ['another board', 91, { board: 'tplink,archer-c7-v4' }],
    ['another release', 92, { revision: 'r1' }],
    ['too late', 93, { maxUptimeSeconds: -1 }],
  ])('refuses %s', async (_name, code, wrong) => {
    const { router, token } = await ready()
    const { bootId, board: on, revision, maxUptimeSeconds } = { ...token, ...wrong }
    const args = ['op', bootId, on, revision, job.image.sha256, String(maxUptimeSeconds)]
    const { stdout } = await router.run(scriptCommand('guard', args), scripts.guard)
    expect(stdout).toBe(`GUARD ${code}\n`)
    expect(await shell(router, 'ls /tmp/reflash.lock* /etc/reflash/last 2>/dev/null')).not.toContain('last')
    expect(router.starts()).toBe(0)
  })

  it('refuses while another start holds the lock, and takes over a void one', async () => {
    const { router, session, token } = await ready()
    router.misbehave({ die: 'dead' })
    await shell(
      router,
      `echo "${token.maxUptimeSeconds} other" >/tmp/reflash.lock.7; for i in 1 2 3 4 5 6; do echo '-1 x' >/tmp/reflash.lock.$i; done`,
    )
    expect(await openwrtUpgrader.start(job, token, session, signal)).toMatchObject({
      kind: 'Refused',
      message: expect.stringContaining('lock') as string,
    })
    await shell(router, "echo '-1 other' >/tmp/reflash.lock.7")
    expect(await openwrtUpgrader.start(job, token, session, signal)).toEqual({ kind: 'Started' })
    await until('sysupgrade ran', () => router.starts() === 1)
  })

  it('refuses another image than the one that was decided on', async () => {
    const { router, session, token } = await ready()
    await shell(router, 'echo x >>/tmp/reflash.bin')
    expect(await openwrtUpgrader.start(job, token, session, signal)).toMatchObject({
      kind: 'Refused',
      failureClass: 'UploadFailed',
    })
    expect(router.starts()).toBe(0)
  })

  it.each(['/sbin/sysupgrade /tmp/foreign.bin', '/sbin/upgraded /tmp/foreign.bin'])(
    'refuses while %s runs',
    async (other) => {
      const { router, session, token } = await ready()
      router.misbehave({ testSeconds: 30, shutdownSeconds: 30 })
      await shell(router, 'cp /tmp/reflash.bin /tmp/foreign.bin')
      router.spawn(['sh', ...other.replace('sysupgrade', 'sysupgrade -T').split(' ')])
      await until('it runs', async () => (await probeOf(session, signal)).upgrading)
      expect(await openwrtUpgrader.start(job, token, session, signal)).toMatchObject({
        kind: 'Refused',
        message: 'an upgrade runs on the device already',
      })
    },
  )

  it('takes a missing pgrep for an upgrade that may be running', async () => {
    const { router, session, token } = await ready()
    rmSync(join(router.root, 'usr/bin/pgrep'))
    expect(await openwrtUpgrader.start(job, token, session, signal)).toMatchObject({
      kind: 'Refused',
      message: 'an upgrade runs on the device already',
    })
  })

  it('refuses what sysupgrade refuses, by the words of the device', async () => {
    const { router, session, token } = await ready()
    router.misbehave({ refuse: 'Invalid image type.\nImage check failed.' })
    const refused = await openwrtUpgrader.start(job, token, session, signal)
    expect(refused).toMatchObject({
      kind: 'Refused',
      failureClass: 'Rejected',
      log: ['Invalid image type.', 'Image check failed.'],
    })
    // Nothing stays behind: the next start is as free as the first.
    router.misbehave({ refuse: '' })
    expect(await openwrtUpgrader.start(job, token, session, signal)).toEqual({ kind: 'Started' })
  })

  it('tests with the options of the real run', async () => {
    const { router, session, token } = await ready({ release: knownReleases['18.06.9'] })
    const withOption = { ...job, options: { keepOverlay: true } }
    expect(await openwrtUpgrader.start(withOption, token, session, signal)).toMatchObject({
      kind: 'Refused',
      message: 'sysupgrade refuses the image: Invalid option: -o',
    })
    expect(router.starts()).toBe(0)
  })

  it('starts though another shell runs', async () => {
    const { router, session, token } = await ready()
    router.spawn(['/bin/sh', '-c', 'while :; do sleep 1; done'])
    await until('it runs', async () => (await shell(router, 'ps -o args')).includes('while :'))
    expect(await openwrtUpgrader.start(job, token, session, signal)).toEqual({ kind: 'Started' })
    await router.booted(1)
  })

  it('leaves no marker behind when nothing was started, but the one from before', async () => {
    const { router, session, token } = await ready()
    mkdirSync(join(router.root, 'lib/upgrade/keep.d/reflash'))
    expect(await openwrtUpgrader.start(job, token, session, signal)).toMatchObject({
      kind: 'Refused',
      message: 'sysupgrade could not be started',
    })
    expect((await probeOf(session, signal)).lastFlash).toBeUndefined()
    mkdirSync(join(router.root, 'etc/reflash'), { recursive: true })
    const before = `earlier ${'a'.repeat(64)} 00000000-0000-4000-8000-000000000000`
    writeFileSync(join(router.root, 'etc/reflash/last'), `${before}\n`)
    await openwrtUpgrader.start(job, token, session, signal)
    expect(await shell(router, 'cat /etc/reflash/last')).toBe(before)
  })

  it('gives up after a test that took too long', async () => {
    const { router, session } = await ready()
    router.misbehave({ testSeconds: 2.5 })
    const token = await tokenOf(session, signal, 1)
    expect(await openwrtUpgrader.start(job, token, session, signal)).toMatchObject({
      kind: 'Refused',
      message: 'the start arrived too late',
    })
    expect((await probeOf(session, signal)).lastFlash).toBeUndefined()
    expect(router.starts()).toBe(0)
  })

  it('has exactly one start of four, two hundred times, each a takeover of the lock before', async () => {
    const { router, session, token } = await ready()
    router.misbehave({ die: 'dead' })
    writeFileSync(join(router.root, 'rig/guard.sh'), scripts.guard)
    // The pgrep of the rig looks at each process in turn, which would take most of the time.
    writeFileSync(join(router.root, 'usr/bin/pgrep'), '#!/bin/sh\nexit 1\n')
    const driver = `i=0
while [ $i -lt 200 ]; do
  i=$((i + 1)); n=0
  while [ -e /tmp/reflash.lock.$((n + 1)) ]; do n=$((n + 1)); done
  [ $n = 0 ] || echo '-1 x' >/tmp/reflash.lock.$n
  for k in 1 2 3 4; do sh -s -- guard op-$i-$k "$@" </rig/guard.sh >/tmp/answer.$k & done
  wait
  echo $i $(cat /tmp/answer.*)
done`
    const args = [
      token.bootId,
      token.board,
      token.revision,
      job.image.sha256,
      String(token.maxUptimeSeconds + 1000),
    ]
    const { stdout } = await router.run(['sh', '-s', '--', ...args], driver)
    const rounds = stdout.trim().split('\n')
    expect(rounds.length).toBe(200)
    for (const round of rounds) expect(round.split('GUARD 0').length - 1, round).toBe(1)
    await until('every start came to sysupgrade', () => router.starts() >= 200)
    expect(router.starts()).toBe(200)
    expect((await probeOf(session, signal)).upgrading).toBe(false)
  })

  it('killed at any moment starts at most once, and never blocks the device for good', async () => {
    const { router, session } = await ready()
    router.misbehave({ die: 'dead' })
    for (let delayMs = 0; delayMs < 200; delayMs += 40) {
      const before = router.starts()
      const token = await tokenOf(session, signal, 1)
      const ofJob = { ...job, operation: `op-${delayMs}` }
      const args = [
        ofJob.operation,
        token.bootId,
        token.board,
        token.revision,
        job.image.sha256,
        String(token.maxUptimeSeconds),
      ]
      const child = router.spawn(['sh', '-s', '--', 'guard', ...args])
      child.stdin?.on('error', () => {})
      child.stdin?.end(scripts.guard)
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      await shell(
        router,
        "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline) in *'sh -s -- guard'*) kill -9 ${p#/proc/};; esac; done 2>/dev/null",
      )
      await until('its time has passed', async () => (await uptimeOf(router)) > token.maxUptimeSeconds)
      expect(router.starts() - before).toBeLessThanOrEqual(1)
      await openwrtUpgrader.clearStart(ofJob, token, session, signal)
      expect((await probeOf(session, signal)).lastFlash, `after ${delayMs} ms`).toBeUndefined()
      await openwrtUpgrader.upload(job, session, contextOf(image), signal)
    }
    expect(await openwrtUpgrader.start(job, await tokenOf(session, signal), session, signal)).toEqual({
      kind: 'Started',
    })
  })
})

requires(...routerPrograms)('what comes late or from a second controller', () => {
  it('cannot swap the image under a running upgrade', async () => {
    const { router, session, token } = await ready()
    router.misbehave({ shutdownSeconds: 1 })
    expect(await openwrtUpgrader.start(job, token, session, signal)).toEqual({ kind: 'Started' })
    const other = firmware('19.07.10')
    const late = await router.run(uploadCommand(jobOf(other).image.sha256), other)
    expect(late.code).toBe(8)
    await router.booted(1)
    expect(router.flashes().map(({ sha256 }) => sha256)).toEqual([job.image.sha256])
  })

  it('cannot take the image away while the guard is on its way', async () => {
    const { router, session, token, job: large } = await ready({}, largeImage)
    const starting = openwrtUpgrader.start(large, token, session, signal)
    await lockTaken(router, large.operation)
    const isBusy = (error: unknown): boolean => hasCode(error, 'Busy')
    await expect(
      openwrtUpgrader.abandon({ keepImage: false, commandMs: 5000 }, session, signal),
    ).rejects.toSatisfy(isBusy)
    await openwrtUpgrader.clearStart(large, { ...token, maxUptimeSeconds: 0 }, session, signal)
    const other = jobOf(firmware('19.07.10'))
    await expect(openwrtUpgrader.upload(other, session, contextOf(image), signal)).rejects.toSatisfy(isBusy)
    expect(await starting).toEqual({ kind: 'Started' })
    await router.booted(1)
    expect(router.release().version).toBe('24.10.8')
  })

  it('clears only the start that it was meant for, and only in its boot', async () => {
    const { router, session, token } = await ready()
    router.misbehave({ die: 'Failed to kill all processes.' })
    const short = await tokenOf(session, signal, 1)
    expect(await openwrtUpgrader.start(job, short, session, signal)).toEqual({ kind: 'Started' })
    await until('it died', async () =>
      (await openwrtUpgrader.log(job, session, signal)).includes('Failed to kill all processes.'),
    )
    await openwrtUpgrader.clearStart(
      job,
      { ...short, bootId: '00000000-0000-4000-8000-000000000000' },
      session,
      signal,
    )
    await openwrtUpgrader.clearStart({ ...job, operation: 'other' }, short, session, signal)
    await openwrtUpgrader.clearStart(job, token, session, signal)
    expect((await probeOf(session, signal)).lastFlash).toBeDefined()
    await until('its time has passed', async () => (await uptimeOf(router)) > short.maxUptimeSeconds)
    await openwrtUpgrader.clearStart(job, short, session, signal)
    expect(await probeOf(session, signal)).toMatchObject({ leftovers: false })
    expect((await probeOf(session, signal)).lastFlash).toBeUndefined()
  })
})

requires(...routerPrograms)('an upload to a real busybox', () => {
  it('puts the image in place, and sends nothing when it is there', async () => {
    const { router, session } = await ready()
    const untouched = {
      content: () => {
        throw new Error('nothing may be sent')
      },
      onProgress: () => {},
    }
    await openwrtUpgrader.upload(job, session, untouched, signal)
    expect(await shell(router, 'ls -l /tmp/reflash.bin | cut -c 1-10')).toBe('-rw-------')
    await openwrtUpgrader.test(job, session, signal)
  })

  it('that arrives damaged is not put in place', async () => {
    const { router, session } = await boot()
    const damaged = Buffer.from(image)
    damaged[1000] = damaged[1000]! ^ 1
    await expect(openwrtUpgrader.upload(job, session, contextOf(damaged), signal)).rejects.toSatisfy(
      (error) => hasCode(error, 'UploadFailed'),
    )
    expect(await shell(router, 'ls /tmp')).not.toContain('reflash.bin')
    expect(await shell(router, 'ls /tmp')).not.toContain('reflash.part')
  })

  it('finds no room, and says so', async () => {
    const { session } = await boot({ tmpBytes: 40 * 1024 })
    await expect(openwrtUpgrader.upload(job, session, contextOf(image), signal)).rejects.toThrow(
      'not enough room in /tmp',
    )
  })

  it('runs out of room half-way, and leaves nothing', async () => {
    const { router } = await boot({ tmpBytes: 40 * 1024 })
    const { code, stderr } = await router.run(uploadCommand(job.image.sha256), image)
    expect(code).toBe(7)
    expect(stderr).toContain('No space left')
    expect(await shell(router, 'ls /tmp')).not.toContain('reflash.part')
  })

  it('stops services when memory is short, and abandon starts exactly those again', async () => {
    const { router, session } = await boot({
      services: ['uhttpd', 'log', 'dnsmasq'],
      memoryAvailableBytes: 4 * mebibyte,
    })
    await shell(router, '/etc/init.d/dnsmasq stop </dev/null; echo >/rig/services')
    await expect(openwrtUpgrader.upload(job, session, contextOf(image), signal)).rejects.toSatisfy((error) =>
      hasCode(error, 'NoSpace'),
    )
    expect(await shell(router, 'pidof uhttpd logd')).toBe('')
    expect((await probeOf(session, signal)).leftovers).toBe(true)
    await openwrtUpgrader.abandon({ keepImage: true, commandMs: 5000 }, session, signal)
    expect((await shell(router, 'grep start /rig/services')).split('\n')).toEqual([
      'start uhttpd',
      'start log',
    ])
    expect((await probeOf(session, signal)).leftovers).toBe(false)
  })

  it('stops nothing when that is not allowed', async () => {
    const { router, session } = await boot({ services: ['uhttpd'], memoryAvailableBytes: 4 * mebibyte })
    const careful = jobOf(image, { options: { freeMemory: false } })
    await expect(openwrtUpgrader.upload(careful, session, contextOf(image), signal)).rejects.toThrow(
      'not enough memory',
    )
    expect(await shell(router, 'pidof uhttpd')).not.toBe('')
  })

  it('abandoned with the image kept leaves that alone', async () => {
    const { router, session } = await ready()
    await openwrtUpgrader.abandon({ keepImage: true, commandMs: 5000 }, session, signal)
    expect(await shell(router, 'ls /tmp')).toContain('reflash.bin')
    await openwrtUpgrader.abandon({ keepImage: false, commandMs: 5000 }, session, signal)
    expect(await shell(router, 'ls /tmp')).not.toContain('reflash.bin')
  })
})

requires(...routerPrograms)('a release without sha256sum', () => {
  it('is flashed by md5', async () => {
    const { router, session, token } = await ready({ release: knownReleases['15.05.1'] })
    expect(await shell(router, 'sha256sum /etc/passwd')).toBe('')
    expect(await openwrtUpgrader.start(job, token, session, signal)).toEqual({ kind: 'Started' })
    await router.booted(1)
    expect(router.flashes().map(({ sha256 }) => sha256)).toEqual([job.image.sha256])
  })

  it('is flashed untested where sysupgrade knows no test, as on 12.09', async () => {
    const release = { distribution: 'OpenWrt', version: '12.09', revision: 'r36088' }
    const { router, session, token } = await ready({ release })
    await openwrtUpgrader.test(job, session, signal)
    expect(router.starts()).toBe(0)
    expect(await openwrtUpgrader.start(job, token, session, signal)).toEqual({ kind: 'Started' })
    await router.booted(1)
    expect(router.release().version).toBe('24.10.8')
  })

  it('refuses an image that is not the one of the start', async () => {
    const { router, session, token } = await ready({ release: knownReleases['15.05.1'] }, firmware('14.07'))
    expect(await openwrtUpgrader.start(job, token, session, signal)).toMatchObject({
      kind: 'Refused',
      failureClass: 'UploadFailed',
    })
    expect(router.starts()).toBe(0)
  })

  it('notices an upload that arrives damaged', async () => {
    const { router, session } = await boot({ release: knownReleases['15.05.1'] })
    // The transport spoils a byte: what was sent is right, what the device has is not.
    const spoiled = Buffer.from(image)
    spoiled[1000] = spoiled[1000]! ^ 1
    const spoiling = {
      ...session,
      upload: async (command: readonly string[], content: AsyncIterable<Uint8Array>) => {
        for await (const _ of content);
        return router.run(command, spoiled)
      },
    }
    await expect(openwrtUpgrader.upload(job, spoiling, contextOf(image), signal)).rejects.toThrow(
      'MD5 differs',
    )
    expect(await shell(router, 'ls /tmp')).not.toContain('reflash.bin')
  })
})
