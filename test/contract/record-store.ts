import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RecordStore } from '../../src/ports/record-store.ts'

export interface RecordsWorld {
  records: RecordStore
  close(): Promise<void>
  /** The same records as another process finds them; only where they outlive a process. */
  reopen?(): Promise<RecordStore>
}

/** The promises of `ports/record-store.ts` as tests. */
export const recordStoreContract = (name: string, open: () => Promise<RecordsWorld>): void => {
  describe(`record store: ${name}`, () => {
    let world: RecordsWorld
    let records: RecordStore
    beforeEach(async () => {
      world = await open()
      records = world.records
    })
    afterEach(() => world.close())

    it('keeps any JSON', async () => {
      for (const value of [null, false, 0, '', 'Zürich \u{1f4e1}', [], [1, [2]], {}, { a: { b: ['c'] } }]) {
        await records.put('value', value)
        expect(await records.get('value')).toEqual(value)
      }
    })

    it('knows nothing of what was never put, or deleted', async () => {
      expect(await records.get('value')).toBeUndefined()
      await records.delete('value')
      await records.put('value', 1)
      await records.put('value', 2)
      expect(await records.get('value')).toBe(2)
      await records.delete('value')
      expect(await records.get('value')).toBeUndefined()
      expect(await records.list('')).toEqual([])
    })

    it('takes the same value from several at once', async () => {
      await Promise.all(Array.from({ length: 8 }, () => records.put('value', 1)))
      expect(await records.list('')).toEqual([{ name: 'value', value: 1 }])
    })

    it('lists by prefix, ordered by name, taking every character for itself', async () => {
      for (const each of ['b/1', 'a/2', 'a/1', 'a', 'a%', 'a_', 'A/1', 'a*', 'ä'])
        await records.put(each, each)
      const names = async (prefix: string): Promise<string[]> =>
        (await records.list(prefix)).map((item) => item.name)
      expect(await records.list('a/')).toEqual([
        { name: 'a/1', value: 'a/1' },
        { name: 'a/2', value: 'a/2' },
      ])
      expect(await names('a%')).toEqual(['a%'])
      expect(await names('a_')).toEqual(['a_'])
      expect(await names('a*')).toEqual(['a*'])
      expect(await names('ä')).toEqual(['ä'])
      expect(await names('')).toHaveLength(9)
      expect(await names('c')).toEqual([])
    })

    it('gives away copies, and keeps copies', async () => {
      const value = { list: [1] }
      await records.put('value', value)
      value.list.push(2)
      const copies = [await records.get('value'), (await records.list('value'))[0]!.value] as {
        list: number[]
      }[]
      for (const copy of copies) copy.list.push(3)
      expect(await records.get('value')).toEqual({ list: [1] })
    })

    it('finds everything again in another process, where it is kept', async ({ skip }) => {
      if (!world.reopen) return skip('it forgets with its process')
      await records.put('latch', { since: '2026-01-01' })
      records = await world.reopen()
      expect(await records.get('latch')).toEqual({ since: '2026-01-01' })
    })
  })
}
