import { describe, expect, test } from 'vitest'
import type { Device, UpgradeOperation, UpgradePolicy } from '../../src/api/resources.ts'
import { standing } from '../../src/controllers/settled.ts'
import { holdsSlot } from '../../src/core/operation.ts'
import { createToyFleet, manifest } from '../support/toy-fleet.ts'

type World = Awaited<ReturnType<typeof createToyFleet>>
const minutes = (count: number): number => count * 60_000
const target = { buildRef: { name: 'new' }, allowDowngrade: false, onUnknownVersion: 'Upgrade' }
const key = (name: string) => ({ namespace: 'default', name })

const policySpec = (spec: object = {}, name = 'all') =>
  manifest('UpgradePolicy', name, { categoryRef: { name: 'ap' }, target, ...spec })
const deviceSpec = (index: number, spec: object = {}, labels?: Record<string, string>) =>
  manifest(
    'Device',
    `ap-${index}`,
    {
      categoryRef: { name: 'ap' },
      addresses: [`192.0.2.${index}`],
      credentialsRef: { name: 'routers' },
      ...spec,
    },
    labels,
  )
const byHand = (name: string, device: number, spec: object = { buildRef: { name: 'new' } }) => {
  const item = manifest('UpgradeOperation', name, { deviceRef: { name: `ap-${device}` }, ...spec })
  return { ...item, metadata: { ...item.metadata, finalizers: ['reflash.dev/operation'] } }
}

const deviceOf = async (world: World, index: number): Promise<Device> =>
  (await world.store.get('Device', key(`ap-${index}`)))!
const blockedOf = async (world: World, index: number): Promise<string | undefined> =>
  (await deviceOf(world, index)).status.blocked?.reason
const operationsOf = async (world: World): Promise<UpgradeOperation[]> =>
  (await world.store.list('UpgradeOperation')).items
const phasesOf = async (world: World): Promise<(string | undefined)[]> =>
  (await operationsOf(world)).map(({ status }) => status.phase)
const policyOf = async (world: World, name = 'all'): Promise<UpgradePolicy> =>
  (await world.store.get('UpgradePolicy', key(name)))!
const flashes = (world: World): number[] => [...world.routers.values()].map((router) => router.flashes.length)
const conditionOf = (policy: UpgradePolicy, type: string) =>
  policy.status.conditions?.find((condition) => condition.type === type)
const bugs = (world: World) => world.events.filter(({ type }) => type === 'Bug')

/** Lets the fleet come to the point at which an operation has come to a phase. */
const untilPhase = (world: World, ...phases: string[]): Promise<void> =>
  world.clock.runUntil(
    () => world.events.some((event) => event.type === 'Phase' && phases.includes(event.phase)),
    minutes(10),
  )

