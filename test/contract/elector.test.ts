import { createSoleElector } from '../../src/adapters/sole-elector.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createLeaseElector } from '../../src/adapters/kubernetes/lease-elector.ts'
import { createMemoryLeases } from '../support/memory-leases.ts'
import { electorContract } from './elector.ts'
import { leaseContract } from './lease.ts'

electorContract('without an election', () => createSoleElector({ identity: 'only' }))

electorContract('over a lease', () => {
  const leases = createMemoryLeases()
  return createLeaseElector({
    transport: { request: async (request) => leases.answer(request) },
    clock: systemClock,
    random: () => 0.5,
    namespace: 'default',
    name: 'reflash',
    identity: 'only',
  })
})

leaseContract('in memory', () => {
  const leases = createMemoryLeases()
  return {
    transport: { request: async (request) => leases.answer(request) },
    remove: async (name) => leases.remove(name),
  }
})
