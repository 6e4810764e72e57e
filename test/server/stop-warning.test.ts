import { expect, test } from 'vitest'
import { warnOfStop } from '../../src/server/stop-warning.ts'
import { createToySource } from '../support/api-source.ts'
import { createWholeApp } from '../support/whole-app.ts'
import { Hono } from 'hono'
import type { ServerEnv } from '../../src/server/access.ts'

const devices = '/apis/reflash.dev/v1alpha1/namespaces/default/devices'

test('whoever reads objects while starts are stopped is told why, and nobody else', async () => {
  const source = await createToySource()
  let stop: { reason: 'Halted'; message: string } | undefined
  const governor = { ...source.ports.governor, stop: async () => stop }
  const whole = await createWholeApp({ ...source, ports: { ...source.ports, governor } }, { maxWatches: 1 })
  const warningAt = async (path: string): Promise<string | null> =>
    (await whole.app.request(path)).headers.get('Warning')
  expect(await warningAt(devices)).toBeNull()
  stop = { reason: 'Halted', message: 'state.db.HALT exists' }
  for (const path of [devices, `${devices}/ap-1`, `${devices}?limit=1`]) {
    expect((await whole.app.request(path)).status).toBe(200)
    expect(await warningAt(path)).toBe('299 - "nothing starts: state.db.HALT exists"')
  }
  for (const path of [`${devices}/none`, '/apis/reflash.dev/v1alpha1', '/api/v1/namespaces', '/livez'])
    expect(await warningAt(path), path).toBeNull()
  expect(whole.bugs).toEqual([])
  whole.stop()
})

test('what cannot stand in a header is written in another way', async () => {
  const app = new Hono<ServerEnv>()
  app.use(warnOfStop(async () => ({ message: `a "b" \\ c\nd \u2026 ${'x'.repeat(1000)}` })))
  app.get('/', ({ text }) => text('ok'))
  const warning = (await app.request('/')).headers.get('Warning')!
  expect(warning).toMatch(/^299 - "nothing starts: a \\"b\\" \\\\ c\\\\x0ad \\\\u2026 x+\.\.\."$/)
  expect(warning.length).toBeLessThan(600)
})
