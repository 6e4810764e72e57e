/** What a controller reads and writes of a cluster besides our own kinds. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { haltAnnotation, createNamespaceBrake } from '../../src/adapters/kubernetes/namespace-brake.ts'
import { createConfigMapRecords } from '../../src/adapters/kubernetes/record-store.ts'
import { createClusterSecrets } from '../../src/adapters/kubernetes/secrets.ts'
import type { Transport } from '../../src/adapters/kubernetes/transport.ts'
import { recordStoreContract } from '../contract/record-store.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { openTransport } from '../support/kubernetes-store.ts'
import { unlessMissing } from '../support/requires.ts'
import { until } from '../support/until.ts'

const startLimitMs = 120_000
const mergePatch = 'application/merge-patch+json'

unlessMissing(missingApiServer())('a cluster', () => {
  let server: ApiServer
  let transport: Transport
  beforeAll(async () => {
    server = await startApiServer()
    transport = await openTransport(server)
  }, startLimitMs)
  afterAll(async () => {
    await transport?.close()
    await server?.stop()
  })

  recordStoreContract('in ConfigMaps', async () => ({
    records: createConfigMapRecords(transport, 'default'),
    reopen: async () => createConfigMapRecords(transport, 'default'),
    async close() {
      const path = '/api/v1/namespaces/default/configmaps?labelSelector=reflash.dev/record'
      await server.request('DELETE', path)
    },
  }))

  describe('the brake', () => {
    const annotate = (value: string | null) =>
      server.request('PATCH', '/api/v1/namespaces/default', {
        body: { metadata: { annotations: { [haltAnnotation]: value } } },
        contentType: mergePatch,
      })

    test('is on while the namespace has the annotation, which is looked at again after half a second', async () => {
      const clock = createManualClock()
      const brake = createNamespaceBrake(transport, 'default', clock)
      expect(await brake.halted()).toBeUndefined()
      await annotate('network freeze\u001b[31m')
      expect(await brake.halted()).toBeUndefined()
      await clock.advance(500)
      const words =
        'namespace default has the annotation reflash.dev/halt (network freeze\\x1b[31m); remove it'
      expect(await brake.halted()).toContain(words)
      await annotate(null)
      await clock.advance(500)
      expect(await brake.halted()).toBeUndefined()
    })

    test('is on while it cannot be asked', async () => {
      const stranger = await openTransport(server, 'no token at all')
      const brake = createNamespaceBrake(stranger, 'default', createManualClock())
      expect(await brake.halted()).toMatch(/^it cannot be asked whether starts are stopped: .*Unauthorized/)
      await stranger.close()
    })
  })

  describe('a Secret', () => {
    const make = (name: string, stringData: Record<string, string>) =>
      server.request('POST', '/api/v1/namespaces/default/secrets', {
        body: { metadata: { name }, stringData },
      })

    test('is read by name, without the ends of lines that editors leave, and anew after a while', async () => {
      const clock = createManualClock()
      const secrets = createClusterSecrets(transport, clock)
      const key = { namespace: 'default', name: 'routers' }
      expect(await secrets.read(key)).toBeUndefined()
      await make('routers', { username: 'root\n', password: 'Zürich', 'ssh-privatekey': 'lines\n' })
      await clock.advance(10_000)
      expect(await secrets.read(key)).toEqual({
        username: 'root',
        password: 'Zürich',
        'ssh-privatekey': 'lines\n',
      })
      await server.request('DELETE', '/api/v1/namespaces/default/secrets/routers')
      expect(await secrets.read(key)).toBeDefined()
      await clock.advance(10_000)
      expect(await secrets.read(key)).toBeUndefined()
    })

    test('that comes, changes or goes is told of, once somebody has read it', async () => {
      const clock = createManualClock()
      const secrets = createClusterSecrets(transport, clock)
      const key = { namespace: 'default', name: 'late' }
      const stopping = new AbortController()
      const told: string[][] = []
      const following = secrets.follow(stopping.signal, (changed) => void told.push([...changed]))
      const look = async (count: number): Promise<void> => {
        await clock.advance(5000)
        await until(`${count} changes are told`, async () => told.length === count)
      }
      await make('unread', { username: 'root' })
      expect(await secrets.read(key)).toBeUndefined()
      await make('late', { username: 'root', password: 'first' })
      await look(1)
      expect(await secrets.read(key)).toMatchObject({ password: 'first' })
      await server.request('PATCH', '/api/v1/namespaces/default/secrets/late', {
        body: { stringData: { password: 'second' } },
        contentType: mergePatch,
      })
      await look(2)
      expect(await secrets.read(key)).toMatchObject({ password: 'second' })
      await server.request('DELETE', '/api/v1/namespaces/default/secrets/late')
      await look(3)
      // One reader sees what the one before did not, who has to hear of it.
      expect(await secrets.read(key)).toBeUndefined()
      await clock.advance(2000)
      await make('late', { username: 'root', password: 'third' })
      expect(await secrets.read(key)).toMatchObject({ password: 'third' })
      await look(4)
      expect(told).toEqual(Array.from({ length: 4 }, () => ['default/late']))
      stopping.abort()
      await following
    })

    test('that may not be read says what is lacking, and nothing else', async () => {
      await server.request('POST', '/api/v1/namespaces/default/serviceaccounts', {
        body: { metadata: { name: 'nobody' } },
      })
      const other = await openTransport(server, await server.serviceAccountToken('default', 'nobody'))
      const secrets = createClusterSecrets(other, createManualClock())
      await expect(secrets.read({ namespace: 'default', name: 'routers' })).rejects.toMatchObject({
        code: 'CredentialsInvalid',
        message:
          'Secret routers may not be read: bind the ClusterRole reflash-credentials in namespace default',
      })
      await other.close()
    })
  })
})
