import { expect, it } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'

it('sleeps, and wakes when it is aborted', async () => {
  const before = systemClock.monotonic()
  await systemClock.sleep(5)
  expect(systemClock.monotonic() - before).toBeGreaterThanOrEqual(4)
  const abort = new AbortController()
  const sleeping = systemClock.sleep(60_000, abort.signal)
  abort.abort('enough')
  await expect(sleeping).rejects.toBe('enough')
  await expect(systemClock.sleep(60_000, AbortSignal.abort('late'))).rejects.toBe('late')
})

it('waits longer than a timer of Node can', async () => {
  let early = false
  const cancel = systemClock.after(2 ** 33, () => (early = true))
  await systemClock.sleep(20)
  cancel()
  expect(early).toBe(false)
})