describe('who owns a device', () => {
  test('of two policies of equal priority neither acts, and both say so', async () => {
    const world = await createToyFleet({ routers: 2 })
    await world.declare()
    await world.store.apply(policySpec({}, 'other'))
    const app = await world.start()
    await world.clock.advance(minutes(30))
    expect(flashes(world)).toEqual([0, 0])
    expect(await blockedOf(world, 1)).toBe('PolicyConflict')
    for (const name of ['all', 'other']) {
      const policy = await policyOf(world, name)
      expect(policy.status.counts).toMatchObject({ matched: 2, held: 2, onTarget: 0, eligible: 0 })
      expect(conditionOf(policy, 'Converged')?.status).toBe('False')
    }
    await world.store.apply(policySpec({ priority: 101 }, 'other'))
    await world.clock.runUntil(() => flashes(world).every((count) => count === 1), minutes(10))
    expect((await operationsOf(world)).map(({ spec }) => spec.policyRef?.name)).toEqual(['other', 'other'])
    expect(bugs(world)).toEqual([])
    await app.stop()
  })

  test('the higher priority does, and the other holds it', async () => {
    const world = await createToyFleet({ routers: 2, policy: { priority: 200 } })
    await world.declare()
    await world.store.apply(
      manifest('Build', 'old', { categoryRef: { name: 'ap' }, version: '1.0.0', osIdentifier: 'old' }),
    )
    await world.store.apply(
      policySpec({ target: { ...target, buildRef: { name: 'old' }, allowDowngrade: true } }, 'low'),
    )
    const app = await world.start()
    await world.clock.runUntil(() => flashes(world).every((count) => count === 1), minutes(10))
    await world.clock.advance(minutes(60))
    expect(flashes(world)).toEqual([1, 1])
    expect((await policyOf(world, 'low')).status.counts).toMatchObject({ matched: 2, held: 2 })
    expect((await deviceOf(world, 1)).status.policyRef?.name).toBe('all')
    await app.stop()
  })

  test('a policy no longer counts a device that was relabelled, or is gone at last', async () => {
    const world = await createToyFleet({
      routers: 2,
      policy: { selector: { matchLabels: { site: 'here' } } },
    })
    await world.declare()
    for (const index of [1, 2]) await world.store.apply(deviceSpec(index, {}, { site: 'here' }))
    const app = await world.start()
    const matched = async () => (await policyOf(world)).status.counts?.matched
    await world.clock.advance(minutes(30))
    expect(await matched()).toBe(2)
    await world.store.apply(deviceSpec(1, {}, { site: 'there' }))
    await world.clock.advance(minutes(1))
    expect(await matched()).toBe(1)

    const theirs = 'example.com/kept-for-the-audit'
    const kept = await deviceOf(world, 2)
    await world.store.setFinalizers(kept, [...(kept.metadata.finalizers ?? []), theirs])
    await world.store.delete('Device', key('ap-2'))
    await world.clock.advance(minutes(1))
    expect((await deviceOf(world, 2)).metadata.finalizers).toEqual([theirs])
    expect(await matched()).toBe(1)
    await world.store.setFinalizers(await deviceOf(world, 2), [])
    await world.clock.advance(minutes(1))
    expect(await matched()).toBe(0)
    expect(bugs(world)).toEqual([])
    await app.stop()
  })

  test('a build of another category is not flashed, though the board would take it', async () => {
    const world = await createToyFleet({ routers: 1 })
    await world.declare()
    await world.store.apply(manifest('Category', 'lora', { upgrader: 'toy' }))
    await world.store.apply(
      manifest('Build', 'new', { categoryRef: { name: 'lora' }, version: '2.0.0', osIdentifier: 'new' }),
    )
    const app = await world.start()
    await world.clock.advance(minutes(30))
    expect(flashes(world)).toEqual([0])
    expect(await blockedOf(world, 1)).toBe('PolicyNotReady')
    expect(conditionOf(await policyOf(world), 'Ready')?.reason).toBe('Conflict')
    await app.stop()
  })
})

describe('what comes after its devices', () => {
  test('a Secret and a Category, both before the next probe', async () => {
    let isThere = false
    const secrets = { read: async () => (isThere ? { username: 'root', password: 'toy' } : undefined) }
    const world = await createToyFleet({ routers: 1, secrets })
    await world.store.apply(deviceSpec(1))
    const app = await world.start()
    await world.clock.advance(1000)
    expect((await deviceOf(world, 1)).status.conditions).toContainEqual(
      expect.objectContaining({ type: 'Stalled', message: 'category ap does not exist' }),
    )
    isThere = true
    await world.declare()
    await world.clock.runUntil(() => flashes(world)[0] === 1, minutes(1))
    expect(bugs(world)).toEqual([])
    await app.stop()
  })
})

