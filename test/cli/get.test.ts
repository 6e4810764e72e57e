import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { callCli, cliResult } from '../support/cli-call.ts'
import { startScriptedApi, streamReply, type Reply } from '../support/scripted-api.ts'

const columnDefinitions = [
  { name: 'Name', type: 'string', format: 'name', priority: 0 },
  { name: 'OS', type: 'string', format: '', priority: 0 },
  { name: 'Address', type: 'string', format: '', priority: 1 },
]

interface Device {
  name: string
  os: string | null
  version: number
  labels?: Record<string, string>
}

const object = ({ name, version, labels, os }: Device) => ({
  apiVersion: 'reflash.dev/v1alpha1',
  kind: 'Device',
  metadata: { name, namespace: 'default', resourceVersion: String(version), ...(labels ? { labels } : {}) },
  status: os === null ? {} : { osIdentifier: os },
})
const row = (device: Device) => ({ cells: [device.name, device.os, '10.0.0.1'], object: object(device) })
const table = (devices: readonly Device[], version = 1, more?: string): Reply => ({
  body: {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion: String(version), ...(more === undefined ? {} : { continue: more }) },
    columnDefinitions,
    rows: devices.map(row),
  },
})
const device = (name: string, os: string | null = 'OpenWrt 23.05.5', version = 1): Device => ({
  name,
  os,
  version,
})
const event = (type: string, changed: Device): string =>
  JSON.stringify({
    type,
    object: {
      kind: 'Table',
      metadata: { resourceVersion: String(changed.version) },
      columnDefinitions: [],
      rows: [row(changed)],
    },
  })
const gone = JSON.stringify({
  type: 'ERROR',
  object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' },
})

