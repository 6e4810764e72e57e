/** Leader election against a real API server, with no more rights than it needs. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemRandom } from '../../src/adapters/clock/random.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createLeaseElector } from '../../src/adapters/kubernetes/lease-elector.ts'
import type { Lease } from '../../src/adapters/kubernetes/leases.ts'
import type { Transport } from '../../src/adapters/kubernetes/transport.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { Elector } from '../../src/ports/elector.ts'
import { electorContract } from '../contract/elector.ts'
import { leaseContract } from '../contract/lease.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { builtPrograms, notBuilt } from '../support/built-programs.ts'
import { makeKubectl } from '../support/kubectl.ts'
import { openTransport } from '../support/kubernetes-store.ts'
import { unlessMissing } from '../support/requires.ts'
import { until } from '../support/until.ts'

const startLimitMs = 120_000
/** Short enough to wait for, and long enough for a machine that does much else. */
const times = { durationMs: 6000, renewDeadlineMs: 4000, retryMs: 300 }
const kubectls = builtPrograms('kubectl')
const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases'
const roles = '/apis/rbac.authorization.k8s.io/v1/namespaces/default'

/** A candidate whose work lasts until its signal is aborted. */
interface Candidate {
  elector: Elector
  /** By the monotonic clock. */
  leadsSince: number | undefined
  abortedAt: number | undefined
  outcome: string | undefined
  stop(): void
  /** From now on it reaches nobody, or again. */
  cutOff(isCut: boolean): void
}

