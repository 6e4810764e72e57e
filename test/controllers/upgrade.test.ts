import { describe, expect, test } from 'vitest'
import type { UpgradeOperation } from '../../src/api/resources.ts'
import { createToyFleet, imageDigest } from '../support/toy-fleet.ts'

const minutes = (count: number): number => count * 60_000

const operations = async (world: Awaited<ReturnType<typeof createToyFleet>>): Promise<UpgradeOperation[]> =>
  (await world.store.list('UpgradeOperation')).items

const flashes = (world: Awaited<ReturnType<typeof createToyFleet>>): number[] =>
  [...world.routers.values()].map((router) => router.flashes.length)

describe('a fleet that differs from its target', () => {
  test('is upgraded, once each, and every device says so', async () => {
    const world = await createToyFleet({ routers: 5 })
    await world.declare()
    const app = await world.start()
    await world.clock.runUntil(
      () => [...world.routers.values()].every((router) => router.release === 'new' && router.up),
      minutes(30),
    )
    await world.clock.advance(minutes(1))
    expect(flashes(world)).toEqual([1, 1, 1, 1, 1])
    for (const { items } of [await world.store.list('Device')]) {
      expect(
        items.map((device) => device.status.conditions?.find(({ type }) => type === 'UpToDate')?.reason),
      ).toEqual(Array(5).fill('OnTarget'))
      expect(items.map((device) => device.status.operationRef)).toEqual(Array(5).fill(undefined))
    }
    const [policy] = (await world.store.list('UpgradePolicy')).items
    expect(policy!.status.counts).toMatchObject({
      matched: 5,
      onTarget: 5,
      succeeded: 5,
      inFlight: 0,
      failed: 0,
    })
    expect(policy!.status.conditions?.find(({ type }) => type === 'Converged')?.status).toBe('True')
    for (const operation of await operations(world)) {
      expect(operation.status).toMatchObject({ phase: 'Succeeded', image: { sha256: imageDigest } })
      expect(operation.status.bootIdAfter).not.toBe(operation.status.bootIdBefore)
    }
    expect(world.events.filter(({ type }) => type === 'Bug')).toEqual([])
    await app.stop()
  })

  test('keeps to maxConcurrent', async () => {
    const world = await createToyFleet({
      routers: 9,
      policy: { limits: { maxConcurrent: 2, startsPerMinute: 100 } },
    })
    await world.declare()
    const app = await world.start()
    let most = 0
    await world.clock.runUntil(() => {
      most = Math.max(most, [...world.routers.values()].filter((router) => !router.up).length)
      return [...world.routers.values()].every((router) => router.release === 'new')
    }, minutes(60))
    expect(most).toBe(2)
    await app.stop()
  })

  test('keeps to startsPerMinute in every minute', async () => {
    const world = await createToyFleet({
      routers: 9,
      policy: { limits: { maxConcurrent: 9, startsPerMinute: 3 } },
    })
    await world.declare()
    const app = await world.start()
    await world.clock.runUntil(() => flashes(world).every((count) => count === 1), minutes(60))
    const times = [...world.routers.values()]
      .flatMap((router) => router.flashes.map(({ at }) => at))
      .toSorted((a, b) => a - b)
    for (const [index, time] of times.entries()) {
      const later = times[index + 3]
      if (later !== undefined) expect(later - time).toBeGreaterThanOrEqual(60_000)
    }
    await app.stop()
  })
})

