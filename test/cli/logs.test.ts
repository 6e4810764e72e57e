import { describe, expect, test } from 'vitest'
import { callCli, cliResult } from '../support/cli-call.ts'
import { startScriptedApi, streamReply, type Reply } from '../support/scripted-api.ts'

const time = '2026-11-25T05:12:53.000Z'
const phase = (id: number, name: string, message = ''): string[] =>
  said(id, 'phase', { id, time, type: 'Phase', phase: name, message })
const line = (id: number, text: string): string[] => said(id, 'log', { id, time, type: 'Log', text })
const said = (id: number, type: string, data: object): string[] => [
  `id: ${id}`,
  `event: ${type}`,
  `data: ${JSON.stringify(data)}`,
  '',
]
const end = ['event: end', 'data: {}', '']
const sse = (lines: readonly string[], then?: 'end' | 'cut'): Reply =>
  streamReply('text/event-stream', lines, then)
const operations = '/apis/reflash.dev/v1alpha1/namespaces/default/upgradeoperations'

describe('logs', () => {
  test('prints each line once and in order, however often the connection is cut', async () => {
    const all = Array.from({ length: 20 }, (_, index) => line(index + 1, `line ${index + 1}`))
    const api = await startScriptedApi((_url, request) => {
      const after = Number(request.headers['last-event-id'] ?? 0)
      const next = all.slice(after, after + 7).flat()
      const isLast = after + 7 >= all.length
      // A half line is said once more.
      return sse(isLast ? [...next, ...end] : [...next, 'id: 99', 'event: log'], isLast ? 'end' : 'cut')
    })
    const { code, stdout } = await cliResult(['logs', 'op/up-1', '-f', '-s', api.url])
    expect(code).toBe(0)
    const texts = stdout
      .trimEnd()
      .split('\n')
      .map((text) => text.slice('2026-11-25T05:12:53'.length).trim())
    expect(texts).toEqual(all.map((_, index) => `line ${index + 1}`))
    expect(api.requests.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '7', '14'])
  })

  test('says phases, what is missed, and nothing that a terminal would obey', async () => {
    const api = await startScriptedApi(() =>
      sse(
        [
          'retry: 1000',
          '',
          ':',
          '',
          ...phase(1, 'Uploading', 'sending 8 MiB'),
          ...said(2, 'progress', { percent: 50, sentBytes: 4, totalBytes: 8 }),
          'event: missed',
          'data: {"count":12}',
          '',
          ...line(15, 'evil \u001b[2J'),
          ...phase(16, 'Succeeded'),
        ],
        'end',
      ),
    )
    const { stdout } = await cliResult(['logs', 'op/up-1', '-s', api.url])
    expect(stdout.split('\n')).toEqual([
      '2026-11-25T05:12:53  Uploading   sending 8 MiB',
      '                     … 12 lines are not kept any more',
      '2026-11-25T05:12:53              evil \\x1b[2J',
      '2026-11-25T05:12:53  Succeeded',
      '',
    ])
    expect(api.requests[0]!.url.href).toMatch(
      /\/api\/status\/v1\/operations\/default\/up-1\/log\?follow=false$/,
    )
  })

  test('prints JSON, of the last while only', async () => {
    const old = said(1, 'log', { id: 1, time: '2000-01-01T00:00:00Z', type: 'Log', text: 'old' })
    const fresh = said(2, 'log', { id: 2, time: '2999-01-01T00:00:00Z', type: 'Log', text: 'new' })
    const api = await startScriptedApi(() => sse([...old, ...fresh, ...end], 'end'))
    const { stdout } = await cliResult(['logs', 'op/u', '-o', 'json', '--since', '10m', '-s', api.url])
    expect(JSON.parse(stdout)).toEqual({ id: 2, time: '2999-01-01T00:00:00Z', type: 'log', text: 'new' })
  })

  test('shows progress on a terminal, on a line that is written over', async () => {
    const api = await startScriptedApi(() =>
      sse(
        [...said(1, 'progress', { percent: 50, totalBytes: 8 * 2 ** 20 }), ...phase(2, 'Testing'), ...end],
        'end',
      ),
    )
    const { stderr } = await cliResult(['logs', 'op/u', '-s', api.url], { isTTY: true })
    expect(stderr).toBe('upload 50 % of 8.0 MiB\r\u001b[K')
  })

  test('of a device is that of the operation that has it, else of its latest', async () => {
    const answers: Record<string, unknown> = {
      '/apis/reflash.dev/v1alpha1/namespaces/default/devices/busy': {
        metadata: { name: 'busy' },
        status: { operationRef: { name: 'now' } },
      },
      '/apis/reflash.dev/v1alpha1/namespaces/default/devices/idle': {
        metadata: { name: 'idle' },
        status: {},
      },
      [operations]: {
        items: ['2026-01-01', '2026-03-01', '2026-02-01'].map((day) => ({
          metadata: { name: `of-${day}`, creationTimestamp: `${day}T00:00:00Z` },
        })),
      },
    }
    const api = await startScriptedApi((url) => {
      if (url.pathname.endsWith('/log'))
        return sse([...line(1, url.pathname.split('/').at(-2)!), ...end], 'end')
      const body = answers[url.pathname]
      return body === undefined ? { status: 404, body: { message: 'not found' } } : { body }
    })
    const log = async (word: string): Promise<string | undefined> =>
      (await cliResult(['logs', word, '-s', api.url])).stdout.trim().split(' ').at(-1)
    expect(await log('device/busy')).toBe('now')
    expect(await log('idle')).toBe('of-2026-03-01')
    expect(
      api.requests.find(({ url }) => url.pathname === operations)?.url.searchParams.get('fieldSelector'),
    ).toBe('spec.deviceRef.name=idle')
    expect(await cliResult(['logs', 'nobody', '-s', api.url])).toMatchObject({
      code: 1,
      stderr: 'error: there is no operation and no device nobody in namespace default\n',
    })
    expect((await cliResult(['logs', 'policy/p', '-s', api.url])).code).toBe(2)
  })

  test('ends when it is stopped', async () => {
    const api = await startScriptedApi(() => sse(line(1, 'first')))
    const call = callCli(['logs', 'op/u', '-f', '-s', api.url])
    await call.says(/first/)
    call.interrupt()
    expect(await call.done).toBe(0)
  })
})
