import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { callCli, cliResult } from '../support/cli-call.ts'
import { startScriptedApi, streamReply, type Reply, type ScriptedApi } from '../support/scripted-api.ts'
import { until } from '../support/until.ts'

interface Said {
  name: string
  conditions?: Record<string, string>
  version?: number
}
const policy = ({ name, conditions = {}, version = 1 }: Said) => ({
  kind: 'UpgradePolicy',
  metadata: { name, namespace: 'default', resourceVersion: String(version) },
  status: {
    conditions: Object.entries(conditions).map(([type, status]) => ({
      type,
      status,
      reason: 'R',
      message: 'M',
    })),
  },
})
const list = (items: readonly Said[]): Reply => ({
  body: { kind: 'UpgradePolicyList', metadata: { resourceVersion: '1' }, items: items.map(policy) },
})
const event = (type: string, said: Said): string => JSON.stringify({ type, object: policy(said) })

/** Lists the policies; a watch says these lines. */
const serve = (items: readonly Said[], ...lines: string[]): Promise<ScriptedApi> =>
  startScriptedApi((url) =>
    url.searchParams.has('watch') ? streamReply('application/json', lines) : list(items),
  )
const waitFor = (api: ScriptedApi, ...args: string[]): string[] => ['wait', ...args, '-s', api.url]
const converged = ['--for', 'condition=Converged']

describe('wait', () => {
  test('exits 0 at once for what is so already, and as soon as it becomes so', async () => {
    const api = await serve(
      [
        { name: 'a', conditions: { Converged: 'True' } },
        { name: 'b', conditions: { Converged: 'False' } },
      ],
      event('MODIFIED', { name: 'b', conditions: { Converged: 'False', Ready: 'True' } }),
      event('MODIFIED', { name: 'c' }),
      event('MODIFIED', { name: 'b', conditions: { Converged: 'True' } }),
    )
    for (const words of [
      ['policy/a', 'policy/b'],
      ['upol', 'a', 'b'],
      ['policies', '--all'],
    ]) {
      expect(await cliResult(waitFor(api, ...words, ...converged))).toEqual({
        code: 0,
        stdout: 'upgradepolicy.reflash.dev/a condition met\nupgradepolicy.reflash.dev/b condition met\n',
        stderr: '',
      })
    }
  })

  test.each([
    [{ Stalled: 'True' }, 'Stalled: R: M'],
    [{ Paused: 'True' }, 'Paused: R: M'],
  ])('exits 1 when only a person can help: %j', async (conditions, why) => {
    const api = await serve([{ name: 'a' }], event('MODIFIED', { name: 'a', conditions }))
    expect(await cliResult(waitFor(api, 'policy/a', ...converged))).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: upgradepolicy.reflash.dev/a will not meet condition Converged=True: ${why}\n`,
    })
  })

  test('exits 1 when the object is removed, or was never there', async () => {
    const api = await serve([{ name: 'a' }], event('DELETED', { name: 'a' }))
    expect(await cliResult(waitFor(api, 'policy/a', ...converged))).toMatchObject({
      code: 1,
      stderr: 'error: upgradepolicy.reflash.dev/a will not meet condition Converged=True: it was removed\n',
    })
    expect(await cliResult(waitFor(api, 'policy/x', ...converged))).toMatchObject({
      code: 1,
      stderr: 'error: upgradepolicies "x" not found\n',
    })
    const nothing = await serve([])
    expect(await cliResult(waitFor(nothing, 'policy', '--all', ...converged))).toMatchObject({
      code: 1,
      stderr: 'error: no upgradepolicies found\n',
    })
  })

  test('waits for removal', async () => {
    const api = await serve([{ name: 'a' }], event('DELETED', { name: 'a' }))
    expect(await cliResult(waitFor(api, 'policy/a', 'policy/x', '--for', 'delete'))).toEqual({
      code: 0,
      stdout: 'upgradepolicy.reflash.dev/x deleted\nupgradepolicy.reflash.dev/a deleted\n',
      stderr: '',
    })
  })

  test('exits 124 when it takes too long, and 130 when it is stopped', async () => {
    const clock = createManualClock()
    const api = await serve([{ name: 'a' }])
    const call = callCli(waitFor(api, 'policy/a', ...converged, '--timeout', '4h'), { clock })
    await until('it watches', () => api.requests.length === 2)
    // A watch that is silent for so long would have been made again meanwhile.
    await clock.advance(4 * 3_600_000)
    expect(await call.done).toBe(124)
    expect(call.stderr()).toContain(
      'error: timed out after 4h waiting for condition Converged=True of upgradepolicy.reflash.dev/a\n',
    )

    const stopped = callCli(waitFor(api, 'policy/a', ...converged))
    await until('it watches', () => api.requests.length >= 4)
    stopped.interrupt()
    expect(await stopped.done).toBe(130)
  })

  test('outlives a restart of the server', async () => {
    let isBack = false
    const api = await startScriptedApi((url) => {
      if (!url.searchParams.has('watch')) return list([{ name: 'a' }])
      const met = event('MODIFIED', { name: 'a', conditions: { Converged: 'True' }, version: 2 })
      return streamReply('application/json', isBack ? [met] : [])
    })
    const call = callCli(waitFor(api, 'policy/a', ...converged))
    await until('it watches', () => api.requests.length === 2)
    await api.stop()
    await until('it notices', () => call.stderr().includes('trying again'))
    isBack = true
    await api.start()
    expect(await call.done).toBe(0)
    expect(call.stdout()).toBe('upgradepolicy.reflash.dev/a condition met\n')
  })

  test.each([
    [['policy'], 'name the objects, or give --all or -l'],
    [['policy/a', '--all'], 'objects cannot be named together with --all or -l'],
  ])('refuses %j', async (words, message) => {
    expect(await cliResult(['wait', ...words, ...converged])).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: ${message}\n`,
    })
  })
})
