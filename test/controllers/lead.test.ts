import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { whenAnswered, writesOfLeader } from '../../src/controllers/lead.ts'
import { ReflashError, type ErrorCode } from '../../src/core/errors.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import { manifest } from '../support/toy-fleet.ts'

test('who has lost the lead reads on, and writes nothing', async () => {
  const store = createMemoryStore({ clock: createManualClock() })
  let isLeader = true
  const standing = () => ({ isLeader, holder: undefined, transitions: 0 })
  const own = writesOfLeader(store, { standing })
  const category = await own.create(manifest('Category', 'ap', { upgrader: 'toy' }))
  const before = await store.list('Category')
  isLeader = false
  const writes = [
    () => own.create(manifest('Category', 'other', { upgrader: 'toy' })),
    () => own.setFinalizers(category, ['example.org/mine']),
    () => own.saveStatus({ ...category, status: { observedGeneration: 1 } }),
    () => own.delete('Category', category.metadata),
  ]
  for (const write of writes) await expect(write()).rejects.toMatchObject({ code: 'NotLeader' })
  expect(await own.list('Category')).toEqual(before)
  expect(await own.get('Category', category.metadata)).toEqual(category)
})

/** Asks with answers that fail with these codes at first. */
function createAsking(...codes: ErrorCode[]) {
  const clock = createManualClock()
  const told: FleetEvent[] = []
  const stop = new AbortController()
  const ask = async (): Promise<string> => {
    const code = codes.shift()
    if (code) throw new ReflashError(code, 'says the test')
    return 'answered'
  }
  const events = { emit: (event: FleetEvent) => void told.push(event) }
  return { clock, told, stop, asking: whenAnswered(ask, { events, clock }, stop.signal) }
}

test('what an API server cannot say now is asked for once a second, and told once', async () => {
  const { clock, told, asking } = createAsking('ServerUnavailable', 'Expired', 'ServerUnavailable')
  await clock.advance(2999)
  expect(told).toHaveLength(1)
  await clock.advance(1)
  expect(await asking).toBe('answered')
  expect(clock.monotonic()).toBe(3000)
})

test('what waiting does not cure is not asked again', async () => {
  await expect(createAsking('Invalid').asking).rejects.toMatchObject({ code: 'Invalid' })
})

test('whoever is to stop does not wait for an answer', async () => {
  const { clock, stop, asking } = createAsking('ServerUnavailable')
  await clock.advance(10)
  stop.abort()
  expect(await asking).toBeUndefined()
})
