/** Fleets of which every router has the same fault, and nothing else is wrong. */
import { expect, test } from 'vitest'
import { faultKinds } from '../../src/simulator/faults.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import { playWorld } from './world.ts'

test.each(faultKinds)('%s, of every router', async (only) => {
  const { report } = await playWorld(1, { only })
  expect(report.violations).toEqual([])
  expect(report.faults.get(only)).toBeGreaterThan(0)
})

test('who says in the boot of its start that it runs the target is not believed, and flashed', async () => {
  const { past } = await playWorld(1, { only: 'Lies' })
  expect(past.rest.operations.map(({ status }) => status.reason)).not.toContain('AlreadyOnTarget')
  for (const { history } of past.routers) {
    expect(eventsOf(history, 'FlashDied')).toHaveLength(1)
    expect(eventsOf(history, 'FlashWritten')).toHaveLength(1)
  }
})
