import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { device, operation } from '../support/core-objects.ts'
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

const given = 'claim: ap-1 was given up while one was Uploading'

test.each([
  { says: 'is at work', phase: 'Uploading', next: undefined, finds: [given] },
  { says: 'is at work, to another one', phase: 'Uploading', next: 'two', finds: [given] },
  { says: 'is at work, and keeps it', phase: 'Uploading', next: 'one', finds: [] },
  { says: 'has ended', phase: 'Failed', next: undefined, finds: [] },
  { says: 'is queued again', phase: 'Queued', next: undefined, finds: [] },
  { says: 'nobody knows', phase: undefined, next: undefined, finds: [] },
  { says: 'is at work, of an older state', phase: 'Uploading', next: undefined, isOlder: true, finds: [] },
] as const)('a device is given up whose operation $says', async ({ phase, next, finds, ...row }) => {
  const clock = createManualClock()
  const recorder = createRecorder(clock)
  const store = recorder.store(createMemoryStore({ clock }))
  const declared = await store.apply(device())
  if (phase) {
    const made = await store.apply(operation('one'))
    const connecting = await store.saveStatus({ ...made, status: { phase: 'Connecting' } })
    await store.saveStatus({ ...connecting, status: { phase } })
  }
  const claimed = await store.saveStatus({ ...declared, status: { operationRef: { name: 'one' } } })
  if ('isOlder' in row) recorder.putBack([claimed], { ofMs: 0, writesKnown: 0 })
  await store.saveStatus({ ...claimed, status: next ? { operationRef: { name: next } } : {} })
  expect(recorder.notes.lostHolds).toEqual(finds)
})
