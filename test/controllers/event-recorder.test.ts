import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryEvents } from '../../src/adapters/memory/event-table.ts'
import type { Kind } from '../../src/api/resources.ts'
import { defaults } from '../../src/config.ts'
import { openEventRecorder, type EventRecorder } from '../../src/controllers/event-recorder.ts'
import { isEventReason } from '../../src/core/event-reasons.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import type { EventTable } from '../../src/ports/event-table.ts'
import { createToyFleet } from '../support/toy-fleet.ts'

const minutes = (count: number): number => count * 60_000
type World = Awaited<ReturnType<typeof createToyFleet>>

/** What `kubectl describe` shows of one object, oldest first, after a whole run. */
function describer(events: readonly FleetEvent[]) {
  const log = openEventRecorder({
    table: createMemoryEvents(),
    clock: createManualClock(Date.parse('2026-01-01T00:00:00Z')),
    metadataOf: () => undefined,
    newUid: () => 'uid',
    onFailure: () => {},
    limits: { perObject: 1000 },
  })
  for (const event of events) log.emit(event)
  const all = log.list().toSorted((a, b) => a.version - b.version)
  expect(all.filter(({ reason }) => !isEventReason(reason))).toEqual([])
  return (kind: Kind | 'Namespace', name: RegExp | string) =>
    all
      .filter(
        ({ regarding }) =>
          regarding.kind === kind && (regarding.name.match(name)?.[0] ?? '') === regarding.name,
      )
      .map(({ type, reason, message, count }) => ({ type, reason, message, count }))
}
const reasons = (events: { reason: string }[]): string[] => events.map(({ reason }) => reason)

async function settle(world: World, ms = minutes(60)) {
  await world.declare()
  const app = await world.start()
  await world.clock.advance(ms)
  return app
}

describe('what describe shows', () => {
  test('of an upgrade that goes well, on each kind', async () => {
    const world = await createToyFleet({ routers: 2 })
    const app = await settle(world)
    const events = describer(world.events)
    expect(reasons(events('UpgradeOperation', /ap-1-.*/))).toEqual([
      'Created',
      'Connecting',
      'Checking',
      'Uploading',
      'Testing',
      'Flashing',
      'Rebooting',
      'Succeeded',
    ])
    expect(events('UpgradeOperation', /ap-1-.*/).filter(({ message }) => message === '')).toEqual([])
    expect(events('Device', 'ap-1')).toMatchObject([
      { type: 'Normal', reason: 'FirstSeen', message: 'runs old on toy; pinned its host keys: ssh-ed25519' },
      { type: 'Normal', reason: 'UpgradeStarted' },
      { type: 'Normal', reason: 'FlashStarted' },
      {
        type: 'Normal',
        reason: 'UpgradeSucceeded',
        message: expect.stringMatching(/^operation ap-1-\S+-1: runs new/),
      },
      { type: 'Normal', reason: 'UpToDate', message: 'runs new' },
    ])
    expect(reasons(events('UpgradePolicy', 'all'))).toEqual(['Progressing', 'Converged'])
    expect(events('FirmwareImage', 'image')).toMatchObject([{ reason: 'Ready', message: 'for toy' }])
    expect(reasons(events('Build', 'new'))).toEqual(['Ready'])
    expect(reasons(events('Category', 'ap'))).toEqual(['Ready'])
    // A day in which nothing changes is a day without events.
    const told = world.events.length
    await world.clock.advance(24 * minutes(60))
    expect(world.events.slice(told).filter(({ type }) => type !== 'Log')).toEqual([])
    await app.stop()
  })

  test('of flashes that fail: the class, and what the policy makes of it', async () => {
    const world = await createToyFleet({ routers: 2 })
    world.router(1).flash = 'rolls back'
    world.router(2).flash = 'never returns'
    const app = await settle(world)
    const events = describer(world.events)
    expect(events('Device', 'ap-1').find(({ reason }) => reason === 'UpgradeFailed')).toMatchObject({
      type: 'Warning',
      message: expect.stringMatching(/^operation ap-1-\S+-1: RolledBack: rebooted, but still runs old/),
    })
    expect(events('Device', 'ap-2').find(({ reason }) => reason === 'UpgradeLost')).toMatchObject({
      type: 'Warning',
      message: expect.stringContaining(': Lost: has not come back'),
    })
    expect(events('UpgradeOperation', /ap-2-.*/).at(-1)).toMatchObject({ type: 'Warning', reason: 'Failed' })
    expect(reasons(events('UpgradePolicy', 'all'))).toContain('Degraded')
    expect(reasons(events('UpgradePolicy', 'all'))).not.toContain('Converged')
    await app.stop()
  })

  test('of a router that is dark for days: that it is, once, and when it is back', async () => {
    const world = await createToyFleet({ routers: 1 })
    world.router(1).up = false
    const app = await settle(world, 3 * 24 * minutes(60))
    expect(describer(world.events)('Device', 'ap-1')).toEqual([
      { type: 'Warning', reason: 'Unreachable', message: '192.0.2.1 does not answer', count: 1 },
    ])
    world.router(1).up = true
    await world.clock.advance(24 * minutes(60))
    expect(reasons(describer(world.events)('Device', 'ap-1')).slice(0, 3)).toEqual([
      'Unreachable',
      'FirstSeen',
      'UpgradeStarted',
    ])
    world.router(1).up = false
    await world.clock.advance(minutes(60))
    world.router(1).up = true
    await world.clock.advance(24 * minutes(60))
    const last = describer(world.events)('Device', 'ap-1').at(-1)
    expect(last).toMatchObject({ type: 'Normal', reason: 'Reachable', message: 'runs new on toy' })
    await app.stop()
  })

  test('of a login that is refused: that, and not that it is unreachable', async () => {
    const world = await createToyFleet({ routers: 1 })
    world.router(1).refuseLogin = true
    const app = await settle(world, 24 * minutes(60))
    expect(describer(world.events)('Device', 'ap-1')).toEqual([
      { type: 'Warning', reason: 'AuthFailed', message: '192.0.2.1 refuses the password', count: 1 },
    ])
    await app.stop()
  })

  test('of a policy that is stopped and let go again', async () => {
    const world = await createToyFleet({ routers: 1, policy: { state: 'Pause' } })
    const app = await settle(world, minutes(5))
    world.halt('HALT exists')
    const policy = (await world.store.list('UpgradePolicy')).items[0]!
    await world.store.apply({ ...policy, spec: { ...policy.spec, state: 'Run' } })
    await world.clock.advance(minutes(5))
    world.halt(undefined)
    await world.clock.advance(minutes(20))
    expect(reasons(describer(world.events)('UpgradePolicy', 'all'))).toEqual([
      'Paused',
      'Halted',
      'Progressing',
      'Resumed',
      'Converged',
    ])
    await app.stop()
  })
})

