/** What an upgrade costs a store that others share, and what it still says. */
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import type { Device, UpgradeOperation, UpgradePolicy } from '../../src/api/resources.ts'
import { declareThrough, Fleet } from '../../src/controllers/fleet.ts'
import { recordablesOf } from '../../src/controllers/recorded.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { distant } from '../simulation/distant.ts'
import { countWrites } from '../support/counted-writes.ts'
import { createToyFleet, manifest } from '../support/toy-fleet.ts'

const second = 1000
const minute = 60 * second
const limits = (maxConcurrent: number) => ({ limits: { maxConcurrent, startsPerMinute: 1000 } })

/** A fleet of which everything is known, and a count of what it writes from here on. */
async function createKnownFleet(options: {
  routers: number
  maxConcurrent: number
  far?: boolean
  lingerMs?: number
  uploadMs?: number
}) {
  const { maxConcurrent, far = false, ...others } = options
  const writes = countWrites()
  const world = await createToyFleet({
    ...others,
    policy: { ...limits(maxConcurrent), state: 'Plan' },
    settings: { writesDurableOnly: true },
    decorate: (store, clock) =>
      writes.of(far ? distant(store, { clock, random: createRandom('way') }) : store),
  })
  await world.declare()
  const app = await world.start()
  await world.clock.advance(minute)
  writes.reset()
  const run = () =>
    world.store.apply(
      manifest('UpgradePolicy', 'all', {
        categoryRef: { name: 'ap' },
        target: { buildRef: { name: 'new' }, allowDowngrade: false, onUnknownVersion: 'Upgrade' },
        ...limits(maxConcurrent),
        state: 'Run',
      }),
    )
  const atTarget = async (): Promise<void> => {
    await world.clock.runUntil(
      () => [...world.routers.values()].every(({ release, up }) => release === 'new' && up),
      60 * minute,
    )
    await world.clock.advance(minute)
  }
  return { ...world, app, writes, run, atTarget }
}

/** Every version of the objects of a kind that the store holds from now on. */
function record<K extends 'Device' | 'UpgradeOperation' | 'UpgradePolicy'>(store: DeclaredStore, kind: K) {
  const stop = new AbortController()
  const versions: { Device: Device; UpgradeOperation: UpgradeOperation; UpgradePolicy: UpgradePolicy }[K][] =
    []
  void (async () => {
    for await (const event of store.follow({ kinds: [kind], signal: stop.signal }))
      if (event.type === 'Modified') versions.push(event.object as never)
  })()
  return { versions, stop: () => stop.abort() }
}

const upToDate = ({ status }: Device): string | undefined =>
  status.conditions?.find(({ type }) => type === 'UpToDate')?.status

