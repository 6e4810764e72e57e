/** Leader election against a real API server, with no more rights than it needs. */
import { afterAll, beforeAll } from 'vitest'
import type { Transport } from '../../src/adapters/kubernetes/transport.ts'
import { leaseContract } from '../contract/lease.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { openTransport } from '../support/kubernetes-store.ts'
import { unlessMissing } from '../support/requires.ts'

const startLimitMs = 120_000

unlessMissing(missingApiServer())('leader election', () => {
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

  leaseContract('over a real API server', () => ({
    transport,
    remove: async (name) => {
      await server.request('DELETE', `/apis/coordination.k8s.io/v1/namespaces/default/leases/${name}`)
    },
  }))
})
