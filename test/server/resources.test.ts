import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fullAccess } from '../../src/server/access.ts'
import { category } from '../support/category.ts'
import { categoriesPath, devicesPath, serveStore, type ServedStore } from '../support/served-store.ts'
import { manifest } from '../support/toy-fleet.ts'

interface ListBody {
  kind: string
  apiVersion: string
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number }
  items: { metadata: { name: string; namespace: string } }[]
}
interface TableBody {
  kind: string
  apiVersion: string
  metadata: ListBody['metadata']
  columnDefinitions: { name: string; type: string; format: string; priority: number }[]
  rows: {
    cells: unknown[]
    object: { kind: string; apiVersion: string; metadata: { name: string } } | null
  }[]
}
interface StatusBody {
  kind: string
  code: number
  reason: string
  message: string
  details?: Record<string, unknown>
}

const tableV1 = 'application/json;as=Table;v=v1;g=meta.k8s.io'
const tableBeta = 'application/json;as=Table;v=v1beta1;g=meta.k8s.io'
const kubectl = `${tableV1},${tableBeta},application/json`
const accept = (value: string): RequestInit => ({ headers: { Accept: value } })
const inDefault = '/apis/reflash.dev/v1alpha1/namespaces/default'

let served: ServedStore
beforeEach(async () => {
  served = await serveStore()
  const { store } = served
  const spec = { categoryRef: { name: 'ap' }, credentialsRef: { name: 'routers' } }
  await store.create(category('ap', { labels: { site: 'lobby' } }))
  await store.create(
    manifest('Device', 'ap-1', { ...spec, addresses: ['192.0.2.1'] }, { site: 'lobby', floor: '1' }),
  )
  await store.create(manifest('Device', 'ap-2', { ...spec, addresses: ['192.0.2.2'] }, { site: 'hall' }))
  const third = manifest('Device', 'ap-3', { ...spec, addresses: ['192.0.2.3'], port: 2222 })
  await store.create({ ...third, metadata: { ...third.metadata, namespace: 'other' } })
  const first = (await store.get('Device', { namespace: 'default', name: 'ap-1' }))!
  await store.saveStatus({ ...first, status: { board: 'x,y', osIdentifier: 'OpenWrt 24.10.8' } })
  await served.settle()
})
afterEach(() => served.stop())

const json = async <T>(path: string, init?: RequestInit): Promise<T> => {
  const response = await served.get(path, init)
  expect(response.status, path).toBe(200)
  expect(response.headers.get('Content-Type')).toBe('application/json')
  return (await response.json()) as T
}
const names = async (path: string): Promise<string[]> =>
  (await json<ListBody>(path)).items.map(({ metadata }) => metadata.name)
const refusal = async (path: string, init?: RequestInit): Promise<StatusBody> => {
  const response = await served.get(path, init)
  const body = (await response.json()) as StatusBody
  expect(body).toMatchObject({ kind: 'Status', status: 'Failure', code: response.status })
  return body
}

