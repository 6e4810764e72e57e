import { afterAll, beforeAll } from 'vitest'
import type { Transport } from '../../src/adapters/kubernetes/transport.ts'
import { resourceStoreContract } from '../contract/resource-store.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { installCrds } from '../support/crds.ts'
import { declare, openTransport, removeAll, storeOver } from '../support/kubernetes-store.ts'
import { unlessMissing } from '../support/requires.ts'

const startLimitMs = 120_000
const namespaces = ['default', 'lobby', 'a', 'b', 'a-b']

unlessMissing(missingApiServer())('the store over an API server', () => {
  let server: ApiServer
  let transport: Transport

  beforeAll(async () => {
    server = await startApiServer()
    await installCrds(server)
    for (const name of namespaces.slice(1))
      await server.request('POST', '/api/v1/namespaces', { body: { metadata: { name } } })
    transport = await openTransport(server)
  }, startLimitMs)
  afterAll(async () => {
    await transport?.close()
    await server?.stop()
  })

  resourceStoreContract('in Kubernetes', async () => ({
    store: storeOver(transport),
    declare: (manifest) => declare(server, manifest),
    close: () => removeAll(server),
    runs: 6,
  }))

  resourceStoreContract('in some namespaces of Kubernetes', async () => ({
    store: storeOver(transport, namespaces),
    declare: (manifest) => declare(server, manifest),
    close: () => removeAll(server),
    runs: 3,
  }))
})
