/** A fleet that is looked through for nothing must not hold up whoever else is served. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { category } from '../support/category.ts'
import { brief, categoriesPath, readWatch, serveStore, type ServedStore } from '../support/served-store.ts'

const count = 1000
const nothing = 'labelSelector=site%3Dnowhere'

let served: ServedStore
afterEach(() => served.stop())

const serveMany = async (): Promise<void> => {
  served = await serveStore()
  for (let index = 0; index < count; index += 1) {
    await served.store.create({
      ...category('x'),
      metadata: { namespace: 'default', name: `x${index}` },
    })
  }
  await served.settle()
}

/** How often everybody else had a turn while `work` went on. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let isOver = false
  const end = work.finally(() => (isOver = true))
  let turns = 0
  while (!isOver) {
    await nextTurn()
    turns += 1
  }
  await end
  return turns
}

describe('others get their turns while nothing is found', () => {
  test('for a page', async () => {
    await serveMany()
    const page = served.get(`${categoriesPath}?limit=500&${nothing}`)
    expect(await turnsDuring(page)).toBeGreaterThanOrEqual(count / 100 - 1)
    expect(await (await page).json()).toMatchObject({ items: [] })
  })

  test('by a watch that begins', async () => {
    await serveMany()
    const reader = readWatch(await served.get(`${categoriesPath}?watch=true&${nothing}`))
    const next = reader.next()
    const found = served.store.create(category('late', { labels: { site: 'nowhere' } })).then(() => next)
    expect(await turnsDuring(found)).toBeGreaterThanOrEqual(count / 20 - 1)
    expect(brief((await next)!)).toBe('ADDED late')
    await reader.cancel()
  })

  test('by a watch that takes up what was missed', async () => {
    await serveMany()
    const reader = readWatch(await served.get(`${categoriesPath}?watch=true&resourceVersion=1&${nothing}`))
    const next = reader.next()
    const found = served.store.create(category('late', { labels: { site: 'nowhere' } })).then(() => next)
    expect(await turnsDuring(found)).toBeGreaterThanOrEqual(count / 20 - 1)
    expect(brief((await next)!)).toBe('ADDED late')
    await reader.cancel()
  })
})