describe('a list', () => {
  test('holds every object, ordered, and the version of the store', async () => {
    const body = await json<ListBody>(devicesPath)
    expect(body).toMatchObject({ kind: 'DeviceList', apiVersion: 'reflash.dev/v1alpha1' })
    expect(body.items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)).toEqual([
      'default/ap-1',
      'default/ap-2',
      'other/ap-3',
    ])
    const { items, resourceVersion } = await served.store.list('Device')
    expect(body.metadata).toEqual({ resourceVersion })
    expect(body.items).toEqual(items)
  })

  test.each([
    [`${inDefault}/devices`, ['ap-1', 'ap-2']],
    [`/apis/reflash.dev/v1alpha1/namespaces/nowhere/devices`, []],
    [`${devicesPath}?labelSelector=site`, ['ap-1', 'ap-2']],
    [`${devicesPath}?labelSelector=site%20in%20(hall,x)`, ['ap-2']],
    [`${devicesPath}?labelSelector=!site`, ['ap-3']],
    [`${devicesPath}?labelSelector=site!%3Dhall`, ['ap-1', 'ap-3']],
    [`${devicesPath}?fieldSelector=metadata.name%3Dap-2`, ['ap-2']],
    [`${devicesPath}?fieldSelector=metadata.namespace%3Dother`, ['ap-3']],
    [`${devicesPath}?fieldSelector=spec.port%3D2222`, ['ap-3']],
    [`${devicesPath}?fieldSelector=status.board%3Dx%5C,y`, ['ap-1']],
    [`${devicesPath}?fieldSelector=status.board%3D&labelSelector=site`, ['ap-2']],
    [`${devicesPath}?resourceVersion=0`, ['ap-1', 'ap-2', 'ap-3']],
    [`${devicesPath}?resourceVersion=1&resourceVersionMatch=NotOlderThan`, ['ap-1', 'ap-2', 'ap-3']],
    [`${devicesPath}?limit=0&watch=false&pretty=true&timeout=32s`, ['ap-1', 'ap-2', 'ap-3']],
    ['/api/v1/namespaces', ['default', 'other']],
    ['/api/v1/events', []],
  ])('%s', async (path, expected) => expect(await names(path)).toEqual(expected))

  test('comes in pages that report the version of the first one', async () => {
    const first = await json<ListBody>(`${devicesPath}?limit=1`)
    expect(first.items.map(({ metadata }) => metadata.name)).toEqual(['ap-1'])
    expect(first.metadata).toMatchObject({ remainingItemCount: 2, continue: expect.any(String) as string })
    await served.store.create(category('later'))
    await served.settle()
    const next = `${devicesPath}?limit=2&continue=${first.metadata.continue}`
    const second = await json<ListBody>(next)
    expect(second.items.map(({ metadata }) => metadata.name)).toEqual(['ap-2', 'ap-3'])
    expect(second.metadata).toEqual({ resourceVersion: first.metadata.resourceVersion })
  })

  test('does not count what is left when there is a selector', async () => {
    const body = await json<ListBody>(`${devicesPath}?limit=1&labelSelector=site`)
    expect(Object.keys(body.metadata)).toEqual(['resourceVersion', 'continue'])
    const last = await json<ListBody>(
      `${devicesPath}?limit=1&labelSelector=site&continue=${body.metadata.continue}`,
    )
    expect(last.items.map(({ metadata }) => metadata.name)).toEqual(['ap-2'])
    expect(Object.keys(last.metadata)).toEqual(['resourceVersion'])
  })

  test('is given at exactly one version only while that is the present one', async () => {
    const { resourceVersion } = (await json<ListBody>(devicesPath)).metadata
    const exact = `${devicesPath}?resourceVersionMatch=Exact&resourceVersion=`
    expect(await names(exact + resourceVersion)).toHaveLength(3)
    expect(await refusal(`${exact}2`)).toMatchObject({ code: 410, reason: 'Expired' })
  })
})

