import { once } from 'node:events'
import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import { freePort } from '../support/free-port.ts'
import { beSilent } from '../support/namespace-router.ts'
import { requires } from '../support/requires.ts'
import { until } from '../support/until.ts'

/** Sockets of this process; in a file of its own, where no other test has any. */
const sockets = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length

requires('perl', 'setpriv')('a knock at a silent door', () => {
  test('is repeated until its limit, and leaves nothing behind', async () => {
    const port = await freePort()
    const silent = beSilent('127.0.0.1', port)
    try {
      await once(silent.stdout!, 'data')
      const clock = createManualClock()
      const knocking = createSshConnector({ clock }).knock(
        { addresses: ['127.0.0.1'], port },
        1000,
        new AbortController().signal,
      )
      expect(sockets()).toBe(1)
      await clock.advance(999)
      expect(sockets()).toBe(3)
      await clock.advance(1)
      expect(await knocking).toBe(false)
      await until('all of them are gone', () => sockets() === 0)
    } finally {
      silent.kill('SIGKILL')
    }
  })
})
