import { describe, expect, it } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { compareVersions, type DeclaredStore } from '../../src/ports/resource-store.ts'
import { category } from '../support/category.ts'
import { makeStateFolder } from '../support/state-folder.ts'
import { declaredStoreContract, resourceStoreContract } from './resource-store.ts'

const history = { changes: 100, characters: 10_000_000 }
const expire = async (store: DeclaredStore): Promise<void> => {
  for (let number = 0; number < 150; number += 1)
    await store.apply(category('other', { description: `${number}` }))
}

resourceStoreContract('in memory', async () => {
  const store = createMemoryStore({ clock: createManualClock(), history })
  return {
    store,
    declare: (manifest) => store.apply(manifest),
    expire: () => expire(store),
    close: async () => {},
  }
})

declaredStoreContract('in memory', async () => ({
  store: createMemoryStore({ clock: createManualClock() }),
  close: async () => {},
}))

resourceStoreContract('in SQLite', async () => {
  const place = await makeStateFolder()
  let state = await place.open(history)
  return {
    store: state.resources,
    declare: (manifest) => state.resources.apply(manifest),
    expire: () => expire(state.resources),
    close: async () => {
      await state.close()
      await place.remove()
    },
    reopen: async () => {
      await state.close()
      state = await place.open(history)
      return state.resources
    },
  }
})

declaredStoreContract('in SQLite', async () => {
  const place = await makeStateFolder()
  const state = await place.open()
  return {
    store: state.resources,
    close: async () => {
      await state.close()
      await place.remove()
    },
  }
})

describe('compareVersions', () => {
  it('orders decimal numbers of any length', () => {
    const ordered = [
      '0',
      '1',
      '9',
      '10',
      '99',
      '100',
      '9007199254740993',
      '9007199254740994',
      '90071992547409930',
    ]
    const shuffled = ordered.toReversed()
    expect(shuffled.toSorted(compareVersions)).toEqual(ordered)
    expect(compareVersions('17', '17')).toBe(0)
  })
})
