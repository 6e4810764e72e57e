import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { createGroupCommit } from '../../src/adapters/sqlite/group-commit.ts'

test('nobody hears of a write whose transaction cannot be committed', async () => {
  const connection = new DatabaseSync(':memory:')
  const told: string[] = []
  const failure = new Error('the disk is full')
  let isFull = true
  const group = createGroupCommit(connection, (work) => {
    work()
    if (isFull) throw failure
  })
  const lost = ['a', 'b'].map((name) =>
    group.submit(
      () => name,
      () => told.push(name),
    ),
  )
  expect(await Promise.allSettled(lost)).toEqual([
    { status: 'rejected', reason: failure },
    { status: 'rejected', reason: failure },
  ])
  expect(told).toEqual([])
  isFull = false
  expect(
    await group.submit(
      () => 'c',
      () => told.push('c'),
    ),
  ).toBe('c')
  expect(told).toEqual(['c'])
  connection.close()
})