describe('state', () => {
  test('Pause in mid-upload parks with the services running, leaves the device in peace, and resumes', async () => {
    const world = await createToyFleet({ uploadMs: 20_000, routers: 2 })
    await world.declare()
    const app = await world.start()
    await untilPhase(world, 'Uploading')
    await world.store.apply(policySpec({ state: 'Pause' }))
    await world.clock.advance(minutes(1))
    const connects = world.connects()
    await world.clock.advance(minutes(10))
    expect(flashes(world)).toEqual([0, 0])
    expect([...world.routers.values()].map(({ stoppedServices }) => stoppedServices)).toEqual([false, false])
    expect(world.connects() - connects).toBeLessThanOrEqual(2)
    expect(new Set(await phasesOf(world))).toEqual(new Set(['Testing']))
    expect((await operationsOf(world))[0]!.status).toMatchObject({ reason: 'PolicyPaused' })
    const before = world.connects()
    await world.store.apply(policySpec({ state: 'Run' }))
    // It is told, and does not only find it when it looks again.
    await world.clock.runUntil(() => world.connects() > before, 500)
    await world.clock.runUntil(() => flashes(world).every((count) => count === 1), minutes(10))
    await app.stop()
  })

  test('a long Pause gives slots and claims back, and resumes', async () => {
    const world = await createToyFleet({
      uploadMs: 20_000,
      routers: 2,
      policy: { limits: { maxConcurrent: 1, startsPerMinute: 10 } },
    })
    await world.declare()
    const app = await world.start()
    await untilPhase(world, 'Uploading')
    await world.store.apply(policySpec({ state: 'Pause', limits: { maxConcurrent: 1, startsPerMinute: 10 } }))
    await world.clock.advance(minutes(70))
    expect(await phasesOf(world)).toEqual(['Queued'])
    expect(app.fleet.allSlotsUsed()).toBe(0)
    // Of what is queued by now, the device that went away must not keep the other one waiting.
    const [queued] = await operationsOf(world)
    const away = Number(queued!.spec.deviceRef.name.slice(3))
    world.router(away).up = false
    await world.clock.advance(minutes(30))
    await world.store.apply(policySpec({ limits: { maxConcurrent: 1, startsPerMinute: 10 } }))
    await world.clock.runUntil(() => world.router(3 - away).release === 'new', minutes(10))
    world.router(away).up = true
    await world.clock.runUntil(() => world.router(away).release === 'new', minutes(24 * 60))
    await app.stop()
  })

  test('Abort cancels before the flash', async () => {
    const world = await createToyFleet({ uploadMs: 20_000, routers: 2 })
    await world.declare()
    const app = await world.start()
    await untilPhase(world, 'Uploading')
    await world.store.apply(policySpec({ state: 'Abort' }))
    await world.clock.advance(minutes(30))
    expect(flashes(world)).toEqual([0, 0])
    for (const { status } of await operationsOf(world))
      expect(status).toMatchObject({ phase: 'Cancelled', reason: 'PolicyAborted' })
    expect([...world.routers.values()].map(({ stoppedServices }) => stoppedServices)).toEqual([false, false])
    expect((await deviceOf(world, 1)).status.operationRef).toBeUndefined()
    await app.stop()
  })

  test('Abort never interrupts a flash', async () => {
    const world = await createToyFleet({ routers: 1 })
    await world.declare()
    const app = await world.start()
    await untilPhase(world, 'Rebooting')
    await world.store.apply(policySpec({ state: 'Abort' }))
    await world.clock.advance(minutes(30))
    expect(await phasesOf(world)).toEqual(['Succeeded'])
    await app.stop()
  })

  test('Plan starts nothing', async () => {
    const world = await createToyFleet({ routers: 1, policy: { state: 'Plan' } })
    await world.declare()
    const app = await world.start()
    await world.clock.advance(minutes(60))
    expect([flashes(world), await phasesOf(world), await blockedOf(world, 1)]).toEqual([
      [0],
      [],
      'PolicyPlanned',
    ])
    await app.stop()
  })
})

describe('trying again', () => {
  test('a new retryToken flashes what rolled back once more, and only once', async () => {
    const world = await createToyFleet({ routers: 2 })
    for (const router of world.routers.values()) router.flash = 'rolls back'
    await world.declare()
    const app = await world.start()
    await world.clock.advance(minutes(120))
    expect(flashes(world)).toEqual([1, 1])
    await world.store.apply(policySpec({ retryToken: 'again' }))
    await world.clock.advance(minutes(120))
    expect(flashes(world)).toEqual([2, 2])
    expect((await policyOf(world)).status.counts).toMatchObject({ failed: 2, rolledBack: 2 })
    await app.stop()
  })

  test('a retry that waits for a slot gets the next one', async () => {
    const limits = { maxConcurrent: 1, startsPerMinute: 100 }
    const world = await createToyFleet({ routers: 6, policy: { limits } })
    for (const router of world.routers.values()) router.failUploads = 1
    await world.declare()
    const app = await world.start()
    await world.clock.runUntil(() => flashes(world).every((count) => count === 1), minutes(12))
    await app.stop()
  })
})

