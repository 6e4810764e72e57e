import { chmod, cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { requireLocalDisk } from '../../src/adapters/sqlite/state-file.ts'
import { openState, readState } from '../../src/adapters/sqlite/state.ts'
import { hasCode, type ErrorCode } from '../../src/core/errors.ts'
import { category } from '../support/category.ts'
import { makeStateFolder, type StateFolder } from '../support/state-folder.ts'

let place: StateFolder
beforeEach(async () => {
  place = await makeStateFolder()
})
afterEach(() => place.remove())

const refusal = async (code: ErrorCode, work = place.open() as Promise<unknown>): Promise<string> => {
  const error: unknown = await work.catch((reason: unknown) => reason)
  expect(hasCode(error, code), `rejects with ${code}, not ${String(error)}`).toBe(true)
  return (error as Error).message
}
const put = async (content: string | Uint8Array): Promise<void> => {
  await mkdir(dirname(place.path), { recursive: true })
  await writeFile(place.path, content)
}
const makeState = async (): Promise<void> => {
  const state = await place.open()
  await state.resources.create(category('ap'))
  await state.close()
}
/** Changes a closed file behind the back of Reflash. */
const tamper = (sql: string): void => {
  const database = new DatabaseSync(place.path)
  database.exec(sql)
  database.close()
}

describe('a new state file', () => {
  it.for([0o022, 0o000, 0o077])('is for its owner alone under umask %i', async (mask) => {
    const before = process.umask(mask)
    try {
      const state = await place.open()
      const modes = await Promise.all(
        (await readdir(dirname(place.path))).map(async (name) => {
          const { mode } = await stat(join(dirname(place.path), name))
          return [name, (mode & 0o777).toString(8)]
        }),
      )
      await state.close()
      expect(Object.fromEntries(modes)).toEqual({
        'state.db': '600',
        'state.db-shm': '600',
        'state.db-wal': '600',
        'state.db.lock': '600',
        'state.db.pid': '600',
      })
      expect((await stat(dirname(place.path))).mode & 0o777).toBe(0o700)
    } finally {
      process.umask(before)
    }
  })

  it('leaves the mode of a folder alone that was there', async () => {
    await mkdir(dirname(place.path))
    await chmod(dirname(place.path), 0o750)
    await (await place.open()).close()
    expect((await stat(dirname(place.path))).mode & 0o777).toBe(0o750)
  })

  it('begins after leftovers of an attempt that was killed', async () => {
    await mkdir(dirname(place.path))
    for (const suffix of ['.new', '.new-wal', '.new-shm', '.new-journal'])
      await writeFile(place.path + suffix, 'half')
    await makeState()
    expect((await readdir(dirname(place.path))).toSorted()).toEqual(['state.db', 'state.db.lock'])
  })
})

describe('a path that cannot be a state file', () => {
  it('names a folder', async () => {
    await mkdir(place.path, { recursive: true })
    expect(await refusal('StateUnusable')).toBe(
      `state file ${place.path} is not a file; name a file with --state`,
    )
    expect(await refusal('StateUnusable', readState(place.path))).toContain('is not a file')
  })

  it('lies below a file', async () => {
    await writeFile(dirname(place.path), '')
    expect(await refusal('StateUnusable')).toMatch(
      /^the folder .*state of the state file cannot be used \(EEXIST|ENOTDIR/,
    )
  })

  it('lies where nothing can be made', async () => {
    const open = openState('/proc/reflash/state.db', { directory: place.folder, clock: systemClock })
    expect(await refusal('StateUnusable', open)).toMatch(
      /^the folder \/proc\/reflash of the state file cannot be used \(ENOENT/,
    )
  })

  it('is on a network', () => {
    expect(() => requireLocalDisk(place.path, () => 0x6969)).toThrow(
      `state file ${place.path} is on a network file system (NFS), where a lock protects nothing; use a local disk`,
    )
    // Some systems give the number as a signed one.
    expect(() => requireLocalDisk(place.path, () => 0xff534d42 | 0)).toThrow('(CIFS)')
    expect(() => requireLocalDisk(place.path, () => 0xef53)).not.toThrow()
  })
})

describe('a file that is refused stays as it is', () => {
  const unchanged = async (code: ErrorCode): Promise<string> => {
    const before = await readFile(place.path)
    const message = await refusal(code)
    expect(await readFile(place.path)).toEqual(before)
    expect(message).toContain(place.path)
    // Nor is it left locked.
    expect(await refusal(code)).toBe(message)
    return message
  }

  it('when it is empty', async () => {
    await put('')
    expect(await unchanged('StateUnusable')).toContain(
      'is empty, which no state is; restore it from a backup, or remove it',
    )
    expect(await refusal('StateUnusable', readState(place.path))).toContain('is empty')
  })

  it.for([
    ['text', 'garbage '.repeat(1000)],
    ['a header and nothing', 'SQLite format 3\0'],
  ])('when it holds %s', async ([, content]) => {
    await put(content!)
    expect(await unchanged('StateCorrupt')).toContain(
      'is not a state file of Reflash, or is damaged; restore it from a backup',
    )
    await refusal('StateCorrupt', readState(place.path))
  })

  it('when it is the database of another program', async () => {
    await put('')
    tamper('CREATE TABLE bookmarks (url TEXT)')
    const message =
      'is not one of Reflash, or is damaged; name another with --state, or restore it from a backup'
    expect(await unchanged('StateUnusable')).toContain(message)
    // SQLite takes a single byte for an empty database.
    await put('x')
    expect(await unchanged('StateUnusable')).toContain(message)
  })

  it('when a newer Reflash wrote it', async () => {
    await makeState()
    const { rowSum } = await import('../../src/adapters/sqlite/row-sum.ts')
    tamper(
      `UPDATE meta SET value = '4', sum = x'${rowSum('meta', 'schema', '4').toString('hex')}' WHERE name = 'schema'`,
    )
    const message = 'was written by a newer Reflash (schema 4, this one knows 3); run that one'
    expect(await unchanged('StateUnusable')).toContain(message)
    expect(await refusal('StateUnusable', readState(place.path))).toContain(message)
  })

  it('when it belongs to another directory', async () => {
    await makeState()
    const other = join(place.folder, 'other')
    await mkdir(other)
    const before = await readFile(place.path)
    const message = await refusal(
      'StateUnusable',
      openState(place.path, { directory: other, clock: systemClock }),
    )
    expect(message).toBe(
      `state file ${place.path} belongs to the directory ${place.folder}, not to ${other}; name another with --state`,
    )
    expect(await readFile(place.path)).toEqual(before)
  })

  it('when it is cut short', async () => {
    await makeState()
    const whole = await readFile(place.path)
    for (const length of [100, 4095, 4096, 8192, whole.length - 4096]) {
      await writeFile(place.path, whole.subarray(0, length))
      await unchanged('StateCorrupt')
    }
  })

  it('when entries or tables are missing', async () => {
    await makeState()
    const whole = join(place.folder, 'whole.db')
    await cp(place.path, whole)
    for (const sql of [
      "DELETE FROM meta WHERE name = 'version'",
      'DROP TABLE meta',
      'DROP TABLE records',
      'DROP TABLE resources',
      'DROP TABLE events',
      // As a bit that flips in its definition does.
      'ALTER TABLE events RENAME COLUMN json TO jsoo',
    ]) {
      await cp(whole, place.path)
      tamper(sql)
      await unchanged('StateCorrupt')
    }
  })

  it('when its counter is behind its objects', async () => {
    await makeState()
    const { rowSum } = await import('../../src/adapters/sqlite/row-sum.ts')
    tamper(
      `UPDATE meta SET value = '1', sum = x'${rowSum('meta', 'version', '1').toString('hex')}' WHERE name = 'version'`,
    )
    expect(await unchanged('StateCorrupt')).toContain('has changes after its latest version 1')
  })
})

it('does not play an orphaned log into a new file', async () => {
  const state = await place.open()
  await state.resources.create(category('ap'))
  // As after a kill, when somebody removes the one file that they see.
  await cp(`${place.path}-wal`, join(place.folder, 'wal'))
  await state.close()
  await rm(place.path)
  await cp(join(place.folder, 'wal'), `${place.path}-wal`)
  expect(await refusal('StateUnusable')).toContain(
    `is missing, but its last changes are still in ${place.path}-wal`,
  )
})

describe('the directory of a state', () => {
  it('may be reached by another path', async () => {
    await makeState()
    const link = join(place.folder, 'link')
    await symlink(place.folder, link)
    const state = await openState(place.path, { directory: link, clock: systemClock })
    expect((await state.resources.list('Category')).items).toHaveLength(1)
    await state.close()
  })

  it('may be a link that is swapped for each revision', async () => {
    const link = join(place.folder, 'current')
    for (const revision of ['one', 'two', 'three']) {
      await mkdir(join(place.folder, revision))
      await rm(link, { force: true })
      await symlink(revision, link)
      const state = await openState(place.path, { directory: link, clock: systemClock })
      await state.resources.apply(category('ap'))
      await state.close()
    }
    expect((await readState(place.path)).directory).toBe(link)
  })

  it('must be there', async () => {
    const open = openState(place.path, { directory: join(place.folder, 'none'), clock: systemClock })
    expect(await refusal('NotFound', open)).toMatch(/^directory .*none cannot be read/)
  })
})

it('says after the end that the state is closed, and ends what follows it', async () => {
  const state = await place.open()
  const { signal } = new AbortController()
  const iterator = state.resources.follow({ kinds: ['Category'], signal })[Symbol.asyncIterator]()
  expect(await iterator.next()).toMatchObject({ value: { type: 'Listed' } })
  expect(await iterator.next()).toMatchObject({ value: { type: 'Bookmark' } })
  const next = iterator.next()
  await state.close()
  expect(await next).toMatchObject({ done: true })
  const message = `state file ${place.path} is closed`
  expect(await refusal('StateUnusable', state.resources.apply(category('ap')))).toBe(message)
  expect(await refusal('StateUnusable', state.records.get('latch'))).toBe(message)
})