describe('a table', () => {
  test('has the columns of the kind, and what is missing is null', async () => {
    await served.clock.advance(90_000)
    const body = await json<TableBody>(`${inDefault}/devices?limit=500`, accept(kubectl))
    expect(body).toMatchObject({ kind: 'Table', apiVersion: 'meta.k8s.io/v1' })
    const shown = body.columnDefinitions.filter(({ priority }) => priority === 0).map(({ name }) => name)
    expect(shown).toEqual([
      'Name',
      'Category',
      'Board',
      'OS',
      'Target',
      'UpToDate',
      'Reachable',
      'Blocked',
      'Age',
    ])
    expect(body.columnDefinitions[0]).toMatchObject({ type: 'string', format: 'name' })
    const cellsOf = (row: number): Record<string, unknown> =>
      Object.fromEntries(body.columnDefinitions.map(({ name }, at) => [name, body.rows[row]!.cells[at]]))
    expect(cellsOf(0)).toMatchObject({
      Name: 'ap-1',
      Category: 'ap',
      Board: 'x,y',
      OS: 'OpenWrt 24.10.8',
      Target: null,
      Reachable: null,
      Age: '90s',
      Address: '192.0.2.1',
      Seen: null,
    })
    expect(body.rows.map(({ object }) => object)).toMatchObject([
      {
        kind: 'PartialObjectMetadata',
        apiVersion: 'meta.k8s.io/v1',
        metadata: { name: 'ap-1', namespace: 'default' },
      },
      { metadata: { name: 'ap-2' } },
    ])
  })

  test('carries of the objects what is asked for', async () => {
    const path = `${inDefault}/devices/ap-1?includeObject=`
    const whole = await json<TableBody>(`${path}Object`, accept(tableBeta))
    expect(whole.apiVersion).toBe('meta.k8s.io/v1beta1')
    expect(whole.rows[0]!.object).toEqual(
      await served.store.get('Device', { namespace: 'default', name: 'ap-1' }),
    )
    expect((await json<TableBody>(`${path}None`, accept(tableV1))).rows[0]!.object).toBeNull()
    const beta = await json<TableBody>(`${path}Metadata`, accept(tableBeta))
    expect(beta.rows[0]!.object!.apiVersion).toBe('meta.k8s.io/v1beta1')
    expect(await refusal(`${path}Everything`, accept(tableV1))).toMatchObject({ code: 400 })
  })

  test('of events is the one that kubectl users know', async () => {
    served.events.record({
      namespace: 'default',
      name: 'ap-1.1',
      uid: 'u',
      type: 'Warning',
      reason: 'Unreachable',
      count: 3,
      message: 'no address answers',
      regarding: {
        apiVersion: 'reflash.dev/v1alpha1',
        kind: 'Device',
        namespace: 'default',
        name: 'ap-1',
        uid: 'd',
      },
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:01:00Z',
    })
    await served.clock.advance(120_000)
    const body = await json<TableBody>('/api/v1/namespaces/default/events', accept(tableV1))
    const wide = Object.fromEntries(
      body.columnDefinitions.map(({ name }, at) => [name, body.rows[0]!.cells[at]]),
    )
    expect(wide).toEqual({
      'Last Seen': '60s',
      Type: 'Warning',
      Reason: 'Unreachable',
      Object: 'device/ap-1',
      Source: 'reflash',
      Message: 'no address answers',
      'First Seen': '2m',
      Count: 3,
      Name: 'ap-1.1',
    })
    const query =
      'involvedObject.name%3Dap-1,involvedObject.kind%3DDevice,involvedObject.uid%3Dd,type!%3DNormal'
    const path = `/api/v1/namespaces/default/events?fieldSelector=${query}`
    expect(await names(`${path},reason%3DUnreachable,reportingComponent%3Dreflash`)).toEqual(['ap-1.1'])
    expect(await names(`${path},involvedObject.name!%3Dap-1`)).toEqual([])
    const event = await json<object>('/api/v1/namespaces/default/events/ap-1.1')
    expect(event).toMatchObject({
      apiVersion: 'v1',
      kind: 'Event',
      eventTime: null,
      source: { component: 'reflash' },
      count: 3,
      involvedObject: { kind: 'Device', name: 'ap-1' },
    })
  })
})

describe('one object', () => {
  test.each([`${inDefault}/devices/ap-1`, `${inDefault}/devices/ap-1/status`])('%s', async (path) => {
    expect(await json(path)).toEqual(await served.store.get('Device', { namespace: 'default', name: 'ap-1' }))
  })

  test('a namespace is one in which an object is', async () => {
    expect(await json('/api/v1/namespaces/other')).toMatchObject({
      kind: 'Namespace',
      status: { phase: 'Active' },
    })
    expect(await refusal('/api/v1/namespaces/nowhere')).toMatchObject({
      code: 404,
      message: 'namespaces "nowhere" not found',
      details: { name: 'nowhere', kind: 'namespaces' },
    })
    const table = await json<TableBody>('/api/v1/namespaces', accept(tableV1))
    expect(table.rows.map(({ cells }) => cells)).toEqual([
      ['default', 'Active', '0s'],
      ['other', 'Active', '0s'],
    ])
    await served.store.delete('Device', { namespace: 'other', name: 'ap-3' })
    await served.settle()
    expect(await names('/api/v1/namespaces')).toEqual(['default'])
  })

  test('is read by HEAD without a body', async () => {
    for (const path of [`${inDefault}/devices/ap-1`, devicesPath, `${devicesPath}?watch=true`]) {
      const response = await served.get(path, { method: 'HEAD' })
      expect(response.status, path).toBe(200)
      expect(await response.text()).toBe('')
    }
    await served.clock.advance(0)
    expect(served.clock.nextWakeMs()).toBeUndefined()
  })
})