describe('an operation written by hand', () => {
  test('upgrades its one device and holds it to nothing more', async () => {
    const world = await createToyFleet({ routers: 2, policy: { state: 'Plan' } })
    await world.declare()
    await world.store.create(byHand('mine', 2))
    const app = await world.start()
    await world.clock.runUntil(() => world.router(2).release === 'new', minutes(10))
    await world.clock.advance(minutes(60))
    expect(flashes(world)).toEqual([0, 1])
    expect((await operationsOf(world)).map(({ metadata, status }) => [metadata.name, status.phase])).toEqual([
      ['mine', 'Succeeded'],
    ])
    await app.stop()
  })

  test('is refused while a policy with another target owns the device, and does not hold the policy up', async () => {
    const world = await createToyFleet({ routers: 1 })
    await world.declare()
    await world.store.apply(
      manifest('Build', 'other', { categoryRef: { name: 'ap' }, version: '1.5.0', osIdentifier: 'other' }),
    )
    await world.store.apply(
      manifest('FirmwareImage', 'other-image', {
        buildRef: { name: 'other' },
        source: { path: 'other.bin' },
        boards: ['toy'],
      }),
    )
    await world.store.create(byHand('mine', 1, { buildRef: { name: 'other' } }))
    const app = await world.start()
    await world.clock.runUntil(() => world.router(1).release === 'new', minutes(10))
    await world.clock.advance(minutes(30))
    const mine = await world.store.get('UpgradeOperation', key('mine'))
    expect(mine!.status).toMatchObject({ phase: 'Queued', reason: 'OwnedByPolicy' })
    expect(mine!.status.message).toContain('policy all wants build new on this device')
    expect(flashes(world)).toEqual([1])
    await app.stop()
  })

  test('spec.cancel ends it before the flash', async () => {
    const world = await createToyFleet({ uploadMs: 20_000, routers: 1, policy: { state: 'Plan' } })
    await world.declare()
    await world.store.create(byHand('mine', 1))
    const app = await world.start()
    await untilPhase(world, 'Uploading')
    await world.store.apply(byHand('mine', 1, { buildRef: { name: 'new' }, cancel: true }))
    await world.clock.advance(minutes(30))
    expect([flashes(world), await phasesOf(world)]).toEqual([[0], ['Cancelled']])
    expect(world.router(1).stoppedServices).toBe(false)
    await app.stop()
  })

  test('spec.cancel comes too late after it', async () => {
    const world = await createToyFleet({ routers: 1, policy: { state: 'Plan' } })
    await world.declare()
    await world.store.create(byHand('mine', 1))
    const app = await world.start()
    await untilPhase(world, 'Rebooting')
    await world.store.apply(byHand('mine', 1, { buildRef: { name: 'new' }, cancel: true }))
    await world.clock.advance(minutes(30))
    expect([flashes(world), await phasesOf(world)]).toEqual([[1], ['Succeeded']])
    await app.stop()
  })

  test('whose file goes before the flash is cancelled and goes', async () => {
    const world = await createToyFleet({ uploadMs: 20_000, routers: 1, policy: { state: 'Plan' } })
    await world.declare()
    await world.store.create(byHand('mine', 1))
    const app = await world.start()
    await untilPhase(world, 'Uploading')
    await world.store.delete('UpgradeOperation', key('mine'))
    await world.clock.advance(minutes(30))
    expect([flashes(world), await operationsOf(world)]).toEqual([[0], []])
    expect((await deviceOf(world, 1)).status.operationRef).toBeUndefined()
    expect(app.fleet.size('UpgradeOperation')).toBe(0)
    await app.stop()
  })

  test('two of one device flash it once', async () => {
    const world = await createToyFleet({ routers: 1, policy: { state: 'Plan' } })
    await world.declare()
    await world.store.create(byHand('mine', 1))
    await world.store.create(byHand('yours', 1))
    const app = await world.start()
    await world.clock.advance(minutes(60))
    expect([flashes(world), await phasesOf(world)]).toEqual([[1], ['Succeeded', 'Succeeded']])
    await app.stop()
  })
})

