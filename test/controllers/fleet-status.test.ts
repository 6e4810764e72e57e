import { describe, expect, test } from 'vitest'
import { createStatusReader, type StatusReader } from '../../src/controllers/fleet-status.ts'
import { planFleet } from '../../src/controllers/plan.ts'
import { blockedReasons } from '../../src/core/reasons.ts'
import { expectToFit } from '../support/api-answers.ts'
import { createToyFleet, manifest } from '../support/toy-fleet.ts'

type World = Awaited<ReturnType<typeof createToyFleet>>
type App = Awaited<ReturnType<World['start']>>
const minutes = (count: number): number => count * 60_000
const all = { namespaces: 'All', limit: 500 } as const

const readerOf = (world: World, app: App): StatusReader =>
  createStatusReader({ fleet: app.fleet, governor: app.ports.governor, clock: world.clock, version: '0.1.0' })
const deviceSpec = (index: number, spec: object) =>
  manifest('Device', `ap-${index}`, {
    categoryRef: { name: 'ap' },
    addresses: [`192.0.2.${index}`],
    credentialsRef: { name: 'routers' },
    ...spec,
  })
const tally = (reasons: readonly (string | undefined)[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const reason of reasons) if (reason !== undefined) counts[reason] = (counts[reason] ?? 0) + 1
  return counts
}

/** Twelve routers in every kind of trouble, two at a time. */
async function createTroubledFleet() {
  const world = await createToyFleet({
    routers: 12,
    policy: { limits: { maxConcurrent: 2, startsPerMinute: 60 } },
  })
  await world.declare()
  world.router(1).up = false
  world.router(2).refuseLogin = true
  world.router(3).flash = 'rolls back'
  world.router(4).release = 'new'
  await world.store.apply(deviceSpec(5, { hold: { reason: 'concert' } }))
  await world.store.apply(deviceSpec(6, { pinnedBuildRef: { name: 'old' } }))
  world.router(7).failUploads = 100
  const app = await world.start()
  return { world, app, reader: readerOf(world, app) }
}

describe('the reasons', () => {
  test('are those of the devices and of the plan, number by number, at every step', async () => {
    const { world, app, reader } = await createTroubledFleet()
    const seen = new Set<string>()
    for (let step = 0; step < 120; step += 1) {
      await world.clock.advance(2000)
      const { devices } = await reader.fleet('All')
      const counted = devices.blocked
      for (const reason of Object.keys(counted)) seen.add(reason)
      const plan = await planFleet(app.fleet, app.ports.governor)
      // A candidate is ready in a plan, and waits for its slot in a run.
      const planned = plan.devices
        .filter(({ action }) => action !== 'None')
        .map(({ reason }) => (reason === 'Ready' ? 'WaitingForSlot' : reason))
      expect(counted).toEqual(tally(planned))
      const written = (await world.store.list('Device')).items.map(({ status }) => status.blocked?.reason)
      expect(counted).toEqual(tally(written))
      const { items } = await reader.blocked(all)
      expect(tally(items.map(({ reason }) => reason))).toEqual(counted)
    }
    expect([...seen].toSorted()).toEqual([
      'AuthFailed',
      'Held',
      'NeverProbed',
      'Pinned',
      'Retrying',
      'RolledBack',
      'Upgrading',
      'WaitingForSlot',
    ])
    for (const reason of seen) expect(blockedReasons).toHaveProperty(reason)
    await app.stop()
  })

  test('are the stop of all starts for whoever waits for nothing else, as in the plan', async () => {
    const world = await createToyFleet({ routers: 3 })
    await world.declare()
    world.halt('HALT exists')
    const app = await world.start()
    await world.clock.advance(minutes(1))
    const { devices, governor } = await readerOf(world, app).fleet('All')
    expect(devices.blocked).toEqual({ Halted: 3 })
    expect(governor.stop).toEqual({ reason: 'Halted', message: 'HALT exists' })
    const plan = await planFleet(app.fleet, app.ports.governor)
    expect(plan.devices.map(({ reason }) => reason)).toEqual(['Halted', 'Halted', 'Halted'])
    // What `kubectl get upol -o wide` shows.
    const readyOf = (): string | undefined =>
      app.fleet
        .get('UpgradePolicy', { namespace: 'default', name: 'all' })!
        .status.conditions?.find(({ type }) => type === 'Ready')?.message
    expect(readyOf()).toBe('0 of 3 devices on target; Halted: HALT exists')
    world.halt(undefined)
    await world.clock.advance(minutes(30))
    expect(readyOf()).toBe('3 of 3 devices on target')
    await app.stop()
  })
})

