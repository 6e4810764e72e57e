import { createMemoryRecords } from '../../src/adapters/memory/record-store.ts'
import { makeStateFolder } from '../support/state-folder.ts'
import { recordStoreContract } from './record-store.ts'

recordStoreContract('in memory', async () => ({ records: createMemoryRecords(), close: async () => {} }))

recordStoreContract('in SQLite', async () => {
  const place = await makeStateFolder()
  let state = await place.open()
  return {
    records: state.records,
    close: async () => {
      await state.close()
      await place.remove()
    },
    reopen: async () => {
      await state.close()
      state = await place.open()
      return state.records
    },
  }
})
