/** The commands that read, against a real server of a fleet that is upgraded meanwhile. */
import type { ChildProcess } from 'node:child_process'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { ended, startReflash } from '../support/cli.ts'
import { callCli, cliResult } from '../support/cli-call.ts'
import { makeServedFleet, type ServedFleet } from '../support/served-fleet.ts'
import { until } from '../support/until.ts'

interface Serving {
  url: string
  child: ChildProcess
  stop(): Promise<void>
}

/** Starts `reflash run`, and resolves when it listens. */
async function serve(fleet: ServedFleet, listen = '127.0.0.1:0'): Promise<Serving> {
  const child = startReflash(['run', ...fleet.flags, '--listen', listen])
  const end = ended(child)
  const stop = async (): Promise<void> => {
    child.kill()
    await end
  }
  onTestFinished(stop)
  let log = ''
  child.stderr!.on('data', (text: string) => (log += text))
  const url = await until('it listens', () => /"msg":"(http:[^"]+)"/.exec(log)?.[1])
  return { url, child, stop }
}

const held = { hold: { reason: 'until the move' } }

describe('the reading commands', () => {
  test('tell how a fleet is upgraded', async () => {
    const fleet = await makeServedFleet({ count: 4 })
    fleet.routers[2]!.inject({ kind: 'RolledBack' })
    await fleet.writeDevice(1, held)
    const { url } = await serve(fleet)
    const read = (...args: string[]) => cliResult([...args, '-s', url])
    const operationOf = (device: string) =>
      until(`an operation of ${device}`, async () => {
        const selector = ['--field-selector', `spec.deviceRef.name=${device}`]
        return (await read('get', 'uop', '-o', 'name', ...selector)).stdout.trim()
      })

    const operation = await operationOf('ap-001')
    const log = await read('logs', operation, '-f')
    expect(log.code).toBe(0)
    expect(log.stdout).toMatch(/Uploading[^]*Flashing[^]*Rebooting[^]*Succeeded {3}runs OpenWrt 24\.10\.8/)
    const whole = await read('logs', 'device/ap-001')
    expect(whole.stdout).toBe(log.stdout)
    expect(await read('wait', operation, '--for', 'jsonpath={.status.phase}=Succeeded')).toMatchObject({
      code: 0,
    })

    const stuck = await read(
      'wait',
      'policy/access-points',
      '--for',
      'condition=Converged',
      '--timeout',
      '60s',
    )
    expect(stuck).toMatchObject({ code: 1, stdout: '' })
    expect(stuck.stderr).toContain('Stalled: OnlyFailuresLeft: 1 device left, and a person is needed')

    const table = await read('get', 'devices')
    expect(table.stdout.split('\n')[0]).toMatch(
      /^NAME +CATEGORY +BOARD +OS +TARGET +UPTODATE +REACHABLE +BLOCKED +AGE$/,
    )
    expect(table.stdout).toMatch(/\nap-002 .* Held +\d+s\nap-003 .* RolledBack +\d+s\nap-004 /)
    const everything = await read('get', 'reflash')
    expect(everything.stdout.match(/^NAME /gm)).toHaveLength(6)
    const yaml = await read('get', 'device', 'ap-001', '-o', 'yaml')
    const json = await read('get', 'device/ap-001', '-o', 'json')
    expect(parse(yaml.stdout)).toEqual(JSON.parse(json.stdout))
    const names = ['-o', 'jsonpath={.items[?(@.status.blocked.reason=="Held")].metadata.name}']
    expect((await read('get', 'dev', ...names)).stdout).toBe('ap-002')

    expect(await read('why', 'ap-001')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('✔ on its target'),
    })
    const why = await read('why', 'ap-002')
    expect(why.code).toBe(1)
    expect(why.stdout).toMatch(
      /✗ failed .*: Held: held by the operator: until the move\n( {2}– not reached .*\n)+✗ blocked by Held\n$/,
    )

    const tree = await read('tree', 'policy/access-points')
    expect(tree.stdout).toMatch(
      /^policy default\/access-points → access-points-24\.10\.8 .* 2 of 4 on target\n/,
    )
    expect(tree.stdout).toMatch(/─ ✗ ap-003 {3}RolledBack: /)
    const top = await read('top')
    expect(top.stdout).toMatch(/^4 devices: 2 up to date, 0 not reachable, 0 upgrading/)
    expect(JSON.parse((await read('top', '-o', 'json')).stdout)).toMatchObject({ devices: { total: 4 } })

    const described = await read('describe', 'device', 'ap-003')
    expect(described.stdout).toMatch(
      /\nConditions:\n {2}TYPE [^]*\nWhy not now:\n {2}✔ passed [^]*\nEvents:\n[^]* UpgradeFailed /,
    )
    expect((await read('describe', operation)).stdout).toMatch(
      /\nPhases:\n[^]* Verifying [^]* Succeeded [^]*\nLog:\n/,
    )
    const events = await read('events', '--for', 'device/ap-003')
    expect(events.stdout).toMatch(/^LAST SEEN [^]* UpgradeStarted [^]* UpgradeFailed [^\n]*\n$/)
    expect(events.stdout).not.toContain('ap-001')

    expect(await read('get', 'dev', 'ap-009')).toMatchObject({
      code: 1,
      stderr: 'error: devices.reflash.dev "ap-009" not found\n',
    })
    expect(await read('why', 'ap-009')).toMatchObject({
      code: 1,
      stderr: 'error: there is no device ap-009 in namespace default\n',
    })
    expect((await read('get', 'dev', '-l', 'a in b')).code).toBe(1)
  })

  test('follow what happens over a restart of the server', async () => {
    const fleet = await makeServedFleet({ count: 2 })
    await fleet.writeDevice(1, held)
    const first = await serve(fleet)
    const { url } = first
    const server = ['-s', url]
    await until('the first is upgraded', async () => {
      const { code } = await cliResult(['wait', 'dev/ap-001', '--for', 'condition=UpToDate', ...server])
      return code === 0
    })
    const watched = callCli(['get', 'dev', '-w', ...server])
    const events = callCli(['events', '--for', 'dev/ap-002', '-w', ...server])
    const waiting = callCli([
      'wait',
      'dev/ap-002',
      '--for',
      'condition=UpToDate',
      '--timeout',
      '60s',
      ...server,
    ])
    const live = callCli(['top', ...server], { isTTY: true })
    await watched.says(/ap-002 .* Held/)
    await live.says(/1\/2/)
    await first.stop()
    await live.says(/trying again: no Reflash answers/)

    await serve(fleet, url.replace('http://', ''))
    await fleet.writeDevice(1)
    expect(await waiting.done).toBe(0)
    await watched.says(/ap-002 .* access-points-24\.10\.8 +True +True/)
    await events.says(/UpgradeSucceeded/)
    await live.says(/2\/2/)
    for (const call of [watched, events, live]) {
      call.interrupt()
      expect(await call.done).toBe(0)
    }
    expect(watched.stdout().match(/^NAME /gm)).toHaveLength(1)
    const seen = events.stdout().match(/UpgradeSucceeded/g)
    expect(seen).toHaveLength(1)
  })

  test('end as a process when they are told to', async () => {
    const fleet = await makeServedFleet({ count: 1 })
    const { url } = await serve(fleet)
    const child = startReflash(['get', 'devices', '-w', '-s', url])
    const end = ended(child)
    let said = ''
    child.stdout!.on('data', (text: string) => (said += text))
    await until('it watches', () => said.includes('ap-001'))
    child.kill('SIGINT')
    expect(await end).toMatchObject({ code: 0, signal: null })
  })
})