describe('a refusal', () => {
  test.each<[string, number, string, RegExp]>([
    [`${inDefault}/devices/zz`, 404, 'NotFound', /^devices\.reflash\.dev "zz" not found$/],
    [`${inDefault}/devices/zz/status`, 404, 'NotFound', /not found$/],
    [`${devicesPath}?labelSelector=a%3D%3D%3Db`, 400, 'BadRequest', /label selector/],
    [
      `${devicesPath}?fieldSelector=spec.addresses%3Dx`,
      400,
      'BadRequest',
      /Device has no field spec.addresses/,
    ],
    [`/api/v1/events?fieldSelector=nothing%3Dx`, 400, 'BadRequest', /Event has no field nothing/],
    [`${devicesPath}?limit=-1`, 400, 'BadRequest', /limit must be a whole number/],
    [`${devicesPath}?limit=1e3`, 400, 'BadRequest', /limit/],
    [`${devicesPath}?resourceVersion=abc`, 400, 'BadRequest', /resourceVersion/],
    [`${devicesPath}?resourceVersion=99999999999999999999`, 400, 'BadRequest', /resourceVersion/],
    [`${devicesPath}?continue=%21%21`, 400, 'BadRequest', /continue/],
    [`${devicesPath}?continue=MQ`, 400, 'BadRequest', /continue/],
    [`${devicesPath}?continue=Mi9hL2I&resourceVersion=3`, 400, 'BadRequest', /not allowed together/],
    [`${devicesPath}?resourceVersionMatch=Exact`, 422, 'Invalid', /unless resourceVersion is provided/],
    [`${devicesPath}?resourceVersion=0&resourceVersionMatch=Exact`, 422, 'Invalid', /Exact/],
    [
      `${devicesPath}?resourceVersion=1&resourceVersionMatch=Newest`,
      422,
      'Invalid',
      /must be Exact or NotOlderThan/,
    ],
    [`${devicesPath}?sendInitialEvents=true`, 422, 'Invalid', /forbidden for list/],
    [`${devicesPath}?watch=true&sendInitialEvents=true`, 422, 'Invalid', /requires resourceVersionMatch/],
    [`${devicesPath}?watch=true&resourceVersionMatch=NotOlderThan`, 422, 'Invalid', /forbidden for watch/],
    [`${devicesPath}?watch=true&timeoutSeconds=x`, 400, 'BadRequest', /timeoutSeconds/],
    [`${devicesPath}?resourceVersion=999`, 504, 'Timeout', /^Too large resource version: 999, current: \d+$/],
    [`${inDefault}/devices/ap-1?resourceVersion=999`, 504, 'Timeout', /Too large/],
    [`${devicesPath}?continue=${Buffer.from('0/a/b').toString('base64url')}`, 410, 'Expired', /too old/],
    [
      `${devicesPath}?continue=${Buffer.from('999/a/b').toString('base64url')}`,
      410,
      'Expired',
      /not of this state/,
    ],
  ])('%s', async (path, code, reason, message) => {
    const body = await refusal(path)
    expect(body).toMatchObject({ code, reason })
    expect(body.message).toMatch(message)
  })

  test.each([
    ['application/xml', 406],
    ['application/vnd.kubernetes.protobuf', 406],
    ['application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', 406],
    ['application/json;as=Table;v=v2;g=meta.k8s.io', 406],
    ['application/json;q=0', 406],
    ['application/vnd.kubernetes.protobuf,application/json', 200],
    ['application/json;as=Table;v=v9;g=meta.k8s.io, application/json', 200],
    ['*/*', 200],
    ['application/*', 200],
    ['text/html,*/*;q=0.1', 200],
    ['', 200],
  ])('Accept: %s gives %i', async (value, code) => {
    const response = await served.get(devicesPath, accept(value))
    expect(response.status).toBe(code)
    const { kind } = (await response.json()) as { kind: string }
    expect(kind).toBe(code === 200 ? 'DeviceList' : 'Status')
  })

  test('of what is not served is left to others', async () => {
    for (const path of [
      '/apis/reflash.dev/v1alpha1/routers',
      '/apis/reflash.dev/v1/devices',
      '/api/v1/pods',
      '/',
    ])
      expect((await served.get(path)).status, path).toBe(404)
    expect((await served.get(devicesPath, { method: 'POST' })).status).toBe(404)
  })

  test('comes before everything has been read', async () => {
    const early = await serveStore({ waits: false })
    const response = await early.get(devicesPath)
    expect(response.status).toBe(503)
    expect(response.headers.get('Retry-After')).toBe('1')
    await early.resources.ready
    expect((await early.get(devicesPath)).status).toBe(200)
    early.stop()
  })
})

