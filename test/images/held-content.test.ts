import { describe, expect, it } from 'vitest'
import { createHeldContent } from '../../src/adapters/images/held-content.ts'

const bytes = (count: number): Uint8Array => new Uint8Array(count)

/** Remembers what was loaded. */
const loader = () => {
  const loaded: string[] = []
  return {
    loaded,
    load: (name: string, size: number) => async () => {
      loaded.push(name)
      return bytes(size)
    },
  }
}

describe('held content', () => {
  it('is loaded once for all who want it at the same time, and for those who come later', async () => {
    const held = createHeldContent(100)
    const { loaded, load } = loader()
    const loans = await Promise.all([1, 2, 3].map(async () => held.borrow('a', 60, load('a', 60))))
    for (const loan of loans) loan?.giveBack()
    await held.borrow('a', 60, load('a', 60))
    expect(loaded).toEqual(['a'])
  })

  it('makes room for the next when nobody uses it, the least recently borrowed first', async () => {
    const held = createHeldContent(100)
    const { loaded, load } = loader()
    for (const name of ['a', 'b', 'a', 'c']) (await held.borrow(name, 40, load(name, 40)))!.giveBack()
    expect(loaded).toEqual(['a', 'b', 'c'])
    ;(await held.borrow('a', 40, load('a', 40)))!.giveBack()
    expect(loaded).toEqual(['a', 'b', 'c'])
    ;(await held.borrow('b', 40, load('b', 40)))!.giveBack()
    expect(loaded).toEqual(['a', 'b', 'c', 'b'])
  })

  it('that is in use stays: what does not fit beside it is not held', async () => {
    const held = createHeldContent(100)
    const { loaded, load } = loader()
    const loan = (await held.borrow('a', 60, load('a', 60)))!
    expect(held.borrow('b', 60, load('b', 60))).toBeUndefined()
    loan.giveBack()
    // Given back twice is given back once.
    loan.giveBack()
    const again = (await held.borrow('a', 60, load('a', 60)))!
    expect(held.borrow('b', 60, load('b', 60))).toBeUndefined()
    again.giveBack()
    expect(await held.borrow('b', 60, load('b', 60))).toBeDefined()
    expect(loaded).toEqual(['a', 'b'])
  })

  it('larger than all the room is not held', () => {
    expect(createHeldContent(100).borrow('a', 101, loader().load('a', 101))).toBeUndefined()
  })

  it('that could not be loaded fails for all who wait, and is loaded anew', async () => {
    const held = createHeldContent(100)
    const { loaded, load } = loader()
    const failing = async (): Promise<Uint8Array> => {
      throw new Error('no such disk')
    }
    const both = [held.borrow('a', 60, failing), held.borrow('a', 60, load('a', 60))]
    for (const loan of both) await expect(loan).rejects.toThrow('no such disk')
    await held.borrow('a', 60, load('a', 60))
    expect(loaded).toEqual(['a'])
  })

  it('is forgotten on demand, unless it is in use', async () => {
    const held = createHeldContent(100)
    const { loaded, load } = loader()
    ;(await held.borrow('a', 10, load('a', 10)))!.giveBack()
    await held.borrow('b', 10, load('b', 10))
    held.clear()
    await held.borrow('a', 10, load('a', 10))
    await held.borrow('b', 10, load('b', 10))
    expect(loaded).toEqual(['a', 'b', 'a'])
  })
})