describe('the fleet', () => {
  test('is counted, and described as it is', async () => {
    const { world, app, reader } = await createTroubledFleet()
    await world.clock.advance(minutes(30))
    const status = await reader.fleet('All')
    expectToFit('FleetStatus', status)
    expect(status.devices).toMatchObject({ total: 12, reachable: { True: 10, Unknown: 2 } })
    expect(status.models).toEqual([
      { category: 'ap', model: 'toy', total: 10, upToDate: 6, running: { new: 6, old: 4 } },
      { category: 'ap', model: 'unknown', total: 2, upToDate: 0, running: { unknown: 2 } },
    ])
    expect(status.policies).toMatchObject([
      {
        namespace: 'default',
        name: 'all',
        target: 'new',
        converged: 'False',
        counts: { matched: 12, onTarget: 6 },
      },
    ])
    expect(status.operations.byPhase).toMatchObject({ Succeeded: 5, Failed: 2 })
    expect(await reader.fleet(new Set(['elsewhere']))).toMatchObject({
      devices: { total: 0, blocked: {} },
      policies: [],
      models: [],
    })
    await app.stop()
  })

  test('is counted once a second at most, and not without a change', async () => {
    const world = await createToyFleet({ routers: 1 })
    await world.declare()
    const app = await world.start()
    await world.clock.advance(minutes(5))
    const reader = readerOf(world, app)
    const total = async (): Promise<number> => (await reader.fleet('All')).devices.total
    expect(await total()).toBe(1)
    await world.store.apply(deviceSpec(2, {}))
    await world.clock.advance(999)
    expect(await total()).toBe(1)
    await world.clock.advance(1)
    expect(await total()).toBe(2)
    await app.stop()
  })

  test('has room for a bounded number of models, whatever devices invent', async () => {
    const world = await createToyFleet({ routers: 1 })
    await world.declare()
    const app = await world.start()
    await world.clock.advance(minutes(1))
    const [device] = (await world.store.list('Device')).items
    for (let index = 0; index < 600; index += 1) {
      const name = `invented-${index}`
      app.fleet.apply('Added', {
        ...device!,
        metadata: { ...device!.metadata, name, uid: name },
        status: { ...device!.status, model: `Model ${index}` },
      })
    }
    const { models, devices } = await readerOf(world, app).fleet('All')
    expect(devices.total).toBe(601)
    expect(models).toHaveLength(501)
    expect(models.find(({ model }) => model === 'other')).toMatchObject({ total: 101 })
    await app.stop()
  })
})

describe('one policy', () => {
  test('tells the devices of each model that are in trouble, those that need a person first', async () => {
    const { world, app, reader } = await createTroubledFleet()
    await world.clock.advance(minutes(30))
    const status = reader.policy({ namespace: 'default', name: 'all' })!
    expectToFit('PolicyStatus', status)
    const toy = status.models.find(({ model }) => model === 'toy')!
    expect(toy).toMatchObject({ matched: 10, onTarget: 6, inFlight: 0, failed: 2, more: 0 })
    expect(toy.failing.map(({ device, reason }) => [device, reason])).toEqual([
      ['ap-3', 'RolledBack'],
      ['ap-7', 'Quarantined'],
    ])
    const unknown = status.models.find(({ model }) => model === 'unknown')!
    expect(unknown.failing.map(({ device, reason }) => [device, reason])).toEqual([
      ['ap-2', 'AuthFailed'],
      ['ap-1', 'NeverProbed'],
    ])
    expect(reader.policy({ namespace: 'default', name: 'none' })).toBeUndefined()
    await app.stop()
  })

  test('names twenty of them, and counts the rest', async () => {
    const world = await createToyFleet({ routers: 30 })
    await world.declare()
    for (const router of world.routers.values()) router.refuseLogin = true
    const app = await world.start()
    await world.clock.advance(minutes(1))
    const [model] = readerOf(world, app).policy({ namespace: 'default', name: 'all' })!.models
    const names = Array.from({ length: 30 }, (_, index) => `ap-${index + 1}`).toSorted()
    expect(model!.failing.map(({ device }) => device)).toEqual(names.slice(0, 20))
    expect(model!.more).toBe(10)
    await app.stop()
  })
})

