import { describe, expect, test } from 'vitest'
import { createMetrics } from '../../src/adapters/metrics/registry.ts'
import { readFleet } from '../../src/controllers/fleet-samples.ts'
import { parseExposition, valueOf } from '../support/exposition.ts'
import { createToyFleet } from '../support/toy-fleet.ts'

const minutes = (count: number): number => count * 60_000

type ToyOptions = Parameters<typeof createToyFleet>[0]

/** A toy fleet with a registry beside it, as the composition root puts them together. */
async function setUp(options: ToyOptions, { perDevice = false, declared = true } = {}) {
  const world = await createToyFleet(options)
  const metrics = createMetrics({ clock: world.clock, version: '1.2.3', process: false })
  if (declared) await world.declare()
  const start = async () => {
    const app = await world.start({ metrics })
    const { fleet, governor, clock } = app.ports
    metrics.onScrape(() => readFleet({ fleet, governor, clock, perDevice }))
    return app
  }
  const text = async (): Promise<string> => {
    await world.clock.advance(1000)
    return metrics.text()
  }
  return { world, metrics, start, text, read: async () => parseExposition(await text()) }
}

describe('the metrics of a fleet', () => {
  test('say where it stands, before, while and after it is upgraded', async () => {
    const { world, start, read } = await setUp({
      routers: 5,
      policy: { limits: { maxConcurrent: 2, startsPerMinute: 100 } },
    })
    world.halt('the test says so')
    const app = await start()
    await world.clock.advance(minutes(1))
    const before = await read()
    expect(valueOf(before, 'reflash_objects', { kind: 'Device' })).toBe(5)
    expect(valueOf(before, 'reflash_devices', { category: 'ap', up_to_date: 'False' })).toBe(5)
    expect(valueOf(before, 'reflash_devices', { reason: 'Halted' })).toBe(5)
    expect(valueOf(before, 'reflash_devices_reachable', { reachable: 'True' })).toBe(5)
    expect(valueOf(before, 'reflash_device_versions', { model: 'toy', version: '1.0.0' })).toBe(5)
    expect(valueOf(before, 'reflash_governor_stopped', { reason: 'Halted' })).toBe(1)
    expect(valueOf(before, 'reflash_governor_stopped', { reason: 'LostLimit' })).toBe(0)
    expect(valueOf(before, 'reflash_upgrades_total', { policy: 'all', class: 'Lost' })).toBe(0)
    expect(valueOf(before, 'reflash_upgrade_last_completion_timestamp_seconds')).toBeUndefined()

    world.halt(undefined)
    await world.clock.runUntil(() => app.fleet.allSlotsUsed() === 2, minutes(15))
    await world.clock.advance(10_000)
    const during = await read()
    expect(valueOf(during, 'reflash_governor_in_flight')).toBe(2)
    expect(valueOf(during, 'reflash_governor_starts_last_minute')).toBe(2)
    expect(valueOf(during, 'reflash_operations', { phase: 'Rebooting' })).toBe(2)
    expect(valueOf(during, 'reflash_oldest_operation_in_flight_seconds')).toBeGreaterThanOrEqual(10)
    expect(valueOf(during, 'reflash_devices', { reason: 'Upgrading' })).toBe(2)
    expect(valueOf(during, 'reflash_policy_devices', { policy: 'all', state: 'inFlight' })).toBe(2)

    await world.clock.runUntil(
      () => [...world.routers.values()].every(({ release, up }) => release === 'new' && up),
      minutes(30),
    )
    await world.clock.advance(minutes(2))
    const after = await read()
    expect(valueOf(after, 'reflash_devices', { up_to_date: 'True', reason: '' })).toBe(5)
    expect(valueOf(after, 'reflash_devices')).toBe(5)
    expect(valueOf(after, 'reflash_device_versions', { model: 'toy', version: 'new' })).toBe(5)
    expect(valueOf(after, 'reflash_policy_devices', { policy: 'all', state: 'onTarget' })).toBe(5)
    expect(valueOf(after, 'reflash_policy_phase', { policy: 'all', phase: 'Converged' })).toBe(1)
    expect(valueOf(after, 'reflash_policy_phase', { policy: 'all' })).toBe(1)
    expect(valueOf(after, 'reflash_upgrades_total', { result: 'Succeeded', class: '' })).toBe(5)
    expect(valueOf(after, 'reflash_upgrades_total')).toBe(5)
    expect(valueOf(after, 'reflash_oldest_operation_in_flight_seconds')).toBe(0)
    expect(valueOf(after, 'reflash_governor_in_flight')).toBe(0)
    const total = { step: 'Total', result: 'Succeeded' }
    expect(valueOf(after, 'reflash_upgrade_duration_seconds_count', total)).toBe(5)
    // A toy reboots in half a minute, and does everything else at once.
    expect(valueOf(after, 'reflash_upgrade_duration_seconds_bucket', { ...total, le: '15' })).toBe(0)
    expect(valueOf(after, 'reflash_upgrade_duration_seconds_bucket', { ...total, le: '60' })).toBe(5)
    const rebooting = { step: 'Rebooting', result: 'Succeeded' }
    expect(valueOf(after, 'reflash_upgrade_duration_seconds_sum', rebooting)).toBeGreaterThanOrEqual(5 * 29)
    const completed = valueOf(after, 'reflash_upgrade_last_completion_timestamp_seconds', {
      result: 'Succeeded',
    })
    expect(completed! * 1000).toBeGreaterThan(world.clock.now() - minutes(3))
    for (const controller of ['device', 'operation', 'policy', 'rollout', 'category', 'build', 'image']) {
      const turns = valueOf(after, 'controller_runtime_reconcile_total', { controller })
      expect(turns).toBeGreaterThan(0)
      expect(valueOf(after, 'workqueue_work_duration_seconds_count', { name: controller })).toBe(turns)
      expect(valueOf(after, 'workqueue_depth', { name: controller })).toBe(0)
      expect(valueOf(after, 'controller_runtime_reconcile_panics_total', { controller })).toBe(0)
    }
    await app.stop()
  })

  test('count a lost device once, and once more when it is seen again', async () => {
    const { world, start, read } = await setUp({ routers: 1 })
    const router = world.router(1)
    router.flash = 'never returns'
    const app = await start()
    await world.clock.advance(minutes(60))
    const lost = { policy: 'all', result: 'Failed', class: 'Lost' }
    const before = await read()
    expect(valueOf(before, 'reflash_upgrades_total', lost)).toBe(1)
    expect(valueOf(before, 'reflash_upgrades_total')).toBe(1)
    expect(valueOf(before, 'reflash_policy_devices', { state: 'lost' })).toBe(1)
    const durations = valueOf(before, 'reflash_upgrade_duration_seconds_count')
    router.up = true
    router.boot += 1
    router.release = 'new'
    await world.clock.advance(minutes(24 * 60))
    const after = await read()
    expect(valueOf(after, 'reflash_upgrades_total', { result: 'Succeeded' })).toBe(1)
    expect(valueOf(after, 'reflash_upgrades_total', lost)).toBe(1)
    expect(valueOf(after, 'reflash_upgrade_duration_seconds_count')).toBe(durations)
    await app.stop()
  })

  test('count nothing twice when the process is started again', async () => {
    const { world, start } = await setUp({ routers: 3 })
    const app = await start()
    await world.clock.advance(minutes(10))
    await app.stop()
    const again = createMetrics({ clock: world.clock, version: '1.2.3', process: false })
    const next = await world.start({ metrics: again })
    await world.clock.advance(minutes(1))
    const families = parseExposition(await again.text())
    expect(valueOf(families, 'reflash_upgrades_total')).toBe(0)
    expect(
      valueOf(families, 'reflash_upgrade_last_completion_timestamp_seconds', { result: 'Succeeded' }),
    ).toBeGreaterThan(0)
    await next.stop()
  })

  test('name devices only when that was asked for, and never their addresses or keys', async () => {
    for (const perDevice of [false, true]) {
      const { world, start, text } = await setUp({ routers: 3 }, { perDevice })
      const app = await start()
      await world.clock.advance(minutes(10))
      const shown = await text()
      const families = parseExposition(shown)
      expect(shown).not.toMatch(/192\.0\.2|AAAA|root|password/)
      expect(/ap-\d/.test(shown)).toBe(perDevice)
      expect(valueOf(families, 'reflash_device_info', { name: 'ap-2', version: 'new', target: 'new' })).toBe(
        perDevice ? 1 : undefined,
      )
      const seen = valueOf(families, 'reflash_device_last_seen_timestamp_seconds', { name: 'ap-2' })
      expect(seen === undefined).toBe(!perDevice)
      await app.stop()
    }
  })

  test('bound what devices say of themselves', async () => {
    const { world, start, read } = await setUp({ routers: 1 })
    const app = await start()
    await world.clock.advance(minutes(10))
    // Else it would look for them in the store.
    await app.stop()
    const [device] = app.fleet.list('Device')
    const said = (index: number): string => {
      if (index < 100) return 'A common model'
      return index === 100 ? 'evil"} 1\n# TYPE x\u202e\\' : `Model ${index} ${'x'.repeat(200)}`
    }
    for (let index = 0; index < 800; index += 1) {
      app.fleet.apply('Added', {
        ...device!,
        metadata: { ...device!.metadata, name: `d${index}`, uid: `u${index}` },
        status: { ...device!.status, model: said(index) },
      })
    }
    const families = await read()
    const { series } = families.get('reflash_device_versions')!
    expect(valueOf(families, 'reflash_device_versions')).toBe(801)
    expect(series).toHaveLength(501)
    expect(valueOf(families, 'reflash_device_versions', { model: 'A common model' })).toBe(100)
    expect(valueOf(families, 'reflash_device_versions', { model: 'other' })).toBe(801 - 100 - 499)
    for (const { labels } of series) expect(labels['model']).toMatch(/^[\x20-\x7e]{1,64}$/)
  })
})
