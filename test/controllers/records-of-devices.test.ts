import { describe, expect, test } from 'vitest'
import type { UpgradeOperation } from '../../src/api/resources.ts'
import { cancelWish } from '../../src/controllers/cancel-wish.ts'
import { loadFleet } from '../../src/controllers/controllers.ts'
import { pruneHistory } from '../../src/controllers/history.ts'
import { planFleet } from '../../src/controllers/plan.ts'
import type { Ports } from '../../src/controllers/ports.ts'
import { standing } from '../../src/controllers/settled.ts'
import { keepTombstone, pruneTombstones, recallTombstone } from '../../src/controllers/tombstones.ts'
import { keyOf, keyString } from '../../src/core/keys.ts'
import { createToyFleet, manifest } from '../support/toy-fleet.ts'

type World = Awaited<ReturnType<typeof createToyFleet>>
const dayMs = 24 * 3600_000
const key = (name: string) => ({ namespace: 'default', name })
const target = { buildRef: { name: 'new' }, allowDowngrade: false, onUnknownVersion: 'Upgrade' }
const declareDevice = (world: World, index: number, spec: object = {}) =>
  world.store.apply(
    manifest('Device', `ap-${index}`, {
      categoryRef: { name: 'ap' },
      addresses: [`192.0.2.${index}`],
      credentialsRef: { name: 'routers' },
      ...spec,
    }),
  )
const declarePolicy = (world: World, spec: object = {}) =>
  world.store.apply(manifest('UpgradePolicy', 'all', { categoryRef: { name: 'ap' }, target, ...spec }))

/** A fleet that nobody works on: what a test writes stays as it is. */
async function atRest(
  options: Parameters<typeof createToyFleet>[0],
): Promise<{ world: World; ports: Ports; refresh: () => Promise<unknown> }> {
  const world = await createToyFleet(options)
  await world.declare()
  const { ports, stop } = await world.start()
  await world.clock.advance(60_000)
  await stop()
  const refresh = async (): Promise<void> => {
    await loadFleet(world.store, ports.fleet)
    for (const device of ports.fleet.list('Device')) ports.fleet.reassess(keyString(keyOf(device)))
  }
  return { world, ports, refresh }
}

async function addOperation(
  ports: Ports,
  name: string,
  status: UpgradeOperation['status'],
  spec: object = { policyRef: { name: 'all' } },
): Promise<UpgradeOperation> {
  const made = await ports.store.create(
    manifest('UpgradeOperation', name, { deviceRef: { name: 'ap-1' }, buildRef: { name: 'new' }, ...spec }),
  )
  return ports.store.saveStatus({ ...made, status })
}

describe('history', () => {
  const rest = async () => {
    const { world, ports } = await atRest({ routers: 1, policy: { state: 'Plan' } })
    const ended = (name: string, days: number, spec?: object) =>
      addOperation(
        ports,
        name,
        { phase: 'Failed', times: { Failed: new Date(world.clock.now() - days * dayMs).toISOString() } },
        spec,
      )
    const names = async () =>
      (await world.store.list('UpgradeOperation')).items.map(({ metadata }) => metadata.name)
    return { world, ports, ended, names }
  }

  test('keeps the newest, whatever their names', async () => {
    const { ports, ended, names } = await rest()
    for (const [name, days] of [
      ['a', 1],
      ['b', 4],
      ['c', 2],
      ['d', 3],
    ] as const)
      await ended(name, days)
    await pruneHistory('default/ap-1', ports, { operationsPerDevice: 2, keepFor: '90d' })
    expect(await names()).toEqual(['a', 'c'])
  })
  test('keeps the latest one however old it is: it says what was done', async () => {
    const { ports, ended, names } = await rest()
    await ended('old', 400)
    await ended('older', 500)
    await pruneHistory('default/ap-1', ports, { operationsPerDevice: 10, keepFor: '90d' })
    expect(await names()).toEqual(['old'])
  })
  test('touches nothing that is unfinished, or was written by hand', async () => {
    const { ports, ended, names } = await rest()
    await ended('latest', 1)
    await ended('by-hand', 400, {})
    await addOperation(ports, 'running', { phase: 'Flashing' })
    await pruneHistory('default/ap-1', ports, { operationsPerDevice: 1, keepFor: '1d' })
    expect(await names()).toEqual(['by-hand', 'latest', 'running'])
  })
  test('lets an operation go that has a finalizer', async () => {
    const { ports, ended, names } = await rest()
    await ended('latest', 1)
    const old = await ended('old', 2)
    await ports.store.setFinalizers(old, ['reflash.dev/operation'])
    await pruneHistory('default/ap-1', ports, { operationsPerDevice: 1, keepFor: '90d' })
    expect(await names()).toEqual(['latest'])
  })
})