describe('a removed device', () => {
  test('in mid-flight ends its flash, then goes, and its pins return with it', async () => {
    const world = await createToyFleet({ routers: 1 })
    await world.declare()
    const app = await world.start()
    await untilPhase(world, 'Rebooting')
    const before = await deviceOf(world, 1)
    await world.store.delete('Device', key('ap-1'))
    await world.clock.advance(10_000)
    expect((await deviceOf(world, 1)).metadata.deletionTimestamp).toBeDefined()
    await world.clock.advance(minutes(10))
    expect(await world.store.get('Device', key('ap-1'))).toBeUndefined()
    expect(app.fleet.size('Device')).toBe(0)
    expect(await phasesOf(world)).toEqual(['Succeeded'])
    await world.store.apply(deviceSpec(1))
    await world.clock.runUntil(
      () => app.fleet.get('Device', key('ap-1'))?.status.identity !== undefined,
      minutes(10),
    )
    const { hostKeys, identity } = (await deviceOf(world, 1)).status
    expect({ hostKeys, identity }).toEqual({
      hostKeys: before.status.hostKeys,
      identity: before.status.identity,
    })
    expect(await world.records.list('removed-device/')).toEqual([])
    expect(bugs(world)).toEqual([])
    await app.stop()
  })

  test('that returns as another one is recognised as another one', async () => {
    const world = await createToyFleet({ routers: 1, policy: { state: 'Plan' } })
    await world.declare()
    const app = await world.start()
    await world.clock.advance(minutes(1))
    await world.store.delete('Device', key('ap-1'))
    await world.clock.advance(minutes(1))
    world.router(1).identity = 'somebody else'
    await world.store.apply(deviceSpec(1))
    await world.store.apply(policySpec())
    await world.clock.advance(minutes(30))
    expect([await blockedOf(world, 1), flashes(world)]).toEqual(['IdentityChanged', [0]])
    await app.stop()
  })

  test('before the flash is let go at once', async () => {
    const world = await createToyFleet({ uploadMs: 20_000, routers: 1 })
    await world.declare()
    const app = await world.start()
    await untilPhase(world, 'Uploading')
    await world.store.delete('Device', key('ap-1'))
    await world.clock.advance(minutes(1))
    expect([flashes(world), await phasesOf(world), app.fleet.size('Device')]).toEqual([[0], ['Cancelled'], 0])
    expect(world.router(1).stoppedServices).toBe(false)
    await app.stop()
  })
})

describe('what keeps a device back', () => {
  test('a recalled build stops new starts at once', async () => {
    const limits = { maxConcurrent: 1, startsPerMinute: 100 }
    const world = await createToyFleet({ routers: 4, policy: { limits } })
    await world.declare()
    const app = await world.start()
    await world.clock.runUntil(() => flashes(world).includes(1), minutes(10))
    const build = { categoryRef: { name: 'ap' }, version: '2.0.0', osIdentifier: 'new' }
    await world.store.apply(
      manifest('Build', 'new', { ...build, lifecycle: 'Recalled', reason: 'it bricks' }),
    )
    await world.clock.advance(minutes(60))
    expect(flashes(world).filter((count) => count > 0)).toEqual([1])
    expect(
      (await world.store.list('Device')).items.filter(
        ({ status }) => status.blocked?.reason === 'BuildRecalled',
      ),
    ).toHaveLength(3)
    await world.store.apply(manifest('Build', 'new', build))
    await world.clock.runUntil(() => flashes(world).every((count) => count === 1), minutes(30))
    await app.stop()
  })

  test('a hold ends at its time', async () => {
    const world = await createToyFleet({ routers: 2 })
    await world.declare()
    const until = new Date(world.clock.now() + minutes(120)).toISOString()
    await world.store.apply(deviceSpec(2, { hold: { reason: 'concert', until } }))
    const app = await world.start()
    await world.clock.advance(minutes(119))
    expect([flashes(world), await blockedOf(world, 2)]).toEqual([[1, 0], 'Held'])
    expect(conditionOf(await policyOf(world), 'Converged')?.status).toBe('True')
    await world.clock.runUntil(() => flashes(world)[1] === 1, minutes(3))
    await app.stop()
  })

  test('a hold cancels what is before the flash, and the way is free after it', async () => {
    const world = await createToyFleet({ uploadMs: 20_000, routers: 1 })
    await world.declare()
    const app = await world.start()
    await untilPhase(world, 'Uploading')
    await world.store.apply(deviceSpec(1, { hold: { reason: 'concert' } }))
    await world.clock.advance(minutes(10))
    expect([flashes(world), (await operationsOf(world))[0]!.status.reason]).toEqual([[0], 'Held'])
    await world.store.apply(deviceSpec(1))
    await world.clock.runUntil(() => flashes(world)[0] === 1, minutes(10))
    await app.stop()
  })

  test('a pin to another build', async () => {
    const world = await createToyFleet({ routers: 2 })
    await world.declare()
    await world.store.apply(
      manifest('Build', 'old', { categoryRef: { name: 'ap' }, version: '1.0.0', osIdentifier: 'old' }),
    )
    await world.store.apply(deviceSpec(1, { pinnedBuildRef: { name: 'old' } }))
    const app = await world.start()
    await world.clock.advance(minutes(30))
    expect([flashes(world), await blockedOf(world, 1)]).toEqual([[0, 1], 'Pinned'])
    await app.stop()
  })

  test('a newer version, unless a downgrade is allowed', async () => {
    const world = await createToyFleet({ routers: 1 })
    await world.declare()
    await world.store.apply(
      manifest('Build', 'new', { categoryRef: { name: 'ap' }, version: '0.9.0', osIdentifier: 'new' }),
    )
    const app = await world.start()
    await world.clock.advance(minutes(30))
    expect([flashes(world), await blockedOf(world, 1)]).toEqual([[0], 'Downgrade'])
    await world.store.apply(policySpec({ target: { ...target, allowDowngrade: true } }))
    await world.clock.runUntil(() => world.router(1).release === 'new', minutes(10))
    await app.stop()
  })
})

