import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { writesOfLeader } from '../../src/controllers/lead.ts'
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