describe('where every write costs others as well', () => {
  test.each([
    ['', false],
    [' of a store far away', true],
  ])('an upgrade is one new object and six writes%s', async (_, far) => {
    const fleet = await createKnownFleet({ routers: 20, maxConcurrent: 20, far })
    const { writes, run, atTarget, app, events } = fleet
    const before = events.length
    await run()
    await atTarget()
    const { 'status of UpgradePolicy': ofPolicy, ...others } = writes.counts()
    expect(others).toEqual({
      'create UpgradeOperation': 20,
      // The claim and the release.
      'status of Device': 2 * 20,
      // Connecting, the intent, Rebooting and the verdict.
      'status of UpgradeOperation': 4 * 20,
    })
    expect(ofPolicy).toBeLessThanOrEqual(6)
    // Each of these is a write as well, apart from the others and limited.
    const told = events.slice(before).flatMap(recordablesOf)
    expect(told.length / 20).toBeLessThanOrEqual(14)
    await app.stop()
  })

  test('who has to wait for a slot says so first', async () => {
    const { writes, run, atTarget, app } = await createKnownFleet({
      routers: 20,
      maxConcurrent: 5,
      far: true,
    })
    await run()
    await atTarget()
    expect(writes.counts()).toMatchObject({
      'create UpgradeOperation': 20,
      'status of Device': 2 * 20 + 15,
      'status of UpgradeOperation': 4 * 20,
    })
    expect(writes.total() / 20, writes.told()).toBeLessThanOrEqual(8.5)
    await app.stop()
  })

  test('each write of a device says where it stands from then on', async () => {
    const { store, run, atTarget, app, router } = await createKnownFleet({ routers: 1, maxConcurrent: 1 })
    const { versions, stop } = record(store, 'Device')
    router(1).failUploads = 1
    await run()
    await atTarget()
    stop()
    const standings = versions.map((device) => [
      device.status.operationRef !== undefined,
      device.status.blocked?.reason,
      upToDate(device),
    ])
    expect(standings).toEqual([
      [true, 'Upgrading', 'False'],
      [false, 'Retrying', 'False'],
      [true, 'Upgrading', 'False'],
      [false, undefined, 'True'],
    ])
    expect(versions.at(-1)!.status).toMatchObject({
      osIdentifier: 'new',
      buildRef: { name: 'new' },
      desiredBuildRef: { name: 'new' },
    })
    await app.stop()
  })

  test('what a look at a device that reboots brings is written with the verdict', async () => {
    const { store, run, atTarget, app } = await createKnownFleet({
      routers: 1,
      maxConcurrent: 1,
      lingerMs: 10 * second,
    })
    const { versions, stop } = record(store, 'UpgradeOperation')
    await run()
    await atTarget()
    stop()
    expect(versions.map(({ status }) => status.phase)).toEqual([
      'Connecting',
      'Flashing',
      'Rebooting',
      'Succeeded',
    ])
    expect(versions.at(-2)!.status.log).not.toContain('a line of the log')
    expect(versions.at(-1)!.status.log).toContain('a line of the log')
    await app.stop()
  })

  test('or after half a minute', async () => {
    const { store, run, atTarget, app } = await createKnownFleet({
      routers: 1,
      maxConcurrent: 1,
      lingerMs: 40 * second,
    })
    const { versions, stop } = record(store, 'UpgradeOperation')
    await run()
    await atTarget()
    stop()
    const rebooting = versions.filter(({ status }) => status.phase === 'Rebooting')
    const messages = rebooting.map(({ status }) => status.message)
    expect(messages).toEqual([
      'the device is silent on purpose while it writes and reboots',
      'still runs in its old boot, and an upgrade runs on it',
      'the device is silent on purpose while it writes and reboots',
    ])
    await app.stop()
  })

  test('an upload that is cancelled is undone, though nobody has written that it began', async () => {
    const { store, run, app, router, clock, connects } = await createKnownFleet({
      routers: 1,
      maxConcurrent: 1,
      uploadMs: 5 * minute,
    })
    await run()
    await clock.runUntil(() => router(1).stoppedServices, minute)
    const before = connects()
    const [operation] = (await store.list('UpgradeOperation')).items
    expect(operation!.status.phase).toBe('Connecting')
    await store.apply({ ...operation!, spec: { ...operation!.spec, cancel: true } })
    await clock.advance(10 * second)
    expect([router(1).stoppedServices, connects() - before]).toEqual([false, 1])
    expect((await store.list('UpgradeOperation')).items[0]!.status.phase).toBe('Cancelled')
    await app.stop()
  })

  test('the counts of a policy wait for one another, and what it has come to does not', async () => {
    const fleet = await createKnownFleet({ routers: 40, maxConcurrent: 40 })
    const { store, run, atTarget, app, clock, routers } = fleet
    for (const [index, router] of [...routers.values()].entries()) router.rebootMs += index * 500
    const { versions, stop } = record(store, 'UpgradePolicy')
    const times: number[] = []
    const stopClock = app.fleet.onChange(({ object }) => {
      if (object.kind === 'UpgradePolicy') times.push(clock.monotonic())
    })
    await run()
    await atTarget()
    stop()
    stopClock()
    const phases = versions.map(({ status }) => status.phase)
    expect(new Set(phases)).toEqual(new Set(['Planned', 'Progressing', 'Converged']))
    for (const [index, time] of times.entries()) {
      const isNews = phases[index] !== phases[index - 1]
      if (index > 0 && !isNews) expect(time - times[index - 1]!).toBeGreaterThanOrEqual(5 * second)
    }
    const back = Math.max(...[...routers.values()].map(({ bootedAt }) => bootedAt))
    expect(times[phases.indexOf('Converged')]! - back).toBeLessThan(4 * second)
    await app.stop()
  })
})

describe('writes of one object by one process', () => {
  const key = { namespace: 'default', name: 'ap-1' }

  async function createPair() {
    const clock = createManualClock()
    const writes = countWrites()
    const memory = createMemoryStore({ clock })
    await memory.apply(manifest('Device', 'ap-1', { categoryRef: { name: 'ap' }, addresses: ['192.0.2.1'] }))
    const fleet = new Fleet(clock)
    const store = declareThrough(writes.of(distant(memory, { clock, random: createRandom('pair') })), fleet)
    fleet.apply('Added', (await memory.get('Device', key))!)
    return { clock, writes, memory, fleet, store }
  }

  test('take turns, and the one that comes too late is not sent', async () => {
    const { clock, writes, memory, fleet, store } = await createPair()
    const device = fleet.get('Device', key)!
    const both = Promise.allSettled([
      store.saveStatus({ ...device, status: { board: 'first' } }),
      store.saveStatus({ ...device, status: { board: 'second' } }),
    ])
    await clock.advance(second)
    const [first, late] = await both
    expect(first.status).toBe('fulfilled')
    expect(late).toMatchObject({ status: 'rejected', reason: { code: 'Conflict' } })
    expect(writes.counts()).toEqual({ 'status of Device': 1 })
    expect((await memory.get('Device', key))!.status.board).toBe('first')
  })

  test('go on after one that was refused', async () => {
    const { clock, writes, memory, fleet, store } = await createPair()
    const device = fleet.get('Device', key)!
    await memory.saveStatus({ ...device, status: { board: 'another process' } })
    const refused = store
      .saveStatus({ ...device, status: { board: 'first' } })
      .catch((error: unknown) => error)
    await clock.advance(second)
    expect(await refused).toMatchObject({ code: 'Conflict' })
    const again = store.saveStatus({ ...fleet.get('Device', key)!, status: { board: 'second' } })
    await clock.advance(second)
    await again
    expect(writes.counts()).toEqual({ 'lost status of Device': 1, 'status of Device': 1 })
  })
})