describe('limits', () => {
  test('five devices lost in a day stop all starts, over a restart, until they are acknowledged', async () => {
    const limits = { maxConcurrent: 1, startsPerMinute: 100 }
    const world = await createToyFleet({ routers: 8, policy: { limits } })
    for (const router of world.routers.values()) router.flash = 'never returns'
    await world.declare()
    const app = await world.start()
    await world.clock.advance(minutes(5 * 16 + 60))
    expect(flashes(world).filter((count) => count > 0)).toHaveLength(5)
    expect(conditionOf(await policyOf(world), 'Paused')).toMatchObject({
      status: 'True',
      reason: 'LostLimit',
    })
    expect(await standing(app.ports)).toMatchObject({ kind: 'Stuck' })
    await app.stop()
    const again = await world.start()
    await world.clock.advance(minutes(60))
    expect(flashes(world).filter((count) => count > 0)).toHaveLength(5)
    await again.stop()
    for (const router of world.routers.values()) if (router.flashes.length === 0) router.flash = 'works'
    const acknowledged = await world.start({ acknowledgedDate: '2026-01-01' })
    await world.clock.runUntil(() => flashes(world).every((count) => count === 1), minutes(60))
    await acknowledged.stop()
  })

  test('200 changes of labels never exceed them', async () => {
    const limits = { maxConcurrent: 3, startsPerMinute: 4 }
    const world = await createToyFleet({
      routers: 20,
      policy: { limits, selector: { matchLabels: { wave: 'one' } } },
    })
    await world.declare()
    const app = await world.start()
    let most = 0
    app.fleet.onChange(() => {
      most = Math.max(most, [...app.fleet.all('UpgradeOperation')].filter(holdsSlot).length)
    })
    for (let flip = 0; flip < 200; flip += 1) {
      const index = 1 + ((flip * 7) % 20)
      await world.store.apply(deviceSpec(index, {}, { wave: flip % 3 === 0 ? 'two' : 'one' }))
      await world.clock.advance(1500)
    }
    for (let index = 1; index <= 20; index += 1)
      await world.store.apply(deviceSpec(index, {}, { wave: 'one' }))
    await world.clock.runUntil(() => flashes(world).every((count) => count === 1), minutes(120))
    await world.clock.advance(minutes(10))
    expect(most).toBe(3)
    expect(flashes(world)).toEqual(Array(20).fill(1))
    const times = [...world.routers.values()]
      .flatMap((router) => router.flashes.map(({ at }) => at))
      .toSorted((a, b) => a - b)
    for (const [index, time] of times.entries()) {
      const fifth = times[index + 4]
      if (fifth !== undefined) expect(fifth - time).toBeGreaterThanOrEqual(60_000)
    }
    expect(bugs(world)).toEqual([])
    await app.stop()
  })

  test('a restart with a smaller limit finishes what holds a slot, and starts nothing above it', async () => {
    const world = await createToyFleet({
      uploadMs: 20_000,
      routers: 6,
      policy: { limits: { maxConcurrent: 6, startsPerMinute: 100 } },
    })
    for (const router of world.routers.values()) router.failUploads = 1
    await world.declare()
    const app = await world.start()
    await untilPhase(world, 'Uploading')
    await app.stop()
    const limits = { maxConcurrent: 1, startsPerMinute: 100 }
    await world.store.apply(policySpec({ limits }))
    const again = await world.start()
    let most = 0
    await world.clock.runUntil(() => {
      most = Math.max(most, [...world.routers.values()].filter(({ up }) => !up).length)
      return flashes(world).every((count) => count === 1)
    }, minutes(60))
    expect(most).toBeLessThanOrEqual(6)
    await again.stop()
  })
})

