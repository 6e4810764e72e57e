import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { rowSum } from '../../src/adapters/sqlite/row-sum.ts'
import { readState, type State, type StateSnapshot } from '../../src/adapters/sqlite/state.ts'
import { hasCode, messageOf } from '../../src/core/errors.ts'
import { category } from '../support/category.ts'
import { makeStateFolder, type StateFolder } from '../support/state-folder.ts'

let place: StateFolder
beforeEach(async () => {
  place = await makeStateFolder()
})
afterEach(() => place.remove())

/** Thirty objects, small and large, and a record. */
const fill = async (): Promise<StateSnapshot> => {
  const state = await place.open()
  for (let number = 0; number < 30; number += 1) {
    await state.resources.create(category(`ap-${number}`, { description: 'd'.repeat(number * 40) }))
  }
  await state.records.put('latch', { since: '2026-01-01' })
  await state.close()
  return readState(place.path)
}

/** What a process that starts on the file as it is now makes of it. */
const outcome = async (): Promise<StateSnapshot | 'refused'> => {
  const refused = (error: unknown): 'refused' => {
    expect(hasCode(error, 'StateCorrupt', 'StateUnusable'), messageOf(error)).toBe(true)
    return 'refused'
  }
  let state: State
  try {
    state = await place.open()
  } catch (error) {
    return refused(error)
  }
  try {
    const { items } = await state.resources.list('Category')
    for (let number = 0; number < 30; number += 1) {
      const key = { namespace: 'default', name: `ap-${number}` }
      expect(await state.resources.get('Category', key)).toEqual(
        items.find(({ metadata }) => metadata.name === key.name),
      )
    }
    return { directory: place.folder, resources: items, records: await state.records.list('') }
  } catch (error) {
    return refused(error)
  } finally {
    await state.close()
  }
}

/** The store orders by name, and so does a snapshot: a damaged order shows as well. */
const expectSame = (result: StateSnapshot, expected: StateSnapshot, at: number): void => {
  expect(result, `byte ${at}`).toEqual(expected)
}

describe('a bit that flips', () => {
  it('in the value of a row is found, or nobody reads that byte', { timeout: 120_000 }, async () => {
    const expected = await fill()
    const whole = await readFile(place.path)
    const random = createRandom('values')
    const places = [...whole.toString('latin1').matchAll(/"description":"d*"|"latch"|2026-01-01|ap-\d+/g)]
    let found = 0
    for (let round = 0; round < 150; round += 1) {
      const match = random.pick(places)
      const at = match.index + random.integer(0, match[0].length - 1)
      const flipped = Buffer.from(whole)
      flipped[at] = flipped[at]! ^ (1 << random.integer(0, 7))
      await writeFile(place.path, flipped)
      const result = await outcome()
      if (result === 'refused') found += 1
      // A page may keep an old copy of a row, which nobody reads: a flip in there changes nothing.
      else expectSame(result, expected, at)
    }
    expect(found).toBeGreaterThan(100)
  })

  it('anywhere in the file is found, or changes nothing', { timeout: 120_000 }, async () => {
    const expected = await fill()
    const whole = await readFile(place.path)
    const random = createRandom('anywhere')
    let found = 0
    for (let round = 0; round < 400; round += 1) {
      // Half of them in the first bytes of a page, where the trees are.
      const page = random.integer(0, whole.length / 4096 - 1) * 4096
      const at = page + random.integer(0, random.chance(0.5) ? 150 : 4095)
      const flipped = Buffer.from(whole)
      flipped[at] = flipped[at]! ^ (1 << random.integer(0, 7))
      await writeFile(place.path, flipped)
      const result = await outcome()
      if (result === 'refused') found += 1
      else expectSame(result, expected, at)
    }
    expect(found).toBeGreaterThan(50)
  })

  it('names the object, while the others can be read', async () => {
    await mkdir(dirname(place.path), { recursive: true })
    const state = await place.open()
    await state.resources.create(category('good'))
    await state.resources.create(category('bad'))
    await state.records.put('latch', 1)
    // Through another connection, for the process has the file open.
    const other = new DatabaseSync(place.path)
    other.exec(
      "UPDATE resources SET json = replace(json, 'first', 'worst') WHERE name = 'bad'; UPDATE records SET json = '2'",
    )
    other.close()
    const failure = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error)
    for (const error of [
      await failure(state.resources.get('Category', { namespace: 'default', name: 'bad' })),
      await failure(state.resources.list('Category')),
      await failure(state.resources.apply(category('bad', { description: 'second' }))),
    ]) {
      expect(hasCode(error, 'StateCorrupt'), String(error)).toBe(true)
      expect(messageOf(error)).toContain(
        'the state of Category default/bad is damaged: its checksum does not match',
      )
    }
    expect(messageOf(await failure(state.records.get('latch')))).toContain(
      'the state of record latch is damaged',
    )
    expect(await state.resources.get('Category', { namespace: 'default', name: 'good' })).toBeDefined()
    await state.resources.apply(category('good', { description: 'second' }))
    await state.close()
    expect(messageOf(await failure(place.open()))).toContain('record latch is damaged')
    expect(messageOf(await failure(readState(place.path)))).toContain('is damaged')
  })
})

describe('a row that is gone, or is there as it once was,', () => {
  const other = (work: (database: DatabaseSync) => void): void => {
    const database = new DatabaseSync(place.path)
    work(database)
    database.close()
  }

  it.each(['DELETE FROM resources WHERE name = ?', 'DELETE FROM records WHERE name = ?'])(
    'is missed by the total of all rows: %s',
    async (statement) => {
      await fill()
      other((database) => database.prepare(statement).run(statement.includes('records') ? 'latch' : 'ap-3'))
      await expect(place.open()).rejects.toThrow(/rows are missing, or are there as they were earlier/)
    },
  )

  it('differs from the total of all rows, though its own sum is right', async () => {
    await fill()
    const earlier: Record<string, unknown>[] = []
    other((database) => earlier.push(database.prepare("SELECT * FROM resources WHERE name = 'ap-3'").get()!))
    const state = await place.open()
    await state.resources.apply(category('ap-3', { description: 'later' }))
    await state.close()
    other((database) => {
      const { version, json, sum } = earlier[0] as { version: number; json: string; sum: Uint8Array }
      const put = database.prepare("UPDATE resources SET version = ?, json = ?, sum = ? WHERE name = 'ap-3'")
      put.run(version, json, sum)
    })
    await expect(place.open()).rejects.toThrow(/rows are missing, or are there as they were earlier/)
  })

  it('is no matter to a file of an earlier Reflash, which gets its total when it is opened', async () => {
    const expected = await fill()
    other((database) => {
      database.exec("DELETE FROM meta WHERE name = 'total'")
      database
        .prepare("UPDATE meta SET value = '2', sum = ? WHERE name = 'schema'")
        .run(rowSum('meta', 'schema', '2'))
    })
    await (await place.open()).close()
    await (await place.open()).close()
    expect(await readState(place.path)).toEqual(expected)
    other((database) => database.exec("DELETE FROM resources WHERE name = 'ap-3'"))
    await expect(place.open()).rejects.toThrow(/rows are missing/)
  })
})
