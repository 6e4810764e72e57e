/** Events on a real API server, written by a service account that may do nothing else, and read with real kubectls. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { systemRandom } from '../../src/adapters/clock/random.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createEventPublisher } from '../../src/adapters/kubernetes/event-publisher.ts'
import type { Transport } from '../../src/adapters/kubernetes/transport.ts'
import type { Kind, Phase, UpgradeOperation } from '../../src/api/resources.ts'
import { apiVersion } from '../../src/api/schema.ts'
import { openEventRecorder } from '../../src/controllers/event-recorder.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import { noMetrics } from '../../src/ports/metrics.ts'
import { eventsApiContract } from '../contract/events-api.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { builtPrograms, notBuilt } from '../support/built-programs.ts'
import { installCrds } from '../support/crds.ts'
import { declare, openTransport } from '../support/kubernetes-store.ts'
import { makeKubectl } from '../support/kubectl.ts'
import { unlessMissing } from '../support/requires.ts'
import { until } from '../support/until.ts'
import { least } from './specs.ts'

const startLimitMs = 120_000
const programs = builtPrograms('kubectl')
const namespace = 'reflash-system'
const device = { namespace: 'default', name: 'ap-1' }
const operation = { namespace: 'default', name: 'ap-1-73ae27cf-1' }

const phase = (to: Phase, before: Phase, message = ''): FleetEvent => ({
  type: 'Phase',
  operation,
  device,
  phase: to,
  before,
  message,
})
const dark: FleetEvent = {
  type: 'Warning',
  kind: 'Device',
  object: device,
  reason: 'Unreachable',
  message: '192.0.2.1 does not answer',
}
const upgrade: readonly FleetEvent[] = [
  phase('Connecting', 'Queued'),
  phase('Checking', 'Connecting'),
  phase('Uploading', 'Checking'),
  phase('Testing', 'Uploading'),
  phase('Flashing', 'Testing'),
  phase('Rebooting', 'Flashing'),
  phase('Succeeded', 'Rebooting', 'runs OpenWrt 24.10.8'),
]

unlessMissing([...missingApiServer(), ...notBuilt(programs)])('events on an API server', () => {
  let server: ApiServer
  let transport: Transport
  const objects = new Map<Kind, UpgradeOperation['metadata']>()

  const create = async (path: string, body: object): Promise<void> => {
    const answer = await server.request('POST', path, { body })
    expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  }
  /** A service account, and what it may do with events everywhere. */
  const account = async (name: string, verbs: readonly string[]): Promise<Transport> => {
    await create(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name } })
    const roles = '/apis/rbac.authorization.k8s.io/v1'
    const rules = [{ apiGroups: ['events.k8s.io'], resources: ['events'], verbs }]
    if (verbs.length > 0) {
      await create(`${roles}/clusterroles`, { metadata: { name }, rules })
      await create(`${roles}/clusterrolebindings`, {
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
        subjects: [{ kind: 'ServiceAccount', name, namespace }],
      })
    }
    const opened = await openTransport(server, await server.serviceAccountToken(namespace, name))
    // The server hears of a binding a moment after it is made.
    const isBound = async (): Promise<boolean> => {
      const { status } = await opened.request({ method: 'POST', path: collection, body: {} })
      return status !== 403
    }
    if (verbs.length > 0) await until(`the role of ${name}`, isBound)
    return opened
  }
  const collection = '/apis/events.k8s.io/v1/namespaces/default/events'

  beforeAll(async () => {
    server = await startApiServer()
    await installCrds(server)
    await create('/api/v1/namespaces', { metadata: { name: namespace } })
    for (const [kind, { name }] of [
      ['Device', device],
      ['UpgradeOperation', operation],
    ] as const) {
      const metadata = { namespace: 'default', name }
      const object = await declare(server, { apiVersion, kind, metadata, spec: least[kind] } as never)
      objects.set(kind, (object as UpgradeOperation).metadata)
    }
    transport = await account('reflash-controller', ['create', 'patch'])
  }, startLimitMs)
  afterAll(async () => {
    await transport?.close()
    await server?.stop()
  })

  const open = (over = transport) => {
    const warnings: FleetEvent[] = []
    const log = openEventRecorder({
      clock: systemClock,
      metadataOf: (kind) => objects.get(kind),
      newUid: randomUUID,
      onFailure: (error) => expect(error).toBeUndefined(),
      whole: { apiVersion: 'v1', kind: 'Namespace', namespace, name: namespace },
    })
    const publisher = createEventPublisher({
      log,
      transport: over,
      clock: systemClock,
      random: systemRandom,
      metrics: noMetrics,
      instance: 'reflash-controller-5d4f8c9b7-x2x4z',
      warnings: { emit: (event) => void warnings.push(event) },
    })
    onTestFinished(async () => {
      await publisher.close()
      log.close()
    })
    return { log, publisher, warnings }
  }
  const list = async (query = ''): Promise<Record<string, unknown>[]> => {
    const { body } = await server.request('GET', `/apis/events.k8s.io/v1/events${query}`)
    return (body as { items: Record<string, unknown>[] }).items
  }
  const forget = async (): Promise<void> => {
    for (const place of ['default', namespace])
      await server.request('DELETE', `/apis/events.k8s.io/v1/namespaces/${place}/events`)
  }

  eventsApiContract('kube-apiserver', async () => transport)

  test('are made and counted up, and nothing more is allowed', async () => {
    await forget()
    const { log, publisher, warnings } = open()
    log.emit(dark)
    await expect.poll(async () => (await list()).length).toBe(1)
    const [made] = await list()
    log.emit(dark)
    log.emit(dark)
    await publisher.close()
    const { uid, resourceVersion } = objects.get('Device')!
    expect(await list()).toMatchObject([
      {
        metadata: { uid: (made!['metadata'] as { uid: string }).uid },
        eventTime: made!['eventTime'],
        series: { count: 3 },
        regarding: { apiVersion, kind: 'Device', ...device, uid, resourceVersion },
        reason: 'Unreachable',
        note: '192.0.2.1 does not answer',
        reportingController: 'reflash.dev/controller',
        reportingInstance: 'reflash-controller-5d4f8c9b7-x2x4z',
      },
    ])
    expect(warnings).toEqual([])
    const path = `${collection}/${(made!['metadata'] as { name: string }).name}`
    for (const [method, at] of [
      ['GET', path],
      ['PUT', path],
      ['DELETE', path],
      ['GET', collection],
      ['GET', '/api/v1/namespaces/default/events'],
    ] as const)
      expect([method, at, (await transport.request({ method, path: at, body: made })).status]).toEqual([
        method,
        at,
        403,
      ])
  })

  test('of the fleet as a whole are in the namespace of the controller', async () => {
    await forget()
    const { log, publisher, warnings } = open()
    log.emit({ type: 'Info', reason: 'Started', message: 'as reflash-0' })
    await publisher.close()
    expect(warnings).toEqual([])
    expect(await list()).toMatchObject([
      { metadata: { namespace }, regarding: { kind: 'Namespace', name: namespace }, reason: 'Started' },
    ])
  })

  test('that may not be written are told of once', async () => {
    await forget()
    const over = await account('nobody', [])
    onTestFinished(() => over.close())
    const { log, publisher, warnings } = open(over)
    for (const event of upgrade) log.emit(event)
    await publisher.close()
    expect(warnings).toMatchObject([
      { message: expect.stringMatching(/is forbidden: .*serviceaccount.*nobody/) },
    ])
    expect(await list()).toEqual([])
  })

  describe.each(programs)('kubectl $version', (program) => {
    const kubectl = () =>
      makeKubectl(program, server.url, server.folder, [
        '--certificate-authority',
        join(server.folder, 'cert.pem'),
        '--token',
        server.adminToken,
      ])
    /** Reason and age of each line below the last header. */
    const rows = (text: string): string[] =>
      text
        .split(/^.*REASON.*\n|^ *-{4} .*\n/im)
        .at(-1)!
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.trim())

    test('describes a device and an operation with what happened to them, in order and with counts', async () => {
      await forget()
      const { log, publisher } = open()
      for (const event of upgrade) log.emit(event)
      log.emit(dark)
      log.emit(dark)
      await publisher.close()
      const { read } = kubectl()
      const ofDevice = rows(await read('describe', `device/${device.name}`))
      expect(ofDevice).toEqual([
        expect.stringMatching(
          /^Normal +UpgradeStarted +\S+ +reflash.dev\/controller +operation ap-1-73ae27cf-1$/,
        ),
        expect.stringMatching(/^Normal +FlashStarted +/),
        expect.stringMatching(/^Normal +UpgradeSucceeded +.*: runs OpenWrt 24\.10\.8$/),
        expect.stringMatching(
          /^Warning +Unreachable +\d+s \(x2 over \d+s\) +reflash.dev\/controller +192\.0\.2\.1 does not answer$/,
        ),
      ])
      const ofOperation = rows(await read('describe', `upgradeoperation/${operation.name}`))
      expect(ofOperation.map((line) => line.split(/ +/)[1])).toEqual([
        'Connecting',
        'Checking',
        'Uploading',
        'Testing',
        'Flashing',
        'Rebooting',
        'Succeeded',
      ])
    })

    test('lists the events of a device, with counts', async () => {
      await forget()
      const { log, publisher } = open()
      for (let count = 0; count < 5; count += 1) log.emit(dark)
      log.emit(upgrade[0]!)
      await publisher.close()
      const { read } = kubectl()
      const shown = rows(await read('events', '--for', `device/${device.name}`))
      expect(shown.toSorted()).toEqual([
        expect.stringMatching(/^\d+s +Normal +UpgradeStarted +Device\/ap-1 +operation ap-1-73ae27cf-1$/),
        expect.stringMatching(
          /^\d+s \(x5 over \d+s\) +Warning +Unreachable +Device\/ap-1 +192\.0\.2\.1 does not/,
        ),
      ])
      const all = rows(await read('get', 'events', '--field-selector', 'type=Warning'))
      expect(all).toEqual([
        expect.stringMatching(/Warning +Unreachable +device\/ap-1 +192\.0\.2\.1 does not answer/),
      ])
    })
  })
})
