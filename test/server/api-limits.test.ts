import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { apiDefaults, defaults, readConfig } from '../../src/config.ts'
import { serveApi } from '../../src/server/serve-api.ts'
import { createToySource } from '../support/api-source.ts'
import { connectRaw, type RawConnection } from '../support/raw-http.ts'
import { until } from '../support/until.ts'

const objects = '/apis/reflash.dev/v1alpha1/devices'

/** The API as these flags make it. */
async function serve(flags: { maxWatches?: string; maxConnections?: string }): Promise<string> {
  const config = readConfig('.', { ...defaults, ...apiDefaults, listen: '127.0.0.1:0', ...flags }, {})
  const api = await serveApi(config.api!, await createToySource(() => systemClock))
  onTestFinished(() => api.close())
  return api.url
}

const ask = (url: string, path: string): RawConnection => {
  const connection = connectRaw(url)
  connection.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  return connection
}
const statusOf = (connection: RawConnection): Promise<string> =>
  until('there is an answer', () => /^HTTP\/1\.1 (\d{3})/.exec(connection.received())?.[1])

test('--max-watches is how many there are, until one ends', async () => {
  const url = await serve({ maxWatches: '2' })
  const watch = (): RawConnection => ask(url, `${objects}?watch=true`)
  const first = watch()
  expect(await statusOf(first)).toBe('200')
  expect(await statusOf(watch())).toBe('200')
  const third = watch()
  expect(await statusOf(third)).toBe('429')
  expect(third.received()).toMatch(/^retry-after: \d+\r$/im)
  expect(await statusOf(ask(url, objects))).toBe('200')
  first.socket.destroy()
  await until('its place is free', async () => (await statusOf(watch())) === '200')
})

test('--max-connections is how many there are, until one ends', async () => {
  const url = await serve({ maxConnections: '2' })
  const first = ask(url, `${objects}?watch=true`)
  expect(await statusOf(first)).toBe('200')
  expect(await statusOf(ask(url, `${objects}?watch=true`))).toBe('200')
  expect(await ask(url, objects).closed).toBe('')
  first.socket.destroy()
  await until('its place is free', async () => {
    const next = ask(url, objects)
    await until('it is answered or closed', () => next.received() !== '' || next.socket.destroyed)
    return next.received() !== ''
  })
})
