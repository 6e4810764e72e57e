import type { LeaseRecord } from '../../core/election.ts'
import { failureOf, isAbsent } from './api-failure.ts'
import type { ApiAnswer, Transport } from './transport.ts'

/** The fields of a `coordination.k8s.io/v1` Lease that matter to an election; the others are written as they were read. */
export interface Lease {
  metadata: { resourceVersion: string; [field: string]: unknown }
  spec?: {
    holderIdentity?: string
    leaseDurationSeconds?: number
    acquireTime?: string
    renewTime?: string
    leaseTransitions?: number
    [field: string]: unknown
  }
}

/** One Lease of an API server. Rejects with ReflashError. */
export interface LeaseAccess {
  /** Undefined where there is none. */
  read(signal?: AbortSignal): Promise<Lease | undefined>
  /**
   * Creates it, or changes the one that was read provided that it is the stored one still.
   * @throws ReflashError `Conflict`, `AlreadyExists`, `NotFound`: nothing was written.
   */
  write(record: LeaseRecord, over: Lease | undefined, signal?: AbortSignal): Promise<Lease>
}

export function openLease(options: {
  transport: Pick<Transport, 'request'>
  namespace: string
  name: string
  /** For each request. */
  limitMs: number
}): LeaseAccess {
  const { transport, namespace, name, limitMs } = options
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`
  const path = `${collection}/${name}`
  const what = `lease ${namespace}/${name}`
  const common = (signal: AbortSignal | undefined) => ({ limitMs, ...(signal ? { signal } : {}) })

  const leaseOf = (answer: ApiAnswer): Lease => {
    const failure = failureOf(answer, what)
    if (failure) throw failure
    return answer.body as Lease
  }

  return {
    async read(signal) {
      const answer = await transport.request({ method: 'GET', path, ...common(signal) })
      return isAbsent(answer) ? undefined : leaseOf(answer)
    },
    async write(record, over, signal) {
      const base = over ?? {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name, namespace },
      }
      const body = { ...base, spec: { ...over?.spec, ...specOf(record) } }
      const target = over
        ? ({ method: 'PUT', path } as const)
        : ({ method: 'POST', path: collection } as const)
      return leaseOf(await transport.request({ ...target, body, ...common(signal) }))
    },
  }
}

export function recordOf({ spec = {} }: Lease): LeaseRecord {
  const { holderIdentity, leaseDurationSeconds, acquireTime, renewTime, leaseTransitions } = spec
  return {
    holder: holderIdentity ?? '',
    ...(leaseDurationSeconds === undefined ? {} : { durationMs: leaseDurationSeconds * 1000 }),
    ...(acquireTime === undefined ? {} : { acquireTime }),
    ...(renewTime === undefined ? {} : { renewTime }),
    transitions: leaseTransitions ?? 0,
  }
}

const specOf = ({ holder, durationMs, acquireTime, renewTime, transitions }: LeaseRecord): Lease['spec'] => ({
  holderIdentity: holder,
  // Whole seconds, and rather a later takeover than an early one.
  ...(durationMs === undefined ? {} : { leaseDurationSeconds: Math.ceil(durationMs / 1000) }),
  ...(acquireTime === undefined ? {} : { acquireTime }),
  ...(renewTime === undefined ? {} : { renewTime }),
  leaseTransitions: transitions,
})

/** The API server answers 400 to times with three digits after the point. */
export const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z')
