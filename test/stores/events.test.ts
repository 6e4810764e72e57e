import { stat } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { openDatabase } from '../../src/adapters/sqlite/database.ts'
import { createEventTable } from '../../src/adapters/sqlite/event-table.ts'
import { rowSum } from '../../src/adapters/sqlite/row-sum.ts'
import { readState } from '../../src/adapters/sqlite/state.ts'
import { openEventRecorder } from '../../src/controllers/event-recorder.ts'
import type { EventTable } from '../../src/ports/event-table.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import { category } from '../support/category.ts'
import { makeStateFolder, type StateFolder } from '../support/state-folder.ts'

let place: StateFolder
beforeEach(async () => {
  place = await makeStateFolder()
})
afterEach(() => place.remove())

const dark = (device: number, message = 'does not answer'): FleetEvent => ({
  type: 'Warning',
  kind: 'Device',
  object: { namespace: 'default', name: `ap-${device}` },
  reason: 'Unreachable',
  message,
})

function record(table: EventTable, failures: unknown[] = []) {
  const clock = createManualClock(Date.parse('2026-01-01T00:00:00Z'))
  const log = openEventRecorder({
    table,
    clock,
    metadataOf: () => ({ uid: 'd9b2d63d-a233-4123-847a-7a3a5b1e9f10' }),
    newUid: () => 'a3c5e1f0-5a0b-4f0e-9d43-0b1d7d6a7c11',
    onFailure: (error) => failures.push(error),
  })
  return { clock, log }
}

/** Changes a closed file behind the back of Reflash. */
function tamper(sql: string): void {
  const database = new DatabaseSync(place.path)
  database.exec(sql)
  database.close()
}

const sizeOf = async (suffix: string): Promise<number> => (await stat(`${place.path}${suffix}`)).size

describe('events in the state file', () => {
  it('take no more room after 120,000 of them than the bounds allow', { timeout: 120_000 }, async () => {
    const state = await place.open()
    const { clock, log } = record(state.events)
    const sizes: number[] = []
    for (let count = 0; count < 120_000; count += 1) {
      log.emit(dark(count % 3000, `does not answer, said ${count} times so far`))
      if (count % 1000 === 999) await clock.advance(2000)
      if (count % 60_000 === 59_999) sizes.push(await sizeOf(''))
    }
    log.close()
    expect(state.events.load()).toHaveLength(50_000)
    const mebibytes = (bytes: number): number => bytes / 1024 / 1024
    expect(mebibytes(await sizeOf('-wal'))).toBeLessThan(16)
    await state.close()
    expect(mebibytes(await sizeOf(''))).toBeLessThan(50)
    // Full after the first 50,000: from there on room is used again.
    expect(sizes.at(-1)).toBeLessThan(1.6 * sizes[0]!)
  })

  it('are left out one by one where they are damaged', async () => {
    const first = await place.open()
    const { log } = record(first.events)
    for (const device of [1, 2, 3, 4]) log.emit(dark(device))
    log.close()
    const [, , , last] = first.events.load()
    await first.close()
    tamper(`
      UPDATE events SET json = 'x' || json WHERE name LIKE 'ap-1.%';
      UPDATE events SET json = 'null' WHERE name LIKE 'ap-2.%';
      UPDATE events SET json = replace(json, '"count":1', '"count":"1"') WHERE name LIKE 'ap-3.%';
    `)
    const second = await place.open()
    expect(second.events.load()).toEqual([last])
    await second.close()
  })

  it('get their table in a file of the schema before', async () => {
    const state = await place.open()
    const kept = await state.resources.create(category('ap'))
    await state.close()
    const sum = rowSum('meta', 'schema', '1').toString('hex')
    tamper(`DROP TABLE events; UPDATE meta SET value = '1', sum = x'${sum}' WHERE name = 'schema'`)
    expect((await readState(place.path)).resources).toEqual([kept])

    for (let run = 0; run < 2; run += 1) {
      const next = await place.open()
      const { log } = record(next.events)
      log.emit(dark(1))
      log.close()
      expect(await next.resources.list('Category')).toMatchObject({ items: [kept] })
      expect(next.events.load()).toMatchObject([{ count: run + 1 }])
      await next.close()
    }
  })

  it('wait in memory while the disk is full, and stop nothing', async () => {
    await (await place.open()).close()
    const database = openDatabase(place.path, { readOnly: false })
    const table = createEventTable(database)
    const failures: unknown[] = []
    const { clock, log } = record(table, failures)
    const pages = Number(database.connection.prepare('PRAGMA page_count').get()!['page_count'])
    database.connection.exec(`PRAGMA max_page_count=${pages + 1}`)
    for (let device = 0; device < 500; device += 1) log.emit(dark(device))
    await clock.advance(2000)
    expect(failures.map(String)).toEqual([expect.stringContaining('the disk is full')])
    expect(log.list()).toHaveLength(500)
    expect(table.load()).toEqual([])

    database.connection.exec('PRAGMA max_page_count=100000')
    await clock.advance(60_000)
    expect(table.load()).toHaveLength(500)
    log.close()
    database.close()
  })
})
