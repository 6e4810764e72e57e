import type * as fs from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { dirname } from 'node:path'
import { lookAtStateFile, prepareStatePath } from '../../src/adapters/sqlite/state-file.ts'
import { makeStateFolder, type StateFolder } from '../support/state-folder.ts'

/** What another process does right before or after this one has called something. */
const other = vi.hoisted(() => ({ beforeMkdir: () => {}, afterStat: () => {} }))
vi.mock('node:fs', async (original) => {
  const real = await original<typeof fs>()
  return {
    ...real,
    mkdirSync: (...args: Parameters<typeof fs.mkdirSync>) => {
      other.beforeMkdir()
      return real.mkdirSync(...args)
    },
    statSync: (...args: Parameters<typeof fs.statSync>) => {
      const found = real.statSync(...args)
      other.afterStat()
      return found
    },
  }
})
const real = await vi.importActual<typeof fs>('node:fs')

let place: StateFolder
beforeEach(async () => {
  place = await makeStateFolder()
})
afterEach(async () => {
  Object.assign(other, { beforeMkdir: () => {}, afterStat: () => {} })
  await place.remove()
})

describe('another process that starts at the same moment', () => {
  it('may make the folder', () => {
    other.beforeMkdir = () => real.mkdirSync(dirname(place.path), { recursive: true })
    expect(prepareStatePath(place.path)).toBe(place.path)
  })

  it('may put something in its place, which is told as it is', () => {
    other.beforeMkdir = () => real.writeFileSync(dirname(place.path), '')
    expect(() => prepareStatePath(place.path)).toThrow(/cannot be used \(EEXIST/)
  })

  it.each([1, 2])('may make the file after look %d, which is no log without its file', (look) => {
    real.mkdirSync(dirname(place.path))
    let looks = 0
    other.afterStat = () => {
      looks += 1
      if (looks !== look) return
      real.writeFileSync(place.path, 'a file')
      real.writeFileSync(`${place.path}-wal`, 'its log')
    }
    expect(lookAtStateFile(place.path)).toBe(look === 1 ? 'file' : 'nothing')
    expect(looks).toBe(2)
  })
})
