import { chmod, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { openDatabase, type Database } from '../../src/adapters/sqlite/database.ts'
import { createObjectTable } from '../../src/adapters/sqlite/object-table.ts'
import { createRecordStore } from '../../src/adapters/sqlite/record-store.ts'
import { createRowTotal } from '../../src/adapters/sqlite/row-total.ts'
import { readState } from '../../src/adapters/sqlite/state.ts'
import { createTableStore } from '../../src/adapters/table-store.ts'
import { createWatchLog } from '../../src/adapters/watch-log.ts'
import { hasCode, type ErrorCode } from '../../src/core/errors.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { category } from '../support/category.ts'
import { makeStateFolder, type StateFolder } from '../support/state-folder.ts'

let place: StateFolder
beforeEach(async () => {
  place = await makeStateFolder()
  await (await place.open()).close()
})
afterEach(() => place.remove())

const refusal = async (code: ErrorCode, work: () => unknown): Promise<string> => {
  const error: unknown = await (async () => work())().catch((reason: unknown) => reason)
  expect(hasCode(error, code), `rejects with ${code}, not ${String(error)}`).toBe(true)
  return (error as Error).message
}

const large = 'x'.repeat(50_000)
const storeOf = (database: Database, log = createWatchLog(1)): DeclaredStore => {
  const table = createObjectTable(database, 1, createRowTotal(database, '0'))
  return createTableStore({ table, log, clock: systemClock, newUid: () => 'uid' })
}
const putEvent = ({ connection }: Database, json: string): unknown =>
  connection.prepare("INSERT OR REPLACE INTO events (namespace, name, json) VALUES ('', '', ?)").run(json)

describe('a disk that is full', () => {
  it('loses the write that did not fit, and nothing else', async () => {
    const database = openDatabase(place.path, { readOnly: false })
    const log = createWatchLog(1)
    const store = storeOf(database, log)
    const first = await store.create(category('ap'))
    const pages = Number(database.connection.prepare('PRAGMA page_count').get()!['page_count'])
    database.connection.exec(`PRAGMA max_page_count=${pages + 1}`)
    const tooLarge = category('large', { description: large })
    const message = await refusal('StateFull', () => store.create(tooLarge))
    expect(message).toContain(`state file ${place.path} cannot be written: the disk is full`)

    // Neither the version nor a watcher has moved on.
    expect(await store.list('Category')).toEqual({
      items: [first],
      resourceVersion: first.metadata.resourceVersion,
    })
    const watch = log.watch({
      kinds: ['Category'],
      from: first.metadata.resourceVersion,
      signal: new AbortController().signal,
    })
    expect(await watch[Symbol.asyncIterator]().next()).toMatchObject({ value: { type: 'Bookmark' } })

    // With room again it goes on.
    database.connection.exec('PRAGMA max_page_count=100000')
    const second = await store.create(tooLarge)
    database.close()
    expect((await readState(place.path)).resources).toEqual([first, second])
    // Nor has the total of its rows, which a start compares.
    await (await place.open()).close()
  })

  it.each<[string, (database: Database) => Promise<unknown>]>([
    ['an object', (database) => storeOf(database).create(category('large', { description: large }))],
    [
      'a record',
      (database) => createRecordStore(database, createRowTotal(database, '0')).put('large', large),
    ],
    ['an event', async (database) => database.write(() => putEvent(database, large))],
  ])('is told once while %s finds no room, and again when it is full again', async (_, write) => {
    const database = openDatabase(place.path, { readOnly: false })
    const told: string[] = []
    database.onFull(({ message }) => told.push(message))
    const allowPages = (count: number): void => database.connection.exec(`PRAGMA max_page_count=${count}`)
    for (let spell = 1; spell <= 2; spell += 1) {
      allowPages(1)
      await refusal('StateFull', () => write(database))
      await refusal('StateFull', () => write(database))
      expect(told).toHaveLength(spell)
      allowPages(100_000)
      database.write(() => putEvent(database, `small ${spell}`))
    }
    expect(told[0]).toContain('the disk is full')
    database.close()
  })
})

describe('a file that breaks under a running process', () => {
  it('is not trusted again, even when it looks whole later', async () => {
    const database = openDatabase(place.path, { readOnly: false })
    const read = (): unknown => database.run(() => database.connection.prepare('SELECT * FROM records').all())
    const whole = await readFile(place.path)
    await truncate(place.path, 100)
    const message = await refusal('StateCorrupt', read)
    expect(message).toContain(`state file ${place.path} is damaged`)
    await writeFile(place.path, whole)
    expect(await refusal('StateCorrupt', read)).toBe(message)
    expect(await refusal('StateCorrupt', () => database.write(() => {}))).toBe(message)
    database.close()
  })
})

describe('a state that breaks under a running process', () => {
  it('says so to whoever runs it, who can do nothing but end', async () => {
    const state = await place.open()
    await writeFile(place.path, Buffer.alloc(4096))
    await rm(`${place.path}-wal`)
    const damaged = refusal('StateCorrupt', () => state.broken)
    for (let writes = 0; writes < 3; writes += 1)
      await refusal('StateCorrupt', () => state.resources.create(category(`ap-${writes}`)))
    expect(await damaged).toContain(`state file ${place.path} is`)
    await state.close()
  })
})

describe.runIf(process.getuid?.() === 0)(
  'a folder of somebody else (needs root, to be somebody else)',
  () => {
    afterEach(() => process.seteuid!(0))

    it('gives a clear refusal to open and to read', async () => {
      const nobody = 65534
      await chmod(place.folder, 0o755)
      await chmod(dirname(place.path), 0o700)
      process.seteuid!(nobody)
      expect(await refusal('StateUnusable', () => place.open())).toMatch(/state.* cannot be .*EACCES/)
      expect(await refusal('StateUnusable', () => readState(place.path))).toMatch(
        /state file .* cannot be read \(EACCES/,
      )
      process.seteuid!(0)
      await chmod(dirname(place.path), 0o755)
      process.seteuid!(nobody)
      expect(await refusal('StateUnusable', () => place.open())).toMatch(
        /state\.db.*(permission denied|unable to open|readonly)/,
      )
      expect(await refusal('StateUnusable', () => readState(place.path))).toContain(
        'cannot be opened; look at its permissions',
      )
    })
  },
)
