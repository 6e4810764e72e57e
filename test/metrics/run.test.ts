import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { startReflash } from '../support/cli.ts'
import { parseExposition, valueOf } from '../support/exposition.ts'
import { makeServedFleet } from '../support/served-fleet.ts'
import { until } from '../support/until.ts'

test('a run over SSH shows what it does, and whether it is well', { timeout: 60_000 }, async () => {
  const fleet = await makeServedFleet({ count: 3 })
  const child = startReflash(['run', ...fleet.flags, '--listen', '127.0.0.1:0'])
  const lines: string[] = []
  createInterface({ input: child.stderr! }).on('line', (line) => lines.push(line))
  try {
    const server = await until('the address of the API', () =>
      lines.map((line) => /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0]).find((url) => url !== undefined),
    )
    const read = async (path: string): Promise<string> => (await fetch(`${server}${path}`)).text()
    const text = await until(
      'every upgrade to be counted',
      async () => {
        const shown = await read('/metrics')
        const upgrades = valueOf(parseExposition(shown), 'reflash_upgrades_total', { result: 'Succeeded' })
        return upgrades === 3 ? shown : undefined
      },
      40_000,
    )
    const families = parseExposition(text)
    expect(valueOf(families, 'reflash_objects', { kind: 'Device' })).toBe(3)
    expect(valueOf(families, 'reflash_ssh_connects_total')).toBeGreaterThanOrEqual(6)
    expect(valueOf(families, 'reflash_ssh_connect_errors_total', { class: 'AuthFailed' })).toBe(0)
    expect(valueOf(families, 'reflash_source_errors')).toBe(0)
    const readAt = valueOf(families, 'reflash_source_last_success_timestamp_seconds')!
    expect(Math.abs(Date.now() / 1000 - readAt)).toBeLessThan(60)
    expect(valueOf(families, 'reflash_store_size_bytes')).toBeGreaterThan(10_000)
    expect(valueOf(families, 'reflash_store_version')).toBeGreaterThan(10)
    expect(valueOf(families, 'reflash_build_info')).toBe(1)
    expect(valueOf(families, 'process_resident_memory_bytes')).toBeGreaterThan(1e6)
    expect(valueOf(families, 'controller_runtime_reconcile_panics_total')).toBe(0)
    expect(text).not.toMatch(/127\.\d+\./)
    await until('no session to be open', async () => {
      const shown = parseExposition(await read('/metrics'))
      return valueOf(shown, 'reflash_ssh_sessions') === 0 ? true : undefined
    })
    expect(await read('/livez')).toBe('ok')
    expect(await read('/readyz?verbose')).toBe(
      '[+]ping ok\n[+]store ok\n[+]objects ok\n[+]directory ok\nreadyz check passed\n',
    )
  } finally {
    if (child.exitCode === null) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  }
})
