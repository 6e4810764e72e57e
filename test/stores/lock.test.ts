import { afterEach, beforeEach, expect, it, describe } from 'vitest'
import { readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { openState, readState } from '../../src/adapters/sqlite/state.ts'
import { hasCode } from '../../src/core/errors.ts'
import { category } from '../support/category.ts'
import { startChild, type Child } from '../support/children.ts'
import { makeStateFolder, type StateFolder } from '../support/state-folder.ts'

let place: StateFolder
const children: Child[] = []
const start = (task: string, path = place.path): Child => {
  const child = startChild('state-process.ts', [path, place.folder, task])
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

const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error: unknown = await work.catch((reason: unknown) => reason)
  expect(hasCode(error, 'StateLocked'), String(error)).toBe(true)
  return (error as Error).message
}

describe('one process has the state', () => {
  it('and a second is told which, until the first is killed', async () => {
    const first = start('hold')
    expect(await first.line()).toBe('open')
    const message = `state file ${place.path} is in use by process ${first.process.pid}: one process at a time`
    expect(await start('hold').line()).toBe(`StateLocked ${message}`)
    expect(await refusal(place.open())).toBe(message)
    await first.kill()
    const third = start('hold')
    expect(await third.line()).toBe('open')
    expect(await refusal(place.open())).toContain(`process ${third.process.pid}`)
  })

  it('also when it opens the file twice, and the refused attempt takes nothing from it', async () => {
    const state = await place.open()
    for (let attempt = 0; attempt < 3; attempt += 1)
      expect(await refusal(place.open())).toContain(`process ${process.pid}`)
    expect(await start('hold').line()).toContain(`StateLocked`)
    await state.resources.create(category('ap'))
    await state.close()
    expect(await start('hold').line()).toBe('open')
  })

  it('by whatever path', async () => {
    const first = start('hold')
    expect(await first.line()).toBe('open')
    const link = join(place.folder, 'link.db')
    await symlink(place.path, link)
    expect(await refusal(openState(link, { directory: place.folder, clock: systemClock }))).toContain(
      `process ${first.process.pid}`,
    )
  })

  it('even when nobody can say which', async () => {
    const first = start('hold')
    expect(await first.line()).toBe('open')
    await writeFile(`${place.path}.pid`, 'rm -rf /')
    expect(await refusal(place.open())).toContain('in use by another process')
  })

  it('and of many that start at once one gets it', async () => {
    const words = await Promise.all(Array.from({ length: 4 }, () => start('hold').line()))
    expect(words.map((line) => line?.split(' ')[0]).filter((word) => word === 'open')).toEqual(['open'])
    expect(words.filter((line) => line?.startsWith('StateLocked'))).toHaveLength(3)
  })

  it('and lets go of it when it ends', async () => {
    const state = await place.open()
    expect(await readFile(`${place.path}.pid`, 'utf8')).toBe(`${process.pid}\n`)
    await state.close()
    await state.close()
    const again = await place.open()
    await again.close()
  })
})

describe('readState', () => {
  it('sees whole writes of a process that goes on writing', { timeout: 60_000 }, async () => {
    const writer = start('write')
    expect(await writer.line()).toBe('open')
    let latest = -1
    for (let round = 0; round < 150; round += 1) {
      for (let seen = 0; seen < 10; seen += 1) latest = Number(await writer.line())
      const { resources, records, directory } = await readState(place.path)
      expect(directory).toBe(place.folder)
      expect(resources.length).toBeGreaterThan(0)
      expect(records).toHaveLength(1)
      expect(records[0]!.value).toBeGreaterThanOrEqual(latest)
      // The object is kept before the record of its number.
      const numbers = resources.map(({ spec }) =>
        Number((spec as { description: string }).description.replace(/x+$/, '')),
      )
      expect([0, 1]).toContain(Math.max(...numbers) - (records[0]!.value as number))
    }
  })

  it('sees the last write of a process that was killed, and changes nothing', async () => {
    const writer = start('write')
    expect(await writer.line()).toBe('open')
    for (let seen = 0; seen < 20; seen += 1) await writer.line()
    writer.process.kill('SIGKILL')
    const last = Number((await writer.rest()).at(-1) ?? 19)
    const before = await readFile(place.path)
    const log = await readFile(`${place.path}-wal`)
    expect((await readState(place.path)).records[0]!.value).toBeGreaterThanOrEqual(last)
    expect(await readFile(place.path)).toEqual(before)
    expect(await readFile(`${place.path}-wal`)).toEqual(log)
  })

  it('gives objects as the store does', async () => {
    const state = await place.open()
    const object = await state.resources.create(category('ap', { finalizers: ['reflash.dev/x'] }))
    await state.records.put('latch', { since: 1 })
    const expected = {
      directory: place.folder,
      resources: [object],
      records: [{ name: 'latch', value: { since: 1 } }],
    }
    expect(await readState(place.path)).toEqual(expected)
    await state.close()
    expect(await readState(place.path)).toEqual(expected)
  })

  it('finds nothing where nothing is, and makes nothing', async () => {
    expect(await readState(place.path)).toEqual({ directory: undefined, resources: [], records: [] })
    await expect(readFile(place.path)).rejects.toThrow('ENOENT')
  })
})