describe('a tombstone', () => {
  /** A device that was removed, and is declared again. */
  const returned = async () => {
    const { world, ports } = await atRest({ routers: 1, policy: { state: 'Plan' } })
    const device = (await world.store.get('Device', key('ap-1')))!
    await keepTombstone(device, ports)
    return { world, ports, bare: await ports.store.saveStatus({ ...device, status: {} }) }
  }
  test('gives identity and pins back, once', async () => {
    const { ports, bare } = await returned()
    const restored = await recallTombstone(bare, ports)
    expect(restored.status).toEqual({ identity: '192.0.2.1', hostKeys: ['ssh-ed25519 AAAA'] })
    const again = await ports.store.saveStatus({ ...restored, status: {} })
    expect((await recallTombstone(again, ports)).status).toEqual({})
  })
  test('is kept while the device could not be given what it says', async () => {
    const { world, ports, bare } = await returned()
    // Somebody else was first.
    await ports.store.saveStatus({ ...bare, status: { board: 'toy' } })
    await expect(recallTombstone(bare, ports)).rejects.toMatchObject({ code: 'Conflict' })
    expect(await world.records.list('removed-device/')).toHaveLength(1)
  })
  test('that another controller has just given back is read with the device', async () => {
    const { ports, bare } = await returned()
    const restored = await recallTombstone(bare, ports)
    expect(await recallTombstone(bare, ports)).toEqual(restored)
  })
  test('is not made of a device that was never reached', async () => {
    const { world, ports } = await atRest({ routers: 1, policy: { state: 'Plan' } })
    const device = (await world.store.get('Device', key('ap-1')))!
    await keepTombstone({ ...device, status: {} }, ports)
    expect(await world.records.list('removed-device/')).toEqual([])
  })
  test('is forgotten after its time, and not before', async () => {
    const { world, ports } = await atRest({ routers: 1, policy: { state: 'Plan' } })
    await keepTombstone((await world.store.get('Device', key('ap-1')))!, ports)
    await world.clock.advance(10 * dayMs)
    await pruneTombstones(10 * dayMs, ports)
    expect(await world.records.list('removed-device/')).toHaveLength(1)
    await world.clock.advance(1)
    await pruneTombstones(10 * dayMs, ports)
    expect(await world.records.list('removed-device/')).toEqual([])
  })
})

describe('the wish to cancel', () => {
  const wishOf = async (
    change: (world: World, ports: Ports) => Promise<unknown>,
    spec?: object,
    name?: string,
  ): Promise<string | undefined> => {
    const { world, ports, refresh } = await atRest({ routers: 1, policy: { state: 'Plan' } })
    const stem = ports.fleet.assessment('default/ap-1')
    expect(stem?.blocked?.reason).toBe('PolicyPlanned')
    await declarePolicy(world)
    await refresh()
    const { candidate } = ports.fleet.assessment('default/ap-1')!
    await addOperation(ports, name ?? `${candidate!.stem}-1`, { phase: 'Uploading' }, spec)
    await change(world, ports)
    await refresh()
    const [operation] = ports.fleet.list('UpgradeOperation')
    return cancelWish(operation!, ports)?.reason
  }
  const byHand = [{}, 'by-hand'] as const
  const hold = (world: World) => declareDevice(world, 1, { hold: { reason: 'x' } })

  test('is none while everything stands', async () => {
    expect(await wishOf(async () => {})).toBeUndefined()
    expect(await wishOf(async () => {}, ...byHand)).toBeUndefined()
  })
  test.each<[string, (world: World, ports: Ports) => Promise<unknown>]>([
    ['Held', hold],
    ['PolicyAborted', (world) => declarePolicy(world, { state: 'Abort' })],
    ['PolicyRemoved', (world) => world.store.delete('UpgradePolicy', key('all'))],
    ['Superseded', (world) => declarePolicy(world, { retryToken: 'again' })],
    ['Superseded', (world) => declarePolicy(world, { selector: { matchLabels: { no: 'body' } } })],
    ['DeviceRemoved', (world) => world.store.delete('Device', key('ap-1'))],
  ])('is %s', async (reason, change) => {
    expect(await wishOf(change)).toBe(reason)
  })
  test('is none for a pause, which only waits', async () => {
    expect(await wishOf((world) => declarePolicy(world, { state: 'Pause' }))).toBeUndefined()
  })
  test('of one written by hand does not follow the policy, nor a hold', async () => {
    expect(await wishOf((world) => declarePolicy(world, { state: 'Abort' }), ...byHand)).toBeUndefined()
    expect(
      await wishOf((world) => world.store.delete('UpgradePolicy', key('all')), ...byHand),
    ).toBeUndefined()
    expect(await wishOf(hold, ...byHand)).toBeUndefined()
    expect(await wishOf(async () => {}, { cancel: true }, 'by-hand')).toBe('CancelRequested')
  })
})

