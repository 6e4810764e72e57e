import { createMemoryEvents } from '../../src/adapters/memory/event-table.ts'
import { makeStateFolder } from '../support/state-folder.ts'
import { eventLogContract } from './event-log.ts'
import { eventTableContract, type EventsWorld } from './event-table.ts'

const inMemory = async (): Promise<EventsWorld> => ({
  events: createMemoryEvents(),
  close: async () => {},
})

async function inSqlite(): Promise<EventsWorld> {
  const place = await makeStateFolder()
  let state = await place.open()
  return {
    events: state.events,
    close: async () => {
      await state.close()
      await place.remove()
    },
    reopen: async () => {
      await state.close()
      state = await place.open()
      return state.events
    },
  }
}

for (const [name, open] of [
  ['in memory', inMemory],
  ['in SQLite', inSqlite],
] as const) {
  eventTableContract(name, open)
  eventLogContract(name, open)
}
