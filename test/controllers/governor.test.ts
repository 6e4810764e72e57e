import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryRecords } from '../../src/adapters/memory/record-store.ts'
import { openGovernor } from '../../src/controllers/governor.ts'

const dayMs = 24 * 3600_000

function createWorld() {
  const clock = createManualClock(Date.parse('2026-01-01T23:00:00Z'))
  const records = createMemoryRecords()
  const state: { halted?: string } = {}
  const open = (acknowledgedDate?: string, over = records) =>
    openGovernor({
      settings: { maxInFlight: 50, maxStartsPerMinute: 30, maxLostPerDay: 3 },
      records: over,
      brake: { halted: async () => state.halted },
      clock,
      ...(acknowledgedDate === undefined ? {} : { acknowledgedDate }),
    })
  return { clock, records, state, open }
}

describe('losses', () => {
  test('latch at the limit and not before, and name the day, the flag and the count', async () => {
    const governor = await createWorld().open()
    for (const name of ['a', 'b']) await governor.noteLost(name)
    expect(await governor.stop()).toBeUndefined()
    await governor.noteLost('c')
    expect(await governor.stop()).toEqual({
      reason: 'LostLimit',
      message:
        '3 devices were lost on 2026-01-01 (--max-lost-per-day 3); look at them, then start with --acknowledge-lost 2026-01-01',
    })
  })

  test('count each operation once, also on another day and after a restart', async () => {
    const world = createWorld()
    const governor = await world.open()
    for (const name of ['a', 'a', 'b']) await governor.noteLost(name)
    await world.clock.advance(dayMs)
    const again = await world.open()
    for (const name of ['a', 'b', 'c', 'd']) await again.noteLost(name)
    expect(await again.stop()).toBeUndefined()
    await again.noteLost('e')
    expect((await again.stop())?.message).toContain('3 devices were lost on 2026-01-02')
  })

  test('that could not be recorded are not counted, and are told again', async () => {
    const world = createWorld()
    let isFull = true
    const failing = {
      ...world.records,
      put: (name: string, value: unknown) =>
        isFull ? Promise.reject(new Error('the disk is full')) : world.records.put(name, value),
    }
    const broken = await world.open(undefined, failing)
    for (const name of ['a', 'b', 'c']) await expect(broken.noteLost(name)).rejects.toThrow('full')
    expect(await broken.stop()).toBeUndefined()
    isFull = false
    for (const name of ['a', 'b', 'c']) await broken.noteLost(name)
    expect(await broken.stop()).toMatchObject({ reason: 'LostLimit' })
  })

  test('stay latched over restarts and days', async () => {
    const world = createWorld()
    const governor = await world.open()
    for (const name of ['a', 'b', 'c']) await governor.noteLost(name)
    await world.clock.advance(40 * dayMs)
    expect(await (await world.open()).stop()).toMatchObject({ reason: 'LostLimit' })
  })

  test('that two controllers note at the same time are both remembered', async () => {
    const world = createWorld()
    const [one, other] = [await world.open(), await world.open()]
    await Promise.all([one.noteLost('a'), other.noteLost('b')])
    await one.noteLost('c')
    for (const governor of [one, other]) expect(await governor.stop()).toBeUndefined()
    for (const governor of [other, await world.open()]) {
      await governor.reload()
      expect((await governor.stop())?.message).toContain('3 devices were lost on 2026-01-01')
    }
  })

  test('that come after an acknowledgement are not acknowledged by whoever takes over', async () => {
    const world = createWorld()
    const standby = await world.open('2026-01-01')
    const leader = await world.open()
    for (const name of ['a', 'b', 'c']) await leader.noteLost(name)
    await standby.reload()
    expect(await standby.stop()).toMatchObject({ reason: 'LostLimit' })
  })

  test('are forgotten when nobody looks at their devices any more, unless they are latched', async () => {
    const world = createWorld()
    const governor = await world.open()
    for (const name of ['a', 'b', 'c']) await governor.noteLost(name)
    await world.clock.advance(dayMs)
    for (const name of ['d', 'e']) await governor.noteLost(name)
    const names = async () => (await world.records.list('lost/')).map(({ name }) => name)
    await world.clock.advance(30 * dayMs)
    await world.open()
    expect(await names()).toEqual(['lost/a', 'lost/b', 'lost/c', 'lost/d', 'lost/e'])
    await world.clock.advance(dayMs)
    await world.open()
    expect(await names()).toEqual(['lost/a', 'lost/b', 'lost/c'])
    await world.open('2026-01-01')
    expect(await names()).toEqual([])
  })

  test('are acknowledged for good by their date, and by no other', async () => {
    const world = createWorld()
    const governor = await world.open()
    for (const name of ['a', 'b', 'c']) await governor.noteLost(name)
    expect(await (await world.open('2026-01-02')).stop()).toMatchObject({ reason: 'LostLimit' })
    expect(await (await world.open('2026-01-01')).stop()).toBeUndefined()
    expect(await (await world.open()).stop()).toBeUndefined()
  })

  test('after an acknowledgement latch anew', async () => {
    const world = createWorld()
    const governor = await world.open()
    for (const name of ['a', 'b', 'c']) await governor.noteLost(name)
    const acknowledged = await world.open('2026-01-01')
    for (const name of ['d', 'e']) await acknowledged.noteLost(name)
    expect(await acknowledged.stop()).toBeUndefined()
    await acknowledged.noteLost('f')
    expect(await acknowledged.stop()).toMatchObject({ reason: 'LostLimit' })
    expect(await (await world.open()).stop()).toMatchObject({ reason: 'LostLimit' })
  })

  test('of two days name the older one until that is acknowledged', async () => {
    const world = createWorld()
    const governor = await world.open()
    for (const name of ['a', 'b', 'c']) await governor.noteLost(name)
    await world.clock.advance(dayMs)
    for (const name of ['d', 'e', 'f']) await governor.noteLost(name)
    expect((await governor.stop())?.message).toContain('2026-01-01')
    expect((await (await world.open('2026-01-01')).stop())?.message).toContain('2026-01-02')
  })
})

test('of two days the older one is named, in whatever order they were noted', async () => {
  const world = createWorld()
  const governor = await world.open()
  const loseThree = async (day: string) => {
    for (const name of ['a', 'b', 'c']) await governor.noteLost(`${day}-${name}`)
  }
  await loseThree('later')
  world.clock.jump(-dayMs)
  await loseThree('earlier')
  expect((await governor.stop())?.message).toContain('lost on 2025-12-31')
})

test('HALT is told in its own words, before losses, and passes when it is gone', async () => {
  const world = createWorld()
  const governor = await world.open()
  for (const name of ['a', 'b', 'c']) await governor.noteLost(name)
  world.state.halted = '/var/lib/state.db.HALT exists'
  expect(await governor.stop()).toEqual({ reason: 'Halted', message: '/var/lib/state.db.HALT exists' })
  delete world.state.halted
  expect(await governor.stop()).toMatchObject({ reason: 'LostLimit' })
})
