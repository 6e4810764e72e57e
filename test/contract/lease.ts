import { describe, expect, test } from 'vitest'
import { microTime, openLease, recordOf, type LeaseAccess } from '../../src/adapters/kubernetes/leases.ts'
import type { Transport } from '../../src/adapters/kubernetes/transport.ts'
import type { LeaseRecord } from '../../src/core/election.ts'

/** A record as the server has to keep it: times to the microsecond, whatever the clock says. */
const record = (holder: string, transitions = 0): LeaseRecord => ({
  holder,
  durationMs: 15_000,
  acquireTime: microTime(Date.UTC(2026, 0, 1)),
  renewTime: microTime(Date.UTC(2026, 0, 1, 0, 0, transitions)),
  transitions,
})

/** What an election needs of an API server. Each test takes another name. */
export function leaseContract(
  name: string,
  open: () => { transport: Pick<Transport, 'request'>; remove: (name: string) => Promise<void> },
): void {
  describe(name, () => {
    let count = 0
    const fresh = (): { lease: LeaseAccess; remove: () => Promise<void> } => {
      const { transport, remove } = open()
      const own = `contract-${(count += 1)}`
      const lease = openLease({ transport, namespace: 'default', name: own, limitMs: 10_000 })
      return { lease, remove: () => remove(own) }
    }

    test('keeps a lease as it was written', async () => {
      const { lease } = fresh()
      expect(await lease.read()).toBeUndefined()
      const created = await lease.write(record('a'), undefined)
      expect(recordOf(created)).toEqual(record('a'))
      const renewed = await lease.write(record('a', 1), created)
      expect(await lease.read()).toEqual(renewed)
      expect(recordOf(renewed)).toEqual(record('a', 1))
      expect(renewed.metadata.resourceVersion).not.toBe(created.metadata.resourceVersion)
    })

    test('lets nobody hold it, which is how it is given back', async () => {
      const { lease } = fresh()
      const created = await lease.write(record('a'), undefined)
      expect(recordOf(await lease.write(record('', 1), created))).toEqual(record('', 1))
    })

    test('creates it once', async () => {
      const { lease } = fresh()
      await lease.write(record('a'), undefined)
      await expect(lease.write(record('b'), undefined)).rejects.toMatchObject({ code: 'AlreadyExists' })
      expect(recordOf((await lease.read())!)).toEqual(record('a'))
    })

    test('refuses what was made of an older one', async () => {
      const { lease } = fresh()
      const created = await lease.write(record('a'), undefined)
      const stored = await lease.write(record('b', 1), created)
      await expect(lease.write(record('a', 2), created)).rejects.toMatchObject({ code: 'Conflict' })
      expect(await lease.read()).toEqual(stored)
    })

    test('refuses what was made of one that was deleted, there again or not', async () => {
      const { lease, remove } = fresh()
      const created = await lease.write(record('a'), undefined)
      await remove()
      expect(await lease.read()).toBeUndefined()
      await expect(lease.write(record('a', 1), created)).rejects.toMatchObject({
        code: expect.stringMatching(/NotFound|Conflict/),
      })
      expect(await lease.read()).toBeUndefined()
      const other = await lease.write(record('b'), undefined)
      await expect(lease.write(record('a', 1), created)).rejects.toMatchObject({ code: 'Conflict' })
      expect(await lease.read()).toEqual(other)
    })

    test('keeps what others wrote on it', async () => {
      const { lease } = fresh()
      const { metadata, spec } = await lease.write(record('a'), undefined)
      const labelled = { spec: spec!, metadata: { ...metadata, labels: { team: 'network' } } }
      const stored = await lease.write(record('a', 1), labelled)
      expect(stored.metadata['labels']).toEqual({ team: 'network' })
      expect((await lease.write(record('b', 2), stored)).metadata['labels']).toEqual({ team: 'network' })
    })
  })
}