describe('get', () => {
  test('reads a list page by page and pads it over its whole length', async () => {
    const api = await startScriptedApi((url) =>
      url.searchParams.has('continue')
        ? table([device('ap-with-a-long-name', null)])
        : table([device('ap-1')], 1, 'next'),
    )
    const { code, stdout, stderr } = await cliResult(['get', 'dev', '-s', api.url, '-l', 'site=north'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toBe(
      ['NAME                  OS', 'ap-1                  OpenWrt 23.05.5', 'ap-with-a-long-name', ''].join(
        '\n',
      ),
    )
    expect(api.requests.map(({ url }) => url.search)).toEqual([
      '?labelSelector=site%3Dnorth&limit=500',
      '?labelSelector=site%3Dnorth&limit=500&continue=next',
    ])
  })

  test('begins again when the list is too old between two pages', async () => {
    let hasExpired = false
    const api = await startScriptedApi((url) => {
      if (!url.searchParams.has('continue')) return table([device('ap-1')], 1, hasExpired ? 'new' : 'old')
      if (url.searchParams.get('continue') === 'new') return table([device('ap-2')])
      hasExpired = true
      return { status: 410, body: { kind: 'Status', message: 'expired' } }
    })
    const { stdout } = await cliResult(['get', 'dev', '-s', api.url, '--no-headers'])
    expect(stdout).toBe('ap-1   OpenWrt 23.05.5\nap-2   OpenWrt 23.05.5\n')
  })

  test('shows more columns, namespaces and labels when it is asked to', async () => {
    const labelled = { ...device('ap-1'), labels: { site: 'north', role: 'edge' } }
    const api = await startScriptedApi(() => table([labelled, device('ap-2')]))
    const { stdout } = await cliResult(['get', 'dev', '-A', '-o', 'wide', '--show-labels', '-s', api.url])
    expect(stdout).toBe(
      [
        'NAMESPACE   NAME   OS                ADDRESS    LABELS',
        'default     ap-1   OpenWrt 23.05.5   10.0.0.1   site=north,role=edge',
        'default     ap-2   OpenWrt 23.05.5   10.0.0.1   <none>',
        '',
      ].join('\n'),
    )
    expect(api.requests[0]!.url.pathname).toBe('/apis/reflash.dev/v1alpha1/devices')
  })

  test('sorts by any field, numbers in names as people do', async () => {
    const api = await startScriptedApi(() =>
      table([device('ap-10', 'b'), device('ap-9', 'a'), device('ap-1', null)]),
    )
    const names = async (path: string): Promise<string[]> => {
      const { stdout } = await cliResult(['get', 'dev', '--sort-by', path, '--no-headers', '-s', api.url])
      return stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0]!)
    }
    expect(await names('.metadata.name')).toEqual(['ap-1', 'ap-9', 'ap-10'])
    expect(await names('{.status.osIdentifier}')).toEqual(['ap-1', 'ap-9', 'ap-10'])
    expect(api.requests[0]!.url.search).toBe('?includeObject=Object&limit=500')
  })

  test('prints objects as JSON, YAML, names and by a template', async () => {
    const api = await startScriptedApi((url) =>
      url.pathname.endsWith('/ap-1')
        ? { body: object(device('ap-1')) }
        : {
            body: {
              kind: 'DeviceList',
              metadata: {},
              items: [object(device('ap-1')), object(device('ap-2'))],
            },
          },
    )
    const get = async (...args: string[]): Promise<string> =>
      (await cliResult(['get', ...args, '-s', api.url])).stdout
    expect(JSON.parse(await get('dev/ap-1', '-o', 'json'))).toEqual(object(device('ap-1')))
    expect(parse(await get('dev', 'ap-1', '-o', 'yaml'))).toEqual(object(device('ap-1')))
    expect(JSON.parse(await get('dev', '-o', 'json'))).toEqual({
      kind: 'List',
      apiVersion: 'v1',
      items: [object(device('ap-1')), object(device('ap-2'))],
    })
    expect(await get('dev', '-o', 'name')).toBe('device.reflash.dev/ap-1\ndevice.reflash.dev/ap-2\n')
    expect(await get('dev', '-o', 'jsonpath={.items[*].metadata.name}')).toBe('ap-1 ap-2')
    expect(await get('dev', 'ap-1', '-o=jsonpath={.metadata.name}{"\\n"}')).toBe('ap-1\n')
  })

  test('prints several kinds one below the other, each with full names', async () => {
    const api = await startScriptedApi((url) =>
      url.pathname.endsWith('builds') ? table([]) : table([device(url.pathname.split('/').at(-1)!)]),
    )
    const { stdout } = await cliResult(['get', 'dev,builds,upol', '-s', api.url])
    expect(stdout).toBe(
      [
        'NAME                         OS',
        'device.reflash.dev/devices   OpenWrt 23.05.5',
        '',
        'NAME                                        OS',
        'upgradepolicy.reflash.dev/upgradepolicies   OpenWrt 23.05.5',
        '',
      ].join('\n'),
    )
  })

  test('prints those that are there, and exits 1 for those that are not', async () => {
    const api = await startScriptedApi((url) =>
      url.pathname.endsWith('/ap-1')
        ? table([device('ap-1')])
        : { status: 404, body: { kind: 'Status', message: 'devices.reflash.dev "x" not found' } },
    )
    expect(await cliResult(['get', 'dev', 'ap-1', 'x', '-s', api.url])).toEqual({
      code: 1,
      stdout: 'NAME   OS\nap-1   OpenWrt 23.05.5\n',
      stderr: 'error: devices.reflash.dev "x" not found\n',
    })
  })

  test('says when there is nothing', async () => {
    const api = await startScriptedApi(() => table([]))
    const said = async (...flags: string[]) => await cliResult(['get', 'dev', '-s', api.url, ...flags])
    expect(await said()).toEqual({
      code: 0,
      stdout: '',
      stderr: 'No resources found in default namespace.\n',
    })
    expect((await said('-A')).stderr).toBe('No resources found.\n')
  })

  test('makes what devices say harmless', async () => {
    const api = await startScriptedApi(() =>
      table([device('ap-1', 'Open\u001b]0;pwned\u0007Wrt ü\nsecond line')]),
    )
    const { stdout } = await cliResult(['get', 'dev', '--no-headers', '-s', api.url])
    expect(stdout).toBe('ap-1   Open\\x1b]0;pwned\\x07Wrt ü...\n')
  })

  test.each([
    [['dev', 'a', '-A'], 'an object cannot be named together with --all-namespaces'],
    [['dev', 'a', '-l', 'x=y'], 'an object cannot be named together with a selector'],
    [['dev,upol', '-w'], '--watch takes one kind, or one object'],
  ])('refuses what contradicts itself: %j', async (args, message) => {
    expect(await cliResult(['get', ...args])).toEqual({ code: 2, stdout: '', stderr: `error: ${message}\n` })
  })
})