unlessMissing([...missingApiServer(), ...notBuilt(kubectls)])('leader election', () => {
  let server: ApiServer
  let transport: Transport

  beforeAll(async () => {
    server = await startApiServer()
    const create = async (path: string, body: object): Promise<void> => {
      const answer = await server.request('POST', path, { body })
      expect(answer.status, JSON.stringify(answer.body)).toBe(201)
    }
    const metadata = { name: 'candidate' }
    await create('/api/v1/namespaces/default/serviceaccounts', { metadata })
    const rules = [
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
    ]
    await create(`${roles}/roles`, { metadata, rules })
    await create(`${roles}/rolebindings`, {
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'candidate' },
      subjects: [{ kind: 'ServiceAccount', name: 'candidate', namespace: 'default' }],
    })
    transport = await openTransport(server, await server.serviceAccountToken('default', 'candidate'))
    const allowed = async () =>
      (await transport.request({ method: 'GET', path: `${leases}/x` })).status === 404
    await until('the role is in force', allowed)
  }, startLimitMs)
  afterAll(async () => {
    await transport?.close()
    await server?.stop()
  })

  const stand = (name: string, identity: string): Candidate => {
    let isCut = false
    const elector = createLeaseElector({
      transport: {
        request: async (request) => {
          if (isCut) throw new ReflashError('ServerUnavailable', 'cut off')
          return transport.request(request)
        },
      },
      clock: systemClock,
      random: systemRandom,
      namespace: 'default',
      name,
      identity,
      times,
    })
    const stopped = new AbortController()
    const candidate: Candidate = {
      elector,
      leadsSince: undefined,
      abortedAt: undefined,
      outcome: undefined,
      stop: () => stopped.abort(),
      cutOff: (cut) => (isCut = cut),
    }
    const work = (signal: AbortSignal): Promise<void> => {
      candidate.leadsSince = systemClock.monotonic()
      return new Promise((resolve) =>
        signal.addEventListener('abort', () => {
          candidate.abortedAt = systemClock.monotonic()
          resolve()
        }),
      )
    }
    elector.lead(work, stopped.signal).then(
      (outcome) => (candidate.outcome = outcome),
      (error: unknown) => (candidate.outcome = String(error)),
    )
    return candidate
  }
  const specOf = async (name: string): Promise<NonNullable<Lease['spec']>> => {
    const { status, body } = await server.request('GET', `${leases}/${name}`)
    expect(status).toBe(200)
    return (body as Lease).spec!
  }
  const leadsAs = (candidate: Candidate): Promise<number> =>
    until('a candidate leads', () => candidate.leadsSince, 30_000)
  const endOf = (candidate: Candidate): Promise<string> =>
    until('a candidate has ended', () => candidate.outcome, 30_000)
  const remove = async (name: string): Promise<void> => {
    await server.request('DELETE', `${leases}/${name}`)
  }

  leaseContract('over a real API server', () => ({ transport, remove }))

  let opened = 0
  electorContract('over a lease of a real API server', () =>
    createLeaseElector({
      transport,
      clock: systemClock,
      random: systemRandom,
      namespace: 'default',
      name: `only-${(opened += 1)}`,
      identity: 'only',
      times,
    }),
  )

  test('goes on with another as soon as the leader is stopped, and kubectl shows who leads', async () => {
    const first = stand('clean', 'first')
    await leadsAs(first)
    const second = stand('clean', 'second')
    const { renewTime, acquireTime } = await specOf('clean')
    expect(renewTime).toMatch(/\.\d{6}Z$/)
    await until('a renewal', async () => (await specOf('clean')).renewTime! > renewTime!)
    expect(await specOf('clean')).toMatchObject({
      holderIdentity: 'first',
      leaseDurationSeconds: 6,
      leaseTransitions: 0,
      acquireTime,
    })
    const kubectl = makeKubectl(kubectls.at(-1)!, server.url, server.folder, [
      '--token',
      server.adminToken,
      '--insecure-skip-tls-verify',
    ])
    expect(await kubectl.read('get', 'lease', 'clean')).toMatch(/^NAME +HOLDER +AGE\nclean +first +\d+s\n$/)

    first.stop()
    expect(await endOf(first)).toBe('Stopped')
    const releasedAt = systemClock.monotonic()
    // A retry, and what two requests take.
    expect((await leadsAs(second)) - releasedAt).toBeLessThan(2000)
    expect(await specOf('clean')).toMatchObject({ holderIdentity: 'second', leaseTransitions: 1 })
    second.stop()
    expect(await endOf(second)).toBe('Stopped')
    expect(await specOf('clean')).toMatchObject({ holderIdentity: '', leaseTransitions: 1 })
  })

  test('goes on with another when the leader has been silent for the duration, and long stopped its work', async () => {
    const first = stand('silent', 'first')
    await leadsAs(first)
    const second = stand('silent', 'second')
    await until('it is seen', () => second.elector.standing().holder === 'first')
    first.cutOff(true)
    const cutAt = systemClock.monotonic()
    const since = await leadsAs(second)
    expect(since - cutAt).toBeGreaterThan(times.durationMs - 2 * times.retryMs)
    expect(first.outcome).toBe('Lost')
    expect(first.abortedAt).toBeLessThan(since)
    expect(first.elector.standing()).toMatchObject({
      isLeader: false,
      failure: { code: 'ServerUnavailable' },
    })
    // The one that lost leaves alone what is another's now.
    first.cutOff(false)
    expect(await specOf('silent')).toMatchObject({ holderIdentity: 'second', leaseTransitions: 1 })
    second.stop()
    await endOf(second)
  })

  test('makes the lease anew when it was deleted under the leader', async () => {
    const first = stand('deleted', 'first')
    await leadsAs(first)
    const second = stand('deleted', 'second')
    await until('it is seen', () => second.elector.standing().holder === 'first')
    const { acquireTime } = await specOf('deleted')
    await remove('deleted')
    const isBack = async () => (await server.request('GET', `${leases}/deleted`)).status === 200
    await until('it is there again', isBack)
    expect(await specOf('deleted')).toMatchObject({
      holderIdentity: 'first',
      leaseTransitions: 0,
      acquireTime,
    })
    expect([first.abortedAt, second.leadsSince]).toEqual([undefined, undefined])
    for (const candidate of [first, second]) {
      candidate.stop()
      await endOf(candidate)
    }
  })

  test('ends the work of a leader when the server is gone for longer than its deadline', async () => {
    const first = stand('outage', 'first')
    await leadsAs(first)
    const second = stand('outage', 'second')
    await until('it is seen', () => second.elector.standing().holder === 'first')
    await server.restart(async () => {
      const { renewedAt } = first.elector.standing()
      expect(await endOf(first)).toBe('Lost')
      const lastedMs = first.abortedAt! - renewedAt!
      expect(lastedMs).toBeGreaterThanOrEqual(times.renewDeadlineMs)
      expect(lastedMs).toBeLessThan(times.durationMs)
      expect(second.leadsSince).toBeUndefined()
    })
    await leadsAs(second)
    expect(await specOf('outage')).toMatchObject({ holderIdentity: 'second', leaseTransitions: 1 })
    second.stop()
    expect(await endOf(second)).toBe('Stopped')
  })
})
