/** A lease that runs out around the moment of a start: nothing is begun that the next leader would not know of. */
import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import type { AnyResource } from '../../src/api/resources.ts'
import { writesOfLeader } from '../../src/controllers/lead.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { createToyFleet } from '../support/toy-fleet.ts'

const minutes = (count: number): number => count * 60_000
const isIntent = ({ kind, status }: AnyResource): boolean =>
  kind === 'UpgradeOperation' && status.phase === 'Flashing'

/** A fleet of one router, whose controller loses its lease around the first write of an intent. */
async function startLosing(when: 'before the intent' | 'before its answer') {
  const lease = { isHeld: true, intents: 0 }
  const memory = createMemoryStore({ clock: createManualClock(Date.parse('2026-01-01T00:00:00Z')) })
  const losing = {
    ...memory,
    async saveStatus<R extends AnyResource>(object: R): Promise<R> {
      const written = await memory.saveStatus(object)
      if (!isIntent(object)) return written
      lease.intents += 1
      if (when === 'before its answer' && lease.intents === 1) lease.isHeld = false
      return written
    },
  }
  const standing = () => ({ isLeader: lease.isHeld, holder: undefined, transitions: 0 })
  const led = writesOfLeader(losing, { standing })
  const store: DeclaredStore = {
    ...led,
    apply: (manifest) => memory.apply(manifest),
    saveStatus(object) {
      if (when === 'before the intent' && isIntent(object) && lease.intents === 0) lease.isHeld = false
      return led.saveStatus(object)
    },
  }
  const world = await createToyFleet({ routers: 1, store })
  await world.declare()
  const app = await world.start()
  await world.clock.runUntil(() => !lease.isHeld, minutes(10))
  await world.clock.advance(minutes(10))
  const phase = async () => (await world.store.list('UpgradeOperation')).items[0]?.status.phase
  return { world, app, lease, phase, flashes: () => world.router(1).flashes.length }
}

test('no intent is written and nothing started once the lease may have run out', async () => {
  const { world, app, lease, phase, flashes } = await startLosing('before the intent')
  expect([lease.intents, flashes()]).toEqual([0, 0])
  expect(await phase()).not.toBe('Flashing')
  await app.stop()
  lease.isHeld = true
  lease.intents = 1
  const next = await world.start()
  await world.clock.runUntil(() => flashes() === 1, minutes(10))
  await world.clock.advance(minutes(60))
  expect([flashes(), await phase()]).toEqual([1, 'Succeeded'])
  expect(world.events.filter(({ type }) => type === 'Bug')).toEqual([])
  await next.stop()
})

test('an intent that was accepted when the lease had run out is started by nobody, and looked at by the next leader', async () => {
  const { world, app, lease, phase, flashes } = await startLosing('before its answer')
  expect([lease.intents, flashes(), await phase()]).toEqual([1, 0, 'Flashing'])
  await app.stop()
  lease.isHeld = true
  const next = await world.start()
  await world.clock.runUntil(() => flashes() === 1, minutes(60))
  await world.clock.advance(minutes(60))
  expect([flashes(), await phase()]).toEqual([1, 'Succeeded'])
  expect(lease.intents).toBeGreaterThan(1)
  expect(world.events.filter(({ type }) => type === 'Bug')).toEqual([])
  await next.stop()
})