describe('a flash', () => {
  test('that falls back is RolledBack and not repeated', async () => {
    const world = await createToyFleet({ routers: 1 })
    world.router(1).flash = 'rolls back'
    await world.declare()
    const app = await world.start()
    await world.clock.advance(minutes(120))
    expect(flashes(world)).toEqual([1])
    const [operation] = await operations(world)
    expect(operation!.status).toMatchObject({ phase: 'Failed', failureClass: 'RolledBack' })
    const [device] = (await world.store.list('Device')).items
    expect(device!.status.blocked?.reason).toBe('RolledBack')
    await app.stop()
  })

  test('that never comes back is Lost, holds no slot, and is corrected when it returns', async () => {
    const world = await createToyFleet({
      routers: 2,
      policy: { limits: { maxConcurrent: 1, startsPerMinute: 10 } },
    })
    for (const router of world.routers.values()) router.flash = 'never returns'
    await world.declare()
    const app = await world.start()
    await world.clock.advance(minutes(60))
    expect(flashes(world)).toEqual([1, 1])
    expect((await operations(world)).map((operation) => operation.status.failureClass)).toEqual([
      'Lost',
      'Lost',
    ])
    const late = world.router(1)
    Object.assign(late, { up: true, boot: 2, release: 'new', bootedAt: world.clock.monotonic() })
    await world.clock.advance(minutes(24 * 60))
    const corrected = (await operations(world)).map((operation) => operation.status.phase)
    expect(new Set(corrected)).toEqual(new Set(['Failed', 'Succeeded']))
    expect(flashes(world)).toEqual([1, 1])
    await app.stop()
  })

  test.each(['says started and is not', 'link breaks, not started'] as const)(
    'that did not start (%s) is started again, once that is proven',
    async (flash) => {
      const world = await createToyFleet({ routers: 1 })
      world.router(1).flash = flash
      await world.declare()
      const app = await world.start()
      await world.clock.runUntil(
        () => world.events.some((event) => event.type === 'Phase' && event.message.includes('never started')),
        minutes(30),
      )
      expect(flashes(world)).toEqual([0])
      world.router(1).flash = 'works'
      await world.clock.runUntil(() => world.router(1).release === 'new', minutes(30))
      expect(flashes(world)).toEqual([1])
      await world.clock.advance(minutes(1))
      const [operation] = await operations(world)
      expect(operation!.status).toMatchObject({ phase: 'Succeeded', attempts: 2 })
      await app.stop()
    },
  )

  test('whose answer is lost is not repeated when it did start', async () => {
    const world = await createToyFleet({ routers: 1 })
    world.router(1).flash = 'link breaks, started'
    await world.declare()
    const app = await world.start()
    await world.clock.advance(minutes(30))
    expect(flashes(world)).toEqual([1])
    expect((await operations(world))[0]!.status.phase).toBe('Succeeded')
    await app.stop()
  })
})

describe('before the flash', () => {
  test('failed uploads are retried with backoff, then the device is quarantined and tried again later', async () => {
    const world = await createToyFleet({ routers: 1 })
    world.router(1).failUploads = 5
    await world.declare()
    const app = await world.start()
    await world.clock.runUntil(() => world.router(1).uploads === 4, minutes(60))
    await world.clock.advance(minutes(1))
    const [device] = (await world.store.list('Device')).items
    expect(device!.status.blocked).toMatchObject({ reason: 'Quarantined' })
    expect(world.router(1).stoppedServices).toBe(false)
    await world.clock.runUntil(() => world.router(1).release === 'new', minutes(30 * 60))
    expect(flashes(world)).toEqual([1])
    await app.stop()
  })

  test('an offline device blocks nobody and is upgraded when it is back', async () => {
    const world = await createToyFleet({
      routers: 3,
      policy: { limits: { maxConcurrent: 1, startsPerMinute: 10 } },
    })
    world.router(2).up = false
    await world.declare()
    const app = await world.start()
    await world.clock.runUntil(
      () => world.router(1).release === 'new' && world.router(3).release === 'new',
      minutes(30),
    )
    world.router(2).up = true
    await world.clock.runUntil(() => world.router(2).release === 'new', minutes(24 * 60))
    await app.stop()
  })

  test('HALT starts nothing, and what was prepared waits with its services running', async () => {
    const world = await createToyFleet({ routers: 3 })
    world.halt('HALT exists')
    await world.declare()
    const app = await world.start()
    await world.clock.advance(minutes(10))
    expect(flashes(world)).toEqual([0, 0, 0])
    world.halt(undefined)
    await world.clock.runUntil(() => flashes(world).every((count) => count === 1), minutes(10))
    await app.stop()
  })

  test('a wrong password stalls its device alone', async () => {
    const world = await createToyFleet({ routers: 2 })
    world.router(1).refuseLogin = true
    await world.declare()
    const app = await world.start()
    await world.clock.runUntil(() => world.router(2).release === 'new', minutes(10))
    const device = await world.store.get('Device', { namespace: 'default', name: 'ap-1' })
    expect(device!.status.blocked).toMatchObject({ reason: 'AuthFailed' })
    expect(device!.status.conditions?.find(({ type }) => type === 'Stalled')?.reason).toBe('AuthFailed')
    await app.stop()
  })
})

