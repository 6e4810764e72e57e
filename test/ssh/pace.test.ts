import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import { createPace } from '../../src/adapters/ssh/pace.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { targetOf } from '../support/ssh-target.ts'

const { signal } = new AbortController()

test('one passes every so often, the urgent ones first', async () => {
  const clock = createManualClock()
  const pace = createPace(5, clock)
  const start = clock.monotonic()
  const passed: string[] = []
  const ask = (name: string, urgent: boolean): Promise<void> =>
    pace({ urgent, signal }).then(() => void passed.push(`${name} ${clock.monotonic() - start}`))
  const all = [ask('a', false), ask('b', false), ask('c', true), ask('d', true)]
  await clock.advance(100)
  await Promise.all(all)
  expect(passed).toEqual(['c 0', 'd 5', 'a 10', 'b 15'])
})

test('who is not waited for any more leaves the queue', async () => {
  const clock = createManualClock()
  const pace = createPace(5, clock)
  const impatient = new AbortController()
  const first = pace({ urgent: false, signal })
  const second = pace({ urgent: false, signal: impatient.signal })
  let third = -1
  void pace({ urgent: false, signal }).then(() => (third = clock.monotonic()))
  const start = clock.monotonic()
  impatient.abort(new Error('no more'))
  await expect(second).rejects.toThrow('no more')
  await expect(pace({ urgent: true, signal: impatient.signal })).rejects.toThrow('no more')
  await clock.advance(100)
  await first
  expect(third - start).toBe(5)
})

test('a process that is behind lets the next one pass later', async () => {
  const manual = createManualClock()
  // Every timer comes 20 ms late, as if something else kept the process busy.
  const clock: Clock = { ...manual, sleep: (ms, signal) => manual.sleep(ms + 20, signal) }
  const pace = createPace(5, clock)
  const start = manual.monotonic()
  const passed: number[] = []
  for (let count = 0; count < 3; count += 1)
    void pace({ urgent: false, signal }).then(() => passed.push(manual.monotonic() - start))
  await manual.advance(500)
  expect(passed).toEqual([20, 60, 100])
})

test('the wait for a turn ends at the deadline of the connection', async () => {
  const manual = createManualClock()
  // Nobody is ever given a turn.
  const clock: Clock = { ...manual, sleep: () => new Promise(() => {}) }
  const connecting = createSshConnector({ clock }).connect(targetOf(22), 10_000, signal)
  const refused = expect(connecting).rejects.toMatchObject({
    code: 'Timeout',
    message: '127.0.0.1:22 was not tried within 10 s: too many connections are being opened at once',
  })
  await manual.advance(10_000)
  await refused
})