describe('get -w', () => {
  test('appends changes, over cut connections and forgotten versions, until it is stopped', async () => {
    const watched: string[] = []
    let listed = 0
    const api = await startScriptedApi((url) => {
      if (!url.searchParams.has('watch')) {
        listed += 1
        return listed === 1
          ? table([device('ap-1'), device('ap-2'), device('ap-3')], 5)
          : table([device('ap-1', 'changed while away', 8), device('ap-3'), device('ap-4', 'new', 9)], 10)
      }
      const version = url.searchParams.get('resourceVersion')!
      watched.push(version)
      if (version === '5') {
        const bookmark = JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '7' } } })
        const lines = [event('MODIFIED', device('ap-1', 'changed', 6)), bookmark]
        return streamReply('application/json', lines, 'cut')
      }
      if (version === '7') return streamReply('application/json', [gone], 'end')
      return streamReply('application/json', [event('DELETED', device('ap-4', 'new', 11))])
    })
    const call = callCli(['get', 'dev', '-w', '-s', api.url])
    await call.says(/ap-4[^]*ap-4/)
    call.interrupt()
    expect(await call.done).toBe(0)
    expect(call.stdout()).toBe(
      [
        'NAME   OS',
        'ap-1   OpenWrt 23.05.5',
        'ap-2   OpenWrt 23.05.5',
        'ap-3   OpenWrt 23.05.5',
        'ap-1   changed',
        'ap-1   changed while away',
        'ap-4   new',
        'ap-2   OpenWrt 23.05.5',
        'ap-4   new',
        '',
      ].join('\n'),
    )
    expect(watched).toEqual(['5', '7', '10'])
    expect(call.stderr()).toMatch(/^the connection to \S+ broke: [a-z ]+; trying again\n$/)
  })

  test('begins with the list in the order that is asked for', async () => {
    const api = await startScriptedApi((url) =>
      url.searchParams.has('watch')
        ? streamReply('application/json', [event('MODIFIED', device('ap-1', 'changed', 6))])
        : table([device('ap-10'), device('ap-9')], 5),
    )
    const call = callCli(['get', 'dev', '-w', '--no-headers', '--sort-by', '.metadata.name', '-s', api.url])
    await call.says(/^ap-9 .*\nap-10 .*\nap-1 .*\n$/)
    expect(api.requests.every(({ url }) => url.searchParams.get('includeObject') === 'Object')).toBe(true)
  })

  test('lists again when the server knows nothing of that version', async () => {
    let listed = 0
    const api = await startScriptedApi((url) => {
      if (!url.searchParams.has('watch')) return table([device(`ap-${(listed += 1)}`)], 10 - listed)
      if (url.searchParams.get('resourceVersion') === '9')
        return { status: 504, body: { message: 'too large' } }
      return streamReply('application/json', [])
    })
    const call = callCli(['get', 'dev', '-w', '-s', api.url])
    await call.says(/ap-1 [^]*ap-2 /)
  })

  test('goes on when the server has come back', async () => {
    let isBack = false
    const api = await startScriptedApi((url) => {
      if (!url.searchParams.has('watch')) return table([device('ap-1')], 5)
      return streamReply('application/json', isBack ? [event('MODIFIED', device('ap-1', 'after', 6))] : [])
    })
    const call = callCli(['get', 'dev', 'ap-1', '-w', '-s', api.url])
    await call.says(/ap-1/)
    await api.stop()
    isBack = true
    await api.start()
    await call.says(/after/)
    call.interrupt()
    expect(await call.done).toBe(0)
    expect(
      api.requests.every(({ url }) => url.searchParams.get('fieldSelector') === 'metadata.name=ap-1'),
    ).toBe(true)
  })

  test('ends when the server refuses, and when what is named is not there', async () => {
    const refusing = await startScriptedApi((url) =>
      url.searchParams.has('watch')
        ? { status: 403, body: { message: 'no watches' } }
        : table([device('ap-1')]),
    )
    const refused = await cliResult(['get', 'dev', '-w', '-s', refusing.url])
    expect(refused).toMatchObject({
      code: 2,
      stderr: 'error: no watches (403)\n',
    })
    const empty = await startScriptedApi(() => table([]))
    expect(await cliResult(['get', 'dev', 'x', '-w', '-s', empty.url])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: devices "x" not found\n',
    })
  })
})