describe('converged', () => {
  test('is not said where no device is eligible', async () => {
    const world = await createToyFleet({ routers: 2 })
    await world.declare()
    for (const index of [1, 2]) await world.store.apply(deviceSpec(index, { hold: { reason: 'concert' } }))
    const app = await world.start()
    await world.clock.advance(minutes(10))
    const policy = await policyOf(world)
    expect(policy.status.counts).toMatchObject({ matched: 2, held: 2, eligible: 0 })
    expect(conditionOf(policy, 'Converged')?.status).toBe('False')
    expect(await standing(app.ports)).toMatchObject({
      kind: 'Stuck',
      reasons: [expect.stringContaining('policy all: 0 of 2 devices on target, 2 held')],
    })
    await app.stop()
  })

  test('is not said where nothing matches', async () => {
    const world = await createToyFleet({
      routers: 2,
      policy: { selector: { matchLabels: { site: 'nowhere' } } },
    })
    await world.declare()
    const app = await world.start()
    await world.clock.advance(minutes(10))
    expect(conditionOf(await policyOf(world), 'Converged')).toMatchObject({
      status: 'False',
      reason: 'NoDevices',
    })
    expect(await standing(app.ports)).toEqual({ kind: 'Stuck', reasons: ['policy all: matches no device'] })
    await app.stop()
  })

  test('a stop of all starts ends a run that was to end, with its reason', async () => {
    const world = await createToyFleet({ uploadMs: 20_000, routers: 3 })
    await world.declare()
    const app = await world.start()
    await untilPhase(world, 'Uploading')
    world.halt('HALT exists')
    await world.clock.advance(minutes(5))
    const now = await standing(app.ports)
    expect(now.kind).toBe('Stuck')
    expect(now.kind === 'Stuck' && now.reasons[0]).toBe('Halted: HALT exists')
    world.halt(undefined)
    await world.clock.runUntil(() => flashes(world).every((count) => count === 1), minutes(10))
    await world.clock.advance(minutes(2))
    expect(await standing(app.ports)).toEqual({ kind: 'Converged' })
    await app.stop()
  })

  test('a run trusts only its own probes: a device that was dark in the run before is asked again', async () => {
    const world = await createToyFleet({ routers: 2 })
    world.router(1).up = false
    await world.declare()
    const app = await world.start()
    await world.clock.advance(minutes(24 * 60))
    await app.stop()
    world.router(1).up = true
    const again = await world.start({ probesSince: world.clock.now() })
    await world.clock.runUntil(() => world.router(1).release === 'new', minutes(5))
    await world.clock.advance(minutes(1))
    expect(await standing(again.ports)).toEqual({ kind: 'Converged' })
    await again.stop()
  })
})

describe('a policy whose image is still being checked', () => {
  test.each([0, 700, 3000])('asks for nobody in the %i ms that it takes', async (fetchMs) => {
    const world = await createToyFleet({ routers: 3, fetchMs })
    await world.declare()
    const app = await world.start()
    const stalled: string[] = []
    app.fleet.onChange(({ object }) => {
      const condition = object.kind === 'UpgradePolicy' && conditionOf(object, 'Stalled')
      if (condition) stalled.push(condition.reason)
    })
    await world.clock.advance(minutes(10))
    expect(stalled).toEqual([])
    expect(flashes(world)).toEqual([1, 1, 1])
    await app.stop()
  })
})
