import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import type { Category } from '../../src/api/resources.ts'
import { Fleet, writeThrough } from '../../src/controllers/fleet.ts'
import { hasCode } from '../../src/core/errors.ts'
import type { ResourceStore } from '../../src/ports/resource-store.ts'
import { manifest } from '../support/toy-fleet.ts'

/** A store whose answers to writes and reads wait, and a fleet that knows one category of it. */
async function createLateAnswers() {
  const clock = createManualClock()
  const store = createMemoryStore({ clock })
  const fleet = new Fleet(clock)
  const category = await store.create(manifest('Category', 'ap', { upgrader: 'toy' }))
  fleet.apply('Added', category)
  const answers = Promise.withResolvers<void>()
  const late: ResourceStore = {
    ...store,
    get: async (kind, key) => {
      const object = await store.get(kind, key)
      await answers.promise
      return object
    },
    saveStatus: async (object) => {
      const saved = await store.saveStatus(object)
      await answers.promise
      return saved
    },
  }
  const status: Category['status'] = { observedGeneration: 1 }
  const known = (): Category | undefined => fleet.get('Category', category.metadata)
  return {
    store,
    fleet,
    category,
    known,
    write: () => writeThrough(late, fleet).saveStatus({ ...known()!, status }),
    /** The end of the category, as it is told. */
    end: async () => {
      await store.delete('Category', category.metadata)
      fleet.apply('Deleted', category)
    },
    answer: () => answers.resolve(),
  }
}

test('the answer to a write, come after word of the end, brings nothing back', async () => {
  const late = await createLateAnswers()
  const writing = late.write()
  // What was written is told before the end is.
  await late.end()
  late.answer()
  await writing
  expect(late.known()).toBeUndefined()
})

test('what was read for a write that lost, come after word of the end, brings nothing back', async () => {
  const late = await createLateAnswers()
  await late.store.saveStatus({ ...late.category, status: { observedGeneration: 7 } })
  const writing = late.write().catch((error: unknown) => error)
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
  await late.end()
  late.answer()
  expect(hasCode(await writing, 'Conflict')).toBe(true)
  expect(late.known()).toBeUndefined()
})

test('whoever has written, and whoever has lost to a write, knows what is stored', async () => {
  const late = await createLateAnswers()
  late.answer()
  const saved = await late.write()
  expect(late.known()).toEqual(saved)
  const next = await late.store.saveStatus({ ...saved, status: { observedGeneration: 7 } })
  await expect(late.write()).rejects.toMatchObject({ code: 'Conflict' })
  expect(late.known()).toEqual(next)
})
