import type { Lease } from '../../src/adapters/kubernetes/leases.ts'
import type { ApiAnswer, ApiRequest } from '../../src/adapters/kubernetes/transport.ts'
import { refusal } from './events-api.ts'

/** What an API server does with Leases, in memory: the contract of `test/contract/lease.ts`. */
export interface MemoryLeases {
  answer(request: ApiRequest): ApiAnswer
  get(name: string): Lease | undefined
  /** As somebody else does, who goes by nothing. */
  set(name: string, spec: Lease['spec']): void
  remove(name: string): void
}

type Named = Lease & { metadata: { name: string } }

export function createMemoryLeases(): MemoryLeases {
  const leases = new Map<string, Lease>()
  let version = 0

  const store = (name: string, lease: Lease): Lease => {
    version += 1
    const stored = structuredClone({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', ...lease })
    stored.metadata.resourceVersion = String(version)
    leases.set(name, stored)
    return structuredClone(stored)
  }
  return {
    answer({ method, path, body }) {
      const name = method === 'POST' ? (body as Named).metadata.name : path.split('/').at(-1)!
      const stored = leases.get(name)
      switch (method) {
        case 'GET':
          return stored ? { status: 200, body: structuredClone(stored) } : refusal(404, 'NotFound')
        case 'POST':
          return stored ? refusal(409, 'AlreadyExists') : { status: 201, body: store(name, body as Lease) }
        case 'PUT': {
          if (!stored) return refusal(404, 'NotFound')
          const lease = body as Lease
          const isLatest = lease.metadata.resourceVersion === stored.metadata.resourceVersion
          return isLatest ? { status: 200, body: store(name, lease) } : refusal(409, 'Conflict')
        }
        default:
          return refusal(405, 'MethodNotAllowed')
      }
    },
    get: (name) => structuredClone(leases.get(name)),
    set: (name, spec) => void store(name, { metadata: { name, resourceVersion: '' }, spec } as Lease),
    remove: (name) => void leases.delete(name),
  }
}
