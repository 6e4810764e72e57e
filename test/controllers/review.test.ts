import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryRecords } from '../../src/adapters/memory/record-store.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import type { Device, UpgradeOperation } from '../../src/api/resources.ts'
import { openGovernor } from '../../src/controllers/governor.ts'
import { standing } from '../../src/controllers/settled.ts'
import { targetOf } from '../../src/controllers/device-session.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import type { Probe, Upgrader } from '../../src/ports/upgrader.ts'
import { createToyFleet, manifest } from '../support/toy-fleet.ts'

type World = Awaited<ReturnType<typeof createToyFleet>>
const minutes = (count: number): number => count * 60_000
const key = (name: string) => ({ namespace: 'default', name })

const deviceOf = async (world: World, index: number): Promise<Device> =>
  (await world.store.get('Device', key(`ap-${index}`)))!
const operationsOf = async (world: World): Promise<UpgradeOperation[]> =>
  (await world.store.list('UpgradeOperation')).items
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
  const store: DeclaredStore = {
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

/** Changes what the toy upgrader of a process does. */
const withUpgrader = (
  app: Awaited<ReturnType<World['start']>>,
  change: (toy: Upgrader) => Partial<Upgrader>,
): void => {
  const upgraders = app.ports.upgraders as Map<string, Upgrader>
  const toy = upgraders.get('toy')!
  upgraders.set('toy', { ...toy, ...change(toy) })
}

test.each([
  ['hangs in its old boot', (probe: Probe): Probe => ({ ...probe, upgrading: true }), 'old boot'],
  ['is another one', (probe: Probe): Probe => ({ ...probe, identity: 'stranger' }), 'another device'],
])('a device that %s after the start does not hold its slot for ever', async (_what, change, words) => {
  const world = await createToyFleet({
    routers: 2,
    policy: { limits: { maxConcurrent: 1, startsPerMinute: 10 } },
  })
  world.router(1).flash = 'says started and is not'
  world.router(2).flash = 'says started and is not'
  await world.declare()
  const app = await world.start()
  await untilPhase(world, 'Rebooting')
  withUpgrader(app, (toy) => ({ probe: async (...args) => change(await toy.probe(...args)) }))
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
  const store: DeclaredStore = {
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

test('a device that answers again is not left waiting for the time of its next attempt', async () => {
  const offline = { action: 'Wait', recheck: '10h', maxRecheck: '12h', expireAfter: '0s' }
  const world = await createToyFleet({ routers: 1, policy: { offline } })
  await world.declare()
  const app = await world.start()
  let broken = true
  withUpgrader(app, (toy) => ({
    upload: async (...args) => {
      if (broken) throw new ReflashError('ConnectionLost', 'the link broke')
      await toy.upload(...args)
    },
  }))
  await world.clock.runUntil(
    () => world.events.some((event) => event.type === 'Phase' && event.message.includes('the link broke')),
    minutes(10),
  )
  broken = false
  await world.clock.advance(minutes(1))
  const device = await deviceOf(world, 1)
  expect(device.status.blocked?.reason).toBe('Retrying')
  // A changed device is asked at once.
  await world.store.apply({ ...device, spec: { ...device.spec, legacyAlgorithms: true } })
  await world.clock.advance(minutes(5))
  expect(flashes(world)).toEqual([1])
  await app.stop()
})

test('a time that has passed is not waited for: what is paused meanwhile is stuck and not moving', async () => {
  const world = await createToyFleet({ routers: 1, uploadMs: 1000 })
  world.router(1).failUploads = 1
  await world.declare()
  const app = await world.start()
  await world.clock.runUntil(
    () => world.events.some((event) => event.type === 'Phase' && event.message.includes('cut off')),
    minutes(10),
  )
  const policy = (await world.store.get('UpgradePolicy', key('all')))!
  await world.store.apply({ ...policy, spec: { ...policy.spec, state: 'Pause' } })
  await world.clock.advance(minutes(10))
  expect((await operationsOf(world))[0]!.status).toMatchObject({ phase: 'Queued', reason: 'PolicyPaused' })
  expect((await standing(app.ports)).kind).toBe('Stuck')
  await app.stop()
})

test('a file that is missing here is not held against the device for ever', async () => {
  const world = await createToyFleet({
    routers: 1,
    policy: { retry: { preFlash: 1, backoff: '1m', maxBackoff: '10m', quarantine: '1h' } },
  })
  await world.declare()
  const app = await world.start()
  let missing = true
  withUpgrader(app, (toy) => ({
    upload: async (...args) => {
      if (missing) throw new ReflashError('NotFound', 'the cache no longer has the file')
      await toy.upload(...args)
    },
  }))
  await world.clock.runUntil(
    () => world.events.some((event) => event.type === 'Phase' && event.phase === 'Failed'),
    minutes(10),
  )
  missing = false
  await world.clock.advance(minutes(1))
  expect((await deviceOf(world, 1)).status.blocked).toMatchObject({ reason: 'Quarantined' })
  expect((await operationsOf(world))[0]!.status.failureClass).toBe('UploadFailed')
  await world.clock.advance(minutes(70))
  expect(flashes(world)).toEqual([1])
  await app.stop()
})

test('an operation written by hand waits for a device that is declared later', async () => {
  const world = await createToyFleet({ routers: 1 })
  const byHand = manifest('UpgradeOperation', 'now', {
    deviceRef: { name: 'ap-1' },
    buildRef: { name: 'new' },
  })
  await world.store.create({
    ...byHand,
    metadata: { ...byHand.metadata, finalizers: ['reflash.dev/operation'] },
  })
  const app = await world.start()
  await world.clock.advance(minutes(1))
  expect((await operationsOf(world))[0]!.status).toMatchObject({
    phase: 'Queued',
    message: 'device ap-1 does not exist',
  })
  await world.declare()
  await world.clock.advance(minutes(5))
  expect((await operationsOf(world)).find(({ metadata }) => metadata.name === 'now')!.status.phase).toBe(
    'Succeeded',
  )
  expect(flashes(world)).toEqual([1])
  await app.stop()
})

test('the loss of a device that could not be recorded is recorded when the verdict is tried again', async () => {
  const records = createMemoryRecords()
  let full = true
  const governor = await openGovernor({
    settings: { maxInFlight: 50, maxStartsPerMinute: 30, maxLostPerDay: 1 },
    records: {
      ...records,
      put: async (name, value) => {
        if (full) throw new Error('no space left on device')
        await records.put(name, value)
      },
    },
    brake: { halted: async () => undefined },
    clock: createManualClock(Date.parse('2026-01-01T00:00:00Z')),
  })
  await expect(governor.noteLost('default/ap-1-1')).rejects.toThrow('no space left on device')
  full = false
  await governor.noteLost('default/ap-1-1')
  expect(await records.list('lost/')).toMatchObject([{ name: 'lost/default/ap-1-1' }])
})

test('Strict does not trust a host key that was only seen', async () => {
  const world = await createToyFleet({ routers: 1, policy: { state: 'Pause' } })
  await world.declare()
  const app = await world.start()
  await world.clock.advance(minutes(1))
  const device = await deviceOf(world, 1)
  expect(device.status.hostKeys).toEqual(['ssh-ed25519 AAAA'])
  const category = (await world.store.get('Category', key('ap')))!
  const strict = { ...category, spec: { ...category.spec, hostKeyPolicy: 'Strict' as const } }
  expect(await targetOf(device, strict, app.ports)).toMatchObject({ hostKeys: [], acceptNewHostKeys: false })
  expect(await targetOf(device, category, app.ports)).toMatchObject({
    hostKeys: ['ssh-ed25519 AAAA'],
    acceptNewHostKeys: true,
  })
  await app.stop()
})

test('an image that says no release is not flashed for a build that says none either', async () => {
  const world = await createToyFleet({ routers: 1 })
  await world.declare()
  const { osIdentifier: _, ...spec } = (await world.store.get('Build', key('new')))!.spec
  await world.store.apply({ ...manifest('Build', 'new', {}), spec })
  const app = await world.start()
  await world.clock.advance(minutes(10))
  expect(flashes(world)).toEqual([0])
  expect((await deviceOf(world, 1)).status.blocked).toMatchObject({ reason: 'BuildNotReady' })
  const image = (await world.store.get('FirmwareImage', key('image')))!
  expect(image.status.conditions?.find(({ type }) => type === 'Ready')?.message).toContain(
    'set osIdentifier on its build',
  )
  await app.stop()
})

test('a Secret that changes lets the devices that it failed be asked at once', async () => {
  const world = await createToyFleet({ routers: 2 })
  world.router(1).refuseLogin = true
  await world.declare()
  const app = await world.start()
  await world.clock.advance(minutes(2))
  expect((await deviceOf(world, 1)).status.blocked?.reason).toBe('AuthFailed')
  world.router(1).refuseLogin = false
  const connects = world.connects()
  app.controllers.onSecrets(new Set(['default/others']))
  await world.clock.advance(1000)
  expect(world.connects()).toBe(connects)
  app.controllers.onSecrets(new Set(['default/routers']))
  await world.clock.advance(minutes(2))
  expect(flashes(world)).toEqual([1, 1])
  await app.stop()
})

test('a Secret that changes while a device is being asked lets it be asked once more', async () => {
  const world = await createToyFleet({ routers: 1, policy: { state: 'Plan' } })
  await world.declare()
  const app = await world.start()
  await world.clock.advance(minutes(2))
  const { connector } = app.ports
  const answer = Promise.withResolvers<never>()
  let asked = 0
  app.ports.connector = {
    ...connector,
    connect: (...args) => ((asked += 1) === 1 ? answer.promise : connector.connect(...args)),
  }
  await world.clock.advance(minutes(17))
  expect(asked).toBe(1)
  app.controllers.onSecrets(new Set(['default/routers']))
  answer.reject(new ReflashError('AuthFailed', 'refuses the password'))
  await world.clock.advance(1000)
  expect(asked).toBe(2)
  expect((await deviceOf(world, 1)).status.blocked?.reason).not.toBe('AuthFailed')
  await app.stop()
})

test('a wall clock that ran ahead for a while leaves nobody waiting for its time', async () => {
  const world = await createToyFleet({ routers: 2 })
  world.router(1).up = false
  world.router(2).failUploads = 1
  world.clock.jump(minutes(60 * 24 * 3650))
  await world.declare()
  const ahead = await world.start()
  await world.clock.runUntil(
    () => world.events.some((event) => event.type === 'Phase' && event.message.includes('cut off')),
    minutes(10),
  )
  await ahead.stop()
  world.clock.jump(-minutes(60 * 24 * 3650))
  world.router(1).up = true
  const app = await world.start()
  await world.clock.advance(minutes(30))
  expect(flashes(world)).toEqual([1, 1])
  await app.stop()
})

test('a run that is to end does not wait for routine probes', async () => {
  const world = await createToyFleet({ routers: 1 })
  await world.declare()
  const app = await world.start()
  await world.clock.advance(minutes(5))
  withUpgrader(app, (toy) => ({
    probe: async (session, limits, signal) => {
      await world.clock.sleep(minutes(5), signal)
      return toy.probe(session, limits, signal)
    },
  }))
  const before = world.connects()
  await world.clock.runUntil(() => world.connects() > before, minutes(30))
  expect(app.controllers.busy()).toBe(0)
  expect(await standing(app.ports)).toEqual({ kind: 'Converged' })
  await app.stop()
})

test('operations are kept no longer than asked, and those of a removed device not at all after that', async () => {
  const world = await createToyFleet({
    routers: 2,
    policy: { history: { operationsPerDevice: 10, keepFor: '2d' }, retryToken: 'first' },
  })
  world.router(1).flash = 'rolls back'
  await world.declare()
  const app = await world.start()
  await world.clock.advance(minutes(10))
  const policy = (await world.store.get('UpgradePolicy', key('all')))!
  await world.store.apply({ ...policy, spec: { ...policy.spec, retryToken: 'second' } })
  await world.clock.advance(minutes(10))
  const count = async (index: number): Promise<number> =>
    (await operationsOf(world)).filter(({ spec }) => spec.deviceRef.name === `ap-${index}`).length
  expect([await count(1), await count(2)]).toEqual([2, 1])
  await world.store.delete('Device', key('ap-2'))
  await world.clock.advance(minutes(60 * 24))
  expect([await count(1), await count(2)]).toEqual([2, 1])
  await world.clock.advance(minutes(60 * 26))
  expect([await count(1), await count(2)]).toEqual([1, 0])
  await app.stop()
})
