import { rename, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { sourceErrorAnnotation } from '../../src/core/annotations.ts'
import { ended, startReflash, type CliResult } from '../support/cli.ts'
import { makeServedFleet, readLog, type ServedFleet } from '../support/served-fleet.ts'
import { until } from '../support/until.ts'

interface LivingRun {
  pid: number
  /** Everything it has logged so far. */
  log(): Record<string, unknown>[]
  /** Waits for a line of the log. */
  says(what: string, matches: (event: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>
  /** Waits for anything; a failure shows what it has logged. */
  until(what: string, condition: () => unknown): Promise<unknown>
  /** SIGTERM, and how it ended. */
  stop(): Promise<CliResult & { seconds: number }>
}

const running = new Set<LivingRun>()
afterEach(async () => {
  for (const run of running) await run.stop()
})

function startRun(fleet: ServedFleet, ...flags: string[]): LivingRun {
  const child = startReflash(['run', ...fleet.flags, ...flags])
  let stderr = ''
  child.stderr!.on('data', (bytes: Buffer) => (stderr += bytes.toString('utf8')))
  const end = ended(child)
  const run: LivingRun = {
    pid: child.pid!,
    log: () => readLog(stderr.slice(0, stderr.lastIndexOf('\n') + 1)).events,
    says: (what, matches) =>
      run.until(what, () => run.log().find(matches)) as Promise<Record<string, unknown>>,
    until: async (what, condition) => {
      try {
        return await until(what, condition, 20_000)
      } catch (error) {
        throw new Error(
          `${(error as Error).message}; it said:
${stderr}`,
          { cause: error },
        )
      }
    },
    stop: async () => {
      running.delete(run)
      const startedMs = performance.now()
      child.kill('SIGTERM')
      return { ...(await end), seconds: (performance.now() - startedMs) / 1000 }
    },
  }
  running.add(run)
  return run
}

const phases = (run: LivingRun, device: string): unknown[] =>
  run.log().flatMap((event) => (event['device'] === device ? [event['phase']] : []))
const revisionTaken = (event: Record<string, unknown>): boolean => event['reason'] === 'RevisionTaken'
const flashes = (fleet: ServedFleet): number[] =>
  fleet.routers.map(({ history }) => history.filter(({ type }) => type === 'FlashStarted').length)
const upgraded = (fleet: ServedFleet): boolean =>
  fleet.routers.every(({ state }) => state.release.version === '24.10.8')

/** Takes every connection and says nothing. */
async function listenInSilence(): Promise<{ address: string; port: number; connections: () => number }> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server: Server = createServer((socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  return { address: '127.0.0.1', port, connections: () => connections }
}

describe('a run that lives', { timeout: 60_000 }, () => {
  test('exits 0 within seconds of SIGTERM, also while it connects to devices that say nothing', async () => {
    const silent = await listenInSilence()
    const fleet = await makeServedFleet({ count: 3 })
    await fleet.writeDevice(0, { port: silent.port })
    // Nobody has this address.
    await fleet.writeDevice(1, { addresses: ['192.0.2.77'] })
    const run = startRun(fleet)
    await until('it connects to the silent one', () => silent.connections() > 0, 20_000)
    await run.until('the third is upgraded', () => fleet.routers[2]!.state.release.version === '24.10.8')
    const { code, signal, seconds, stdout } = await run.stop()
    expect({ code, signal, stdout }).toEqual({ code: 0, signal: null, stdout: '' })
    expect(seconds).toBeLessThan(7)
  })

  test('is alone with its state: a second one exits 75 and names it, and a plan only reads', async () => {
    const fleet = await makeServedFleet({ count: 1 })
    const run = startRun(fleet)
    await run.until('the fleet is upgraded', () => upgraded(fleet))
    const second = await fleet.run('--once')
    expect(second.code).toBe(75)
    expect(second.stderr).toBe(
      `error: StateLocked: state file ${fleet.state} is in use by process ${run.pid}: one process at a time\n`,
    )
    await run.says('Succeeded', (event) => event['phase'] === 'Succeeded')
    const plan = await fleet.plan('-o', 'json')
    expect({ code: plan.code, summary: JSON.parse(plan.stdout).summary }).toEqual({
      code: 0,
      summary: { devices: 1, upgrade: 0, wait: 0, blocked: 0, none: 1 },
    })
  })

  test('keeps the last good version of a file that is broken, says so in log and status, and takes the next good one', async () => {
    const fleet = await makeServedFleet({ count: 2, policy: { state: 'Pause' } })
    const run = startRun(fleet)
    await run.says('the first revision', revisionTaken)
    await fleet.write(
      'devices/ap-001.yaml',
      'apiVersion: reflash.dev/v1alpha1\nkind: Device\nmetadata: {name: ap-001}\nspec:\n  port: "22\n',
    )
    const warned = await run.says(
      'a warning',
      (event) => event['reason'] === 'Invalid' && String(event['msg']).startsWith('devices/ap-001.yaml:'),
    )
    expect(warned).toMatchObject({
      level: 'warn',
      msg: expect.stringMatching(/^devices\/ap-001\.yaml:\d+:\d+: a character is missing here/),
    })
    const device = await until('the status says so', async () => {
      const objects = await fleet.stored('Device')
      return objects.find(
        ({ metadata }) => metadata.name === 'ap-001' && metadata.annotations?.[sourceErrorAnnotation],
      )
    })
    expect(device.metadata.annotations![sourceErrorAnnotation]).toMatch(
      /^devices\/ap-001\.yaml: line \d+:\d+: a character is missing here/,
    )
    expect(device.spec.port).toBe(fleet.addresses[0]!.port)

    await fleet.writeDevice(0)
    await until('the mark is gone', async () =>
      (await fleet.stored('Device')).every(
        ({ metadata }) => metadata.annotations?.[sourceErrorAnnotation] === undefined,
      ),
    )
    expect(
      run.log().filter((event) => event['reason'] === 'Invalid' && event['controller'] === undefined),
    ).toHaveLength(1)
  })

  test('has not converged while a file is refused: --once upgrades the rest and exits 1 with its place, a plan exits 65', async () => {
    const fleet = await makeServedFleet({ count: 2 })
    await fleet.write(
      'devices/ap-002.yaml',
      'apiVersion: reflash.dev/v1alpha1\nkind: Device\nmetadata: {name: ap-002}\nspec: {port: high}\n',
    )
    const problem = /^devices\/ap-002\.yaml:4:14: spec\.port: must be a whole number, found "high"$/
    const plan = await fleet.plan('-o', 'json')
    expect(plan.code).toBe(65)
    expect(plan.stderr.split('\n')).toContainEqual(expect.stringMatching(problem))
    expect(JSON.parse(plan.stdout).devices).toEqual([
      expect.objectContaining({ name: 'ap-001', action: 'Upgrade' }),
    ])
    const run = await fleet.run('--once')
    expect(run.code).toBe(1)
    const { words, events } = readLog(run.stderr)
    expect(words).toContainEqual(expect.stringMatching(problem))
    expect(events).toContainEqual(
      expect.objectContaining({ level: 'warn', reason: 'Invalid', msg: expect.stringMatching(problem) }),
    )
    expect(flashes(fleet)).toEqual([1, 0])
    await fleet.writeDevice(1)
    const mended = await fleet.run('--once')
    expect(mended.code, mended.stderr).toBe(0)
    expect(readLog(mended.stderr).words).toEqual(['every policy has converged'])
    expect(flashes(fleet)).toEqual([1, 1])
  })

  test('removes nothing when its directory is gone, and goes on when it is back', async () => {
    const fleet = await makeServedFleet({ count: 2 })
    const run = startRun(fleet)
    await run.until('the fleet is upgraded', () => upgraded(fleet))
    await rename(fleet.directory, `${fleet.directory}.away`)
    const warned = await run.says('a warning', (event) => event['reason'] === 'DirectoryVanished')
    expect(warned).toMatchObject({ level: 'warn', msg: 'the directory is gone or empty; nothing is removed' })
    expect((await fleet.stored('Device')).map(({ metadata }) => metadata.name)).toEqual(['ap-001', 'ap-002'])
    await rename(`${fleet.directory}.away`, fleet.directory)
    await fleet.writeDevice(1, { hold: { reason: 'after the move' } })
    await until('the change is seen', async () =>
      (await fleet.stored('Device')).some(({ spec }) => spec.hold?.reason === 'after the move'),
    )
    expect(flashes(fleet)).toEqual([1, 1])
  })

  test('starts nothing while HALT is there, says why, and goes on when it is gone', async () => {
    const fleet = await makeServedFleet({ count: 2 })
    const halt = `${fleet.state}.HALT`
    await writeFile(halt, '')
    const once = await fleet.run('--once')
    expect(once.code).toBe(1)
    const why = `Halted: ${halt} exists; remove it to allow starts again`
    expect(readLog(once.stderr).words).toContain(why)
    const plan = await fleet.plan('-o', 'json')
    expect(JSON.parse(plan.stdout).devices).toEqual([
      expect.objectContaining({
        name: 'ap-001',
        action: 'Blocked',
        reason: 'Halted',
        message: why.slice('Halted: '.length),
      }),
      expect.objectContaining({ name: 'ap-002', action: 'Blocked', reason: 'Halted' }),
    ])

    const run = startRun(fleet)
    const started = await run.says('the first line', (event) => event['reason'] === 'Started')
    expect(started['msg']).toBe(`state ${fleet.state}; create ${halt} to stop all starts`)
    await run.says('the first revision', revisionTaken)
    await until('both are looked at', async () =>
      (await fleet.stored('Device')).every(({ status }) => status.lastProbeTime !== undefined),
    )
    expect(flashes(fleet)).toEqual([0, 0])
    await rm(halt)
    await run.until('the fleet is upgraded', () => upgraded(fleet))
    expect(flashes(fleet)).toEqual([1, 1])
  })

  test('stops the queued operation of a Device whose file is taken away, and keeps its history', async () => {
    // One at a time: while the first reboots, the second waits for the slot.
    const fleet = await makeServedFleet({
      count: 2,
      policy: { limits: { maxConcurrent: 1, startsPerMinute: 10_000 }, retry: { backoff: '10m' } as never },
    })
    fleet.routers[1]!.inject({ kind: 'UploadCut', afterBytes: 1000 }, Infinity)
    const run = startRun(fleet)
    await run.says('a retry', (event) => event['device'] === 'ap-002' && event['phase'] === 'Queued')
    await rm(join(fleet.directory, 'devices', 'ap-002.yaml'))
    const cancelled = await run.says(
      'Cancelled',
      (event) => event['device'] === 'ap-002' && event['phase'] === 'Cancelled',
    )
    expect(cancelled['msg']).toMatch(/removed/)
    await until('the Device is gone', async () => (await fleet.stored('Device')).length === 1)
    await run.until('the first is upgraded', () => fleet.routers[0]!.state.release.version === '24.10.8')
    const operations = await fleet.stored('UpgradeOperation')
    expect(operations.find(({ spec }) => spec.deviceRef.name === 'ap-002')?.status).toMatchObject({
      phase: 'Cancelled',
    })
    expect(flashes(fleet)).toEqual([1, 0])
    expect(phases(run, 'ap-002')).not.toContain('Flashing')
  })
})