describe('the plan', () => {
  test('says for each device what would happen, and counts', async () => {
    const { world, ports, refresh } = await atRest({ routers: 5, policy: { state: 'Plan' } })
    await declareDevice(world, 1, { hold: { reason: 'concert' } })
    await declareDevice(world, 2, { pinnedBuildRef: { name: 'old' } })
    await declarePolicy(world, { limits: { maxConcurrent: 2, startsPerMinute: 6 } })
    await refresh()
    const { devices, summary } = await planFleet(ports.fleet, ports.governor)
    expect(devices.map(({ name, action, reason }) => [name, action, reason])).toEqual([
      ['ap-1', 'Blocked', 'Held'],
      ['ap-2', 'Blocked', 'Pinned'],
      ['ap-3', 'Upgrade', 'Ready'],
      ['ap-4', 'Upgrade', 'Ready'],
      ['ap-5', 'Upgrade', 'Ready'],
    ])
    expect(devices[2]).toMatchObject({
      runs: 'old',
      target: 'new',
      message: 'policy all upgrades 2 of 3 at once',
    })
    expect(summary).toEqual({ devices: 5, upgrade: 3, wait: 0, blocked: 2, none: 0 })
    world.halt('HALT exists')
    expect((await planFleet(ports.fleet, ports.governor)).devices[2]).toMatchObject({
      action: 'Blocked',
      reason: 'Halted',
      message: 'HALT exists',
    })
  })
  test('has nothing to do for a device on its target, or without one', async () => {
    const world = await createToyFleet({ routers: 1 })
    await world.declare()
    const { ports, stop } = await world.start()
    await world.clock.advance(10 * 60_000)
    expect((await planFleet(ports.fleet, ports.governor)).devices[0]).toMatchObject({
      action: 'None',
      reason: 'OnTarget',
    })
    await world.store.delete('UpgradePolicy', key('all'))
    await world.clock.advance(60_000)
    expect((await planFleet(ports.fleet, ports.governor)).devices[0]).toMatchObject({
      action: 'None',
      reason: 'NoTarget',
    })
    expect(await standing(ports)).toEqual({
      kind: 'Stuck',
      reasons: ['there is no UpgradePolicy and no UpgradeOperation'],
    })
    await stop()
  })
})

describe('a run that is to end', () => {
  test.each<[string, (world: World) => Promise<unknown>, RegExp]>([
    [
      'a policy that only plans',
      (world) => declarePolicy(world, { state: 'Plan' }),
      /^device ap-1: PolicyPlanned: /,
    ],
    ['an offline device', async (world) => (world.router(1).up = false), /^device ap-1: NeverProbed: /],
    ['a wrong password', async (world) => (world.router(1).refuseLogin = true), /^device ap-1: AuthFailed: /],
    [
      'a flash that fell back',
      async (world) => (world.router(1).flash = 'rolls back'),
      /^device ap-1: RolledBack: /,
    ],
  ])('names %s', async (_, change, words) => {
    const world = await createToyFleet({ routers: 2 })
    await world.declare()
    await change(world)
    const { ports, stop } = await world.start({ probesSince: world.clock.now() })
    expect(await standing(ports)).toEqual({ kind: 'Moving' })
    await world.clock.advance(10 * 60_000)
    const now = await standing(ports)
    expect(now).toMatchObject({ kind: 'Stuck' })
    expect(now.kind === 'Stuck' && now.reasons.find((reason) => words.test(reason))).toBeDefined()
    await stop()
  })
})