describe('one device', () => {
  test('is told each check in order, up to the first that fails', async () => {
    const { world, app, reader } = await createTroubledFleet()
    await world.clock.advance(minutes(30))
    const status = (await reader.device({ namespace: 'default', name: 'ap-7' }))!
    expectToFit('DeviceStatus', status)
    expect(status).toMatchObject({
      onTarget: false,
      admitted: false,
      running: 'old',
      target: 'new',
      policy: 'all',
    })
    expect(status.checks.map(({ id, outcome }) => [id, outcome])).toEqual([
      ['policy', 'Passed'],
      ['build', 'Passed'],
      ['device', 'Passed'],
      ['access', 'Passed'],
      ['probe', 'Passed'],
      ['version', 'Passed'],
      ['owner', 'Passed'],
      ['attempts', 'Failed'],
      ['busy', 'NotReached'],
      ['marker', 'NotReached'],
      ['reachable', 'NotReached'],
      ['slots', 'NotReached'],
    ])
    expect(status.checks[7]).toMatchObject({
      reason: 'Quarantined',
      message: expect.stringContaining('used up its attempts'),
      until: expect.stringMatching(/^2026-01-02T/),
    })
    expect(await reader.device({ namespace: 'default', name: 'none' })).toBeUndefined()
    await app.stop()
  })

  test('on its target is asked nothing', async () => {
    const { world, app, reader } = await createTroubledFleet()
    await world.clock.advance(minutes(30))
    expect(await reader.device({ namespace: 'default', name: 'ap-4' })).toMatchObject({
      onTarget: true,
      admitted: false,
      running: 'new',
      checks: [],
    })
    await app.stop()
  })

  test('whose slot is taken waits for that, and passes everything else', async () => {
    const world = await createToyFleet({
      routers: 2,
      policy: { limits: { maxConcurrent: 1, startsPerMinute: 60 } },
    })
    await world.declare()
    const app = await world.start()
    await world.clock.runUntil(() => app.fleet.allSlotsUsed() === 1, minutes(5))
    const reader = readerOf(world, app)
    const { items } = await reader.blocked({ ...all, reason: 'WaitingForSlot' })
    expect(items).toHaveLength(1)
    const { checks } = (await reader.device(items[0]!))!
    expect(checks.at(-1)).toMatchObject({ id: 'slots', outcome: 'Failed', reason: 'WaitingForSlot' })
    expect(checks.slice(0, -1).every(({ outcome }) => outcome === 'Passed')).toBe(true)
    await app.stop()
  })

  test('with an operation by hand is asked what that operation is asked', async () => {
    const world = await createToyFleet({ routers: 1, policy: { state: 'Pause' } })
    await world.declare()
    const item = manifest('UpgradeOperation', 'by-hand', {
      deviceRef: { name: 'ap-1' },
      buildRef: { name: 'new' },
    })
    world.halt('HALT exists')
    await world.store.apply(item)
    const app = await world.start()
    await world.clock.advance(minutes(1))
    const status = (await readerOf(world, app).device({ namespace: 'default', name: 'ap-1' }))!
    expect(status).toMatchObject({ operation: 'by-hand', target: 'new', admitted: false })
    expect(status.checks.at(-1)).toMatchObject({ id: 'slots', reason: 'Halted' })
    await app.stop()
  })
})

describe('devices off their target', () => {
  test('come page by page, each once, in order', async () => {
    const { world, app, reader } = await createTroubledFleet()
    await world.clock.advance(minutes(30))
    const names: string[] = []
    let after: { namespace: string; name: string } | undefined
    do {
      const page = await reader.blocked({ namespaces: 'All', limit: 2, ...(after ? { after } : {}) })
      names.push(...page.items.map(({ name }) => name))
      after = page.last
    } while (after)
    expect(names).toEqual(['ap-1', 'ap-2', 'ap-3', 'ap-5', 'ap-6', 'ap-7'])
    const held = await reader.blocked({ ...all, reason: 'Held' })
    expect(held.items).toEqual([
      {
        namespace: 'default',
        name: 'ap-5',
        target: 'new',
        reason: 'Held',
        message: 'held by the operator: concert',
      },
    ])
    expect((await reader.blocked({ ...all, policy: 'none' })).items).toEqual([])
    expect((await reader.blocked({ namespaces: new Set(['elsewhere']), limit: 9 })).items).toEqual([])
    await app.stop()
  })
})
