import { expect, test } from 'vitest'
import { ended, startReflash } from '../support/cli.ts'
import { readLog } from '../support/served-fleet.ts'
import { until } from '../support/until.ts'

test('upgrades a simulated fleet, and shows it meanwhile', { timeout: 60_000 }, async () => {
  const args = ['--devices', '3', '--reboot-seconds', '1', '--listen', '127.0.0.1:0', '-o', 'json']
  const child = startReflash(['demo', ...args])
  const end = ended(child)
  let said = ''
  child.stderr!.on('data', (bytes: Buffer) => (said += bytes.toString('utf8')))
  const listening = await until('an API that listens', () =>
    readLog(said.slice(0, said.lastIndexOf('\n') + 1)).events.find(({ reason }) => reason === 'Listening'),
  )
  const seen = await until('an upgrade that the API shows', async () => {
    const response = await fetch(`${String(listening['msg'])}/api/status/v1`)
    const status = (await response.json()) as { operations?: { inFlight: number } }
    return (status.operations?.inFlight ?? 0) > 0 && status
  })
  expect(seen).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+/), devices: { total: 3 } })
  const { code, stdout } = await end
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ devices: 3, upgraded: 3, failed: 0 })
})
