/**
 * Reflash itself, once over a directory, as a process that meets with something: DIRECTORY STATE CACHE [WHEN NAME NTH FATE].
 * It says each write and each command before and after, as a line of JSON, and last how the run ended. At its point it is
 * killed, stopped as by SIGSTOP, or held until it is told to go on by a line of input. SIGTERM ends it in order.
 */
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { lookOn, type Notice } from './look-on.ts'
import { runOnce } from './run-once.ts'
import type { Fate } from './world.ts'

const [directory = '', state = '', cache = '', ...at] = process.argv.slice(2)
const point = at.slice(0, 3).join(' ')
let fate = at[3] as Fate | undefined
// Synchronous, so that what was said before a kill has been said.
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`)

const meet: Record<Fate, () => Promise<unknown>> = {
  killed: () => {
    process.kill(process.pid, 'SIGKILL')
    return new Promise(() => {})
  },
  stopped: async () => process.kill(process.pid, 'SIGSTOP'),
  held: async () => {
    say({ held: point })
    await once(process.stdin, 'data')
    process.stdin.destroy()
  },
}
const notice: Notice = async (when, name, nth) => {
  say({ when, name, nth })
  if (fate === undefined || point !== `${when} ${name} ${nth}`) return
  const now = fate
  // Each device has its own count: what one has met does not befall the next.
  fate = undefined
  await meet[now]()
}

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort(new DOMException('stopped by SIGTERM', 'AbortError')))
await runOnce({ directory, state, cache }, say, {
  decorate: (outside) => lookOn(outside, notice),
  signal: stop.signal,
})