describe('a token', () => {
  test('for some namespaces reads those', async () => {
    served.access = { ...fullAccess, tokenId: 'a', namespaces: new Set(['other']) }
    expect(await names('/apis/reflash.dev/v1alpha1/namespaces/other/devices')).toEqual(['ap-3'])
    expect((await served.get('/api/v1/namespaces/other')).status).toBe(200)
    for (const path of [
      devicesPath,
      `${inDefault}/devices`,
      `${inDefault}/devices/ap-1`,
      '/api/v1/namespaces',
    ])
      expect(await refusal(path)).toMatchObject({ code: 403, reason: 'Forbidden' })
    expect(await refusal('/api/v1/namespaces/default')).toMatchObject({ code: 403 })
  })

  test('without the scope sees less, and can select by no more than it sees', async () => {
    let shownCount = 0
    const open = await serveStore({
      show: (object, { sensitive }) => {
        shownCount += 1
        return sensitive ? object : { ...object, spec: { port: 0 }, status: {} }
      },
    })
    await open.store.create(manifest('Device', 'ap-1', { port: 2222, addresses: ['192.0.2.1'] }))
    await open.settle()
    const ports = async (path = devicesPath): Promise<number[]> => {
      const { items } = (await (await open.get(path)).json()) as { items: { spec: { port: number } }[] }
      return items.map(({ spec }) => spec.port)
    }
    expect(await ports()).toEqual([2222])
    open.access = { ...fullAccess, sensitive: false }
    expect(await ports()).toEqual([0])
    expect(await ports(`${devicesPath}?fieldSelector=spec.port%3D2222`)).toEqual([])
    expect(await ports(`${devicesPath}?limit=1&fieldSelector=spec.port%3D0`)).toEqual([0])
    const table = await open.get(devicesPath, accept(tableV1))
    expect(await table.text()).not.toContain('192.0.2.1')
    open.access = fullAccess
    expect(await ports()).toEqual([2222])
    expect(shownCount).toBe(2)
    open.stop()
  })
})

test('a long list comes in pieces, in one state, and lets other work run in between', async () => {
  const initial = Array.from({ length: 1500 }, (_, at) => ({
    ...manifest('Category', `c-${String(at).padStart(5, '0')}`, {}),
    metadata: {
      name: `c-${String(at).padStart(5, '0')}`,
      namespace: 'default',
      uid: `${at}`,
      generation: 1,
      resourceVersion: String(at + 2),
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    status: {},
  }))
  const large = await serveStore({ initial })
  const response = await large.get(categoriesPath)
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  const texts = [(await reader.read()).value!]
  await large.store.delete('Category', { namespace: 'default', name: 'c-01400' })
  await large.store.apply(category('c-01401', { description: 'changed meanwhile' }))
  await large.settle()
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) texts.push(piece.value)
  expect(texts.length).toBeGreaterThan(5)
  const body = JSON.parse(texts.join('')) as ListBody
  expect(body.items).toHaveLength(1500)
  expect(texts.join('')).not.toContain('changed meanwhile')
  expect(body.metadata.resourceVersion).toBe('1501')
  const again = (await (await large.get(categoriesPath)).json()) as ListBody
  expect(again.items).toHaveLength(1499)
  expect(again.metadata.resourceVersion).toBe('1503')
  const pageOf = async (limit: number): Promise<number> =>
    ((await (await large.get(`${categoriesPath}?limit=${limit}`)).json()) as ListBody).items.length
  expect(await pageOf(600)).toBe(500)
  expect(await pageOf(300)).toBe(300)
  large.stop()
})

test('a reader of a long list who takes nothing is cut off', async () => {
  const initial = Array.from({ length: 500 }, (_, at) => ({
    ...manifest('Category', `c-${at}`, {}),
    metadata: {
      name: `c-${at}`,
      namespace: 'default',
      uid: `${at}`,
      generation: 1,
      resourceVersion: String(at + 2),
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    status: {},
  }))
  const large = await serveStore({ initial })
  const response = await large.get(categoriesPath)
  const reader = response.body!.getReader()
  expect((await reader.read()).done).toBe(false)
  await large.clock.advance(11_000)
  await expect(reader.read().then(() => reader.read())).rejects.toThrow(/nobody took/)
  large.stop()
})

test('no request changes the store', async () => {
  const before = (await served.store.list('Device')).resourceVersion
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
    for (const path of [devicesPath, `${inDefault}/devices/ap-1`, `${inDefault}/devices/ap-1/status`])
      await served.get(path, { method, ...(method.startsWith('P') ? { body: '{}' } : {}) })
  expect((await served.store.list('Device')).resourceVersion).toBe(before)
})