describe('a restart', () => {
  test('at any moment flashes nothing twice and strands nothing', async () => {
    for (let cut = 0; cut < 60; cut += 3) {
      const world = await createToyFleet({ routers: 3 })
      await world.declare()
      const first = await world.start()
      await world.clock.advance(cut * 1000)
      await first.stop()
      const second = await world.start()
      await world.clock.runUntil(
        () => [...world.routers.values()].every((router) => router.release === 'new'),
        minutes(60),
      )
      await world.clock.advance(minutes(2))
      expect(flashes(world)).toEqual([1, 1, 1])
      expect((await operations(world)).map((operation) => operation.status.phase)).toEqual([
        'Succeeded',
        'Succeeded',
        'Succeeded',
      ])
      await second.stop()
    }
  })
})

test('a device that is down when a controller starts is asked again as its policy says', async () => {
  const offline = { action: 'Wait', recheck: '1m', maxRecheck: '1m', expireAfter: '0s' } as const
  const world = await createToyFleet({
    routers: 1,
    policy: { offline },
    // A cluster tells of its kinds in any order: here the policies come last.
    decorate: (store) => ({
      ...store,
      follow: ({ kinds, signal }) => {
        const others = kinds.filter((kind) => kind !== 'UpgradePolicy')
        return store.follow({ kinds: [...others, 'UpgradePolicy'], signal })
      },
    }),
  })
  await world.declare()
  const first = await world.start()
  await world.clock.runUntil(() => world.router(1).release === 'new', minutes(10))
  await world.clock.advance(minutes(2))
  await first.stop()
  world.router(1).up = false
  await world.clock.advance(24 * minutes(60))
  const second = await world.start()
  await world.clock.advance(minutes(1) / 4)
  const { failedProbes, nextProbeTime } = (await world.store.list('Device')).items[0]!.status
  expect(failedProbes).toBe(1)
  expect(Date.parse(nextProbeTime!) - world.clock.now()).toBeLessThan(minutes(2))
  await second.stop()
})

test('nobody asks a device whose upgrade has ended before the process that ends it has left it', async () => {
  let connects: number | undefined
  const world = await createToyFleet({
    routers: 1,
    decorate: (store, clock) => ({
      ...store,
      async saveStatus(object) {
        const saved = await store.saveStatus(object)
        if (object.kind !== 'UpgradeOperation' || object.status.phase !== 'Succeeded') return saved
        // The store has told everybody, and its answer is on its way.
        expect(world.sessions()).toBe(1)
        const before = world.connects()
        await clock.sleep(20_000)
        connects = world.connects() - before
        return saved
      },
    }),
  })
  await world.declare()
  const app = await world.start()
  await world.clock.runUntil(() => connects !== undefined, 10 * 60_000)
  expect(connects).toBe(0)
  await world.clock.advance(10_000)
  expect(world.sessions()).toBe(0)
  const [device] = (await world.store.list('Device')).items
  expect(device!.status.operationRef).toBeUndefined()
  await app.stop()
})

test('nobody is left on a device that is given back, however slow a session or the store is', async () => {
  const slowMs = 20_000
  const left: number[] = []
  const world = await createToyFleet({
    routers: 1,
    closeMs: 1000,
    decorate: (store, clock) => ({
      ...store,
      async saveStatus(object) {
        const before = await store.get(object.kind, object.metadata)
        const isFreed =
          before?.kind === 'Device' &&
          object.kind === 'Device' &&
          before.status.operationRef &&
          !object.status.operationRef
        if (!isFreed) return store.saveStatus(object)
        left.push(world.sessions())
        const saved = await store.saveStatus(object)
        await clock.sleep(slowMs)
        left.push(world.sessions())
        return saved
      },
    }),
  })
  await world.declare()
  const app = await world.start()
  await world.clock.runUntil(() => left.length === 2, 10 * 60_000)
  expect(world.router(1).release).toBe('new')
  expect(left).toEqual([0, 0])
  await app.stop()
})
