import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import type { Device, UpgradeOperation } from '../../src/api/resources.ts'
import type { ResourceStore } from '../../src/ports/resource-store.ts'
import type { Probe, Upgrader } from '../../src/ports/upgrader.ts'
import { createToyFleet } from '../support/toy-fleet.ts'

type World = Awaited<ReturnType<typeof createToyFleet>>
const minutes = (count: number): number => count * 60_000
const key = (name: string) => ({ namespace: 'default', name })

const deviceOf = async (world: World, index: number): Promise<Device> =>
  (await world.store.get('Device', key(`ap-${index}`)))!
const operationsOf = async (world: World): Promise<UpgradeOperation[]> => (await world.store.list('UpgradeOperation')).items
const flashes = (world: World): number[] => [...world.routers.values()].map((router) => router.flashes.length)

/** Lets the fleet come to the point at which an operation has come to a phase. */
const untilPhase = (world: World, phase: string): Promise<void> =>
  world.clock.runUntil(
    () => world.events.some((event) => event.type === 'Phase' && event.phase === phase),
    minutes(10),
  )

test('a claim survives a restart whose store is slow to list operations', async () => {
  // Its clock only stamps creations.
  const memory = createMemoryStore({ clock: createManualClock(Date.parse('2026-01-01T00:00:00Z')) })
  let slow = false
  const store: ResourceStore = {
    ...memory,
    list: async (kind, options) => {
      const listed = await memory.list(kind, options)
      if (slow && kind === 'UpgradeOperation') await world.clock.sleep(5000)
      return listed
    },
  }
  const world: World = await createToyFleet({ routers: 1, store })
  await world.declare()
  const first = await world.start()
  await untilPhase(world, 'Rebooting')
  await first.stop()
  const [operation] = await operationsOf(world)
  slow = true
  const starting = world.start()
  await world.clock.advance(4000)
  expect((await deviceOf(world, 1)).status.operationRef?.name).toBe(operation!.metadata.name)
  await world.clock.advance(2000)
  const second = await starting
  await world.clock.advance(minutes(5))
  expect(flashes(world)).toEqual([1])
  await second.stop()
})

test('a device that came back while nobody ran is looked at before it is called Lost', async () => {
  const world = await createToyFleet({ routers: 3 })
  await world.declare()
  const first = await world.start()
  await untilPhase(world, 'Rebooting')
  await world.clock.advance(10_000)
  await first.stop()
  await world.clock.advance(minutes(60))
  const second = await world.start()
  await world.clock.advance(minutes(5))
  expect(flashes(world)).toEqual([1, 1, 1])
  expect(world.events.filter((event) => event.type === 'Phase' && event.phase === 'Failed')).toEqual([])
  expect((await operationsOf(world)).map(({ status }) => status.phase)).toEqual(Array(3).fill('Succeeded'))
  expect((await world.records.list('lost/')).length).toBe(0)
  await second.stop()
})

const withProbe = (app: Awaited<ReturnType<World['start']>>, change: (probe: Probe) => Probe): void => {
  const upgraders = app.ports.upgraders as Map<string, Upgrader>
  const toy = upgraders.get('toy')!
  upgraders.set('toy', { ...toy, probe: async (...args) => change(await toy.probe(...args)) })
}

test.each([
  ['hangs in its old boot', (probe: Probe): Probe => ({ ...probe, upgrading: true }), 'old boot'],
  ['is another one', (probe: Probe): Probe => ({ ...probe, identity: 'stranger' }), 'another device'],
])('a device that %s after the start does not hold its slot for ever', async (_what, change, words) => {
  const world = await createToyFleet({ routers: 2, policy: { limits: { maxConcurrent: 1, startsPerMinute: 10 } } })
  world.router(1).flash = 'says started and is not'
  world.router(2).flash = 'says started and is not'
  await world.declare()
  const app = await world.start()
  await untilPhase(world, 'Rebooting')
  withProbe(app, change)
  await world.clock.advance(minutes(20))
  const started = (await operationsOf(world)).filter(({ status }) => status.times?.Flashing !== undefined)
  const [lost] = started.toSorted((a, b) => (a.status.times!.Flashing! < b.status.times!.Flashing! ? -1 : 1))
  expect(lost?.status).toMatchObject({ failureClass: 'Lost' })
  expect(lost?.status.message).toContain(words)
  const device = await world.store.get('Device', key(lost!.spec.deviceRef.name))
  expect(device!.status.operationRef).toBeUndefined()
  await app.stop()
})

/** A store that counts what is written to the status of operations. */
function countingStore() {
  const memory = createMemoryStore({ clock: createManualClock(Date.parse('2026-01-01T00:00:00Z')) })
  let writes = 0
  const store: ResourceStore = {
    ...memory,
    saveStatus: async (object) => {
      if (object.kind === 'UpgradeOperation') writes += 1
      return memory.saveStatus(object)
    },
  }
  return { store, writes: () => writes }
}

test('an operation that waits is not written each time somebody looks', async () => {
  const counting = countingStore()
  const world = await createToyFleet({ routers: 3, store: counting.store, uploadMs: 20_000 })
  await world.declare()
  const app = await world.start()
  await untilPhase(world, 'Uploading')
  world.halt('HALT exists')
  await world.clock.advance(minutes(1))
  expect(flashes(world)).toEqual([0, 0, 0])
  const before = { writes: counting.writes(), connects: world.connects() }
  await world.clock.advance(minutes(10))
  expect({ writes: counting.writes(), connects: world.connects() }).toEqual(before)
  world.halt(undefined)
  await world.clock.advance(minutes(2))
  expect(flashes(world)).toEqual([1, 1, 1])
  await app.stop()
})

test('what is parked within a second of its last write is parked for good', async () => {
  const world = await createToyFleet({ routers: 1, uploadMs: 500 })
  await world.declare()
  const app = await world.start()
  await untilPhase(world, 'Uploading')
  world.halt('HALT exists')
  await world.clock.advance(minutes(5))
  expect(flashes(world)).toEqual([0])
  expect(world.router(1).uploads).toBe(1)
  expect((await operationsOf(world))[0]!.status).toMatchObject({ phase: 'Testing', reason: 'Halted' })
  await app.stop()
})
