import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { openDatabase, requireDurable, requireSqlite } from '../../src/adapters/sqlite/database.ts'
import { readState } from '../../src/adapters/sqlite/state.ts'
import { category } from '../support/category.ts'
import { startChild, type Child } from '../support/children.ts'
import { requires } from '../support/requires.ts'
import { makeStateFolder, type StateFolder } from '../support/state-folder.ts'

let place: StateFolder
const children: Child[] = []
const start = (): Child => {
  const child = startChild('state-process.ts', [place.path, place.folder, 'write'])
  children.push(child)
  return child
}
beforeEach(async () => {
  place = await makeStateFolder()
})
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()))
  await place.remove()
})

/** What the objects must be after the writer has said that it kept `number`. */
const expectedAfter = (number: number): Map<string, number> => {
  const objects = new Map<string, number>()
  for (let each = 0; each <= number; each += 1) {
    objects.set(`ap-${each % 50}`, each)
    if (each % 5 === 0) objects.delete(`ap-${(each + 25) % 50}`)
  }
  return objects
}

describe('a writer that is killed', () => {
  it('has kept every write that it was told is kept, whenever that was', { timeout: 120_000 }, async () => {
    const random = createRandom('kills')
    let writes = 0
    for (let round = 0; round < 12; round += 1) {
      await place.remove()
      place = await makeStateFolder()
      const child = start()
      expect(await child.line()).toBe('open')
      const enough = random.integer(1, 400)
      for (let seen = 0; seen < enough; seen += 1) await child.line()
      child.process.kill('SIGKILL')
      const last = Number((await child.rest()).at(-1) ?? enough - 1)
      writes += last

      const state = await place.open()
      const found = (await state.resources.list('Category')).items
      const record = await state.records.get('number')
      await state.close()
      // The write after the last one that was said may have been kept as well, in part: it is three transactions.
      expect([last, last + 1]).toContain(record)
      const certain = expectedAfter(last)
      const next = last + 1
      const touched = new Set([`ap-${next % 50}`, ...(next % 5 === 0 ? [`ap-${(next + 25) % 50}`] : [])])
      const numbers = new Map(
        found.map(({ metadata, spec }) => [metadata.name, Number(spec.description!.replace(/x+$/, ''))]),
      )
      for (const [name, number] of certain)
        if (!touched.has(name)) expect(numbers.get(name), name).toBe(number)
      for (const name of numbers.keys()) if (!touched.has(name)) expect(certain.has(name), name).toBe(true)
    }
    expect(writes).toBeGreaterThan(1000)
  })

  it('leaves no half-made file when it is killed while it makes one', async () => {
    const child = startChild('state-process.ts', [place.path, place.folder, 'die-creating'])
    children.push(child)
    expect(await child.line()).toBe('half-made')
    expect(await child.line()).toBeUndefined()
    expect(await readdir(join(place.path, '..'))).toContain('state.db.new')
    expect(await readState(place.path)).toEqual({ directory: undefined, resources: [], records: [] })
    const state = await place.open()
    expect((await state.resources.create(category('ap'))).metadata.resourceVersion).toBe('2')
    expect(await readdir(join(place.path, '..'))).not.toContain('state.db.new')
    await state.close()
  })
})

describe('a commit', () => {
  it('runs with synchronous=FULL, still after a write', async () => {
    const state = await place.open()
    await state.resources.create(category('ap'))
    await state.close()
    const database = openDatabase(place.path, { readOnly: false })
    database.write(() => database.connection.exec('DELETE FROM records'))
    requireDurable(place.path, database)
    database.connection.exec('PRAGMA synchronous=NORMAL')
    expect(() => requireDurable(place.path, database)).toThrow(
      /would not survive a power cut: .*synchronous=1/,
    )
    database.connection.exec('PRAGMA synchronous=FULL; PRAGMA journal_mode=DELETE')
    expect(() => requireDurable(place.path, database)).toThrow(/journal_mode=delete/)
    database.close()
  })

  it.for(['3.51.3', '3.52.0', '3.53.4', '4.0.0'])('trusts SQLite %s', (version) => {
    expect(() => requireSqlite(version)).not.toThrow()
  })

  it.for(['3.51.2', '3.50.9', '2.60.60', '3.51', '0'])(
    'refuses SQLite %s, which can damage its files',
    (version) => {
      expect(() => requireSqlite(version)).toThrow(
        `this Node.js has SQLite ${version}, which can damage its files`,
      )
    },
  )
})

requires('strace')('what the kernel sees', () => {
  it('has a flush to the disk before each write that is said to be kept', { timeout: 120_000 }, async () => {
    const trace = join(place.folder, 'trace')
    const child = startChild('state-process.ts', [place.path, place.folder, 'write'], {
      under: ['strace', '-f', '-o', trace, '-e', 'trace=fdatasync,fsync,write', '-e', 'signal=none'],
    })
    children.push(child)
    expect(await child.line()).toBe('open')
    for (let seen = 0; seen < 100; seen += 1) await child.line()
    await child.kill()
    // What the writer says, and what the disk was made to keep before it.
    const steps = (await readFile(trace, 'utf8')).matchAll(/(f(?:data)?sync)\(|write\(1, "(\d+)\\n"/g)
    let flushes = 0
    let said = 0
    for (const [, flush, number] of steps) {
      if (flush !== undefined) flushes += 1
      if (number === undefined) continue
      // The object and the record; every fifth time a deletion, too.
      expect(flushes, `before ${number}`).toBeGreaterThanOrEqual(2)
      flushes = 0
      said += 1
    }
    expect(said).toBeGreaterThanOrEqual(100)
  })
})
