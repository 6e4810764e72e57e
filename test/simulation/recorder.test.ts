import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { device } from '../support/core-objects.ts'
import { createRecorder } from './recorder.ts'

test('the texts of a status are noted, also of one that the next write replaces', async () => {
  const clock = createManualClock()
  const recorder = createRecorder(clock)
  const store = recorder.store(createMemoryStore({ clock }))
  const declared = await store.apply(device())
  const blocked = { reason: 'Held', message: 'for a moment' }
  const saved = await store.saveStatus({ ...declared, status: { osIdentifier: 'Toy 1', blocked } })
  await store.saveStatus({ ...saved, status: { osIdentifier: 'Toy 2' } })
  expect([...recorder.notes.texts]).toEqual(expect.arrayContaining(['Toy 1', 'for a moment', 'Toy 2']))
})