describe('what has no object of ours', () => {
  test('is told on the namespace, and a bug on the object that met it', () => {
    const events = describer([
      { type: 'Warning', reason: 'DirectoryVanished', message: 'gone' },
      { type: 'Bug', controller: 'rollout', key: 'east/all', error: new ReflashError('Invalid', 'odd') },
      { type: 'Bug', controller: 'chores', key: 'all/chores', error: new Error('odd \u001b[31m') },
    ])
    expect(events('Namespace', 'default')).toEqual([
      { type: 'Warning', reason: 'DirectoryVanished', message: 'gone', count: 1 },
      { type: 'Warning', reason: 'InternalError', message: String.raw`chores: odd \x1b[31m`, count: 1 },
    ])
    expect(reasons(events('UpgradePolicy', 'all'))).toEqual(['InternalError'])
  })
})

describe('a recorder', () => {
  const begin = Date.parse('2026-01-01T00:00:00Z')
  const dark = (device: number): FleetEvent => ({
    type: 'Warning',
    kind: 'Device',
    object: { namespace: 'default', name: `ap-${device}` },
    reason: 'Unreachable',
    message: 'does not answer',
  })
  const open = (table: EventTable, failures: unknown[] = []) => {
    const clock = createManualClock(begin)
    const log: EventRecorder = openEventRecorder({
      table,
      clock,
      metadataOf: () => undefined,
      newUid: () => 'uid',
      onFailure: (error) => failures.push(error),
    })
    return { clock, log }
  }

  test('is not flooded by ten thousand dark routers', async () => {
    const table = createMemoryEvents()
    const { clock, log } = open(table)
    for (let round = 0; round < 10; round += 1) {
      for (let device = 0; device < 10_000; device += 1) log.emit(dark(device))
    }
    expect(log.list()).toHaveLength(10_000)
    expect(new Set(log.list().map(({ count }) => count))).toEqual(new Set([10]))
    // Each save takes a part, so that none of them keeps the controllers waiting.
    await clock.advance(1000)
    expect(table.load()).toHaveLength(1000)
    await clock.advance(9000)
    expect(table.load()).toHaveLength(10_000)
    log.close()
  })

  test('keeps the last hour of a large fleet that is upgraded as fast as unchanged flags allow', async () => {
    const world = await createToyFleet({ routers: 1 })
    const app = await settle(world)
    await app.stop()
    const upgrade = world.events.filter(({ type }) => type === 'Phase' || type === 'Info')
    const about = JSON.stringify(upgrade.filter((event) => JSON.stringify(event).includes('ap-1')))
    const upgradeOf = (device: number): FleetEvent[] =>
      JSON.parse(about.replaceAll('ap-1', `ap-${device}`)) as FleetEvent[]
    const perMinute = Number(defaults.maxStartsPerMinute)

    const { clock, log } = open(createMemoryEvents())
    for (let device = 0; device < 10_000; device += 1) log.emit(dark(device))
    for (let minute = 0; minute < 60; minute += 1) {
      for (let start = 0; start < perMinute; start += 1)
        for (const event of upgradeOf(minute * perMinute + start)) log.emit(event)
      await clock.advance(minutes(1))
    }
    const kept = log.list()
    expect(new Set(kept.map(({ regarding }) => `${regarding.kind} ${regarding.name}`)).size).toBe(
      10_000 + 60 * perMinute,
    )
    expect(kept.filter(({ reason }) => reason === 'Succeeded')).toHaveLength(60 * perMinute)
    expect(kept.filter(({ reason }) => reason === 'Unreachable')).toHaveLength(10_000)
    log.close()
  })

  test('goes on in memory while it cannot write, and writes it all when it can', async () => {
    const table = createMemoryEvents()
    const failures: unknown[] = []
    let tries = 0
    let isFull = true
    const { clock, log } = open(
      {
        load: () => table.load(),
        save(changes) {
          tries += 1
          if (isFull) throw new ReflashError('StateUnusable', 'the disk is full')
          table.save(changes)
        },
      },
      failures,
    )
    for (let device = 0; device < 100; device += 1) {
      log.emit(dark(device))
      await clock.advance(1000)
    }
    expect(log.list()).toHaveLength(100)
    expect(failures.map(String)).toEqual(['ReflashError: the disk is full'])
    expect(tries).toBeLessThan(10)
    isFull = false
    await clock.advance(60_000)
    expect(table.load()).toHaveLength(100)
    isFull = true
    log.emit(dark(1))
    log.close()
    expect(failures).toHaveLength(2)
  })
})
