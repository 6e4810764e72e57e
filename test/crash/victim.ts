/**
 * Reflash itself, once over a directory, as a process that something may befall: DIRECTORY STATE CACHE [WHEN NAME NTH
 * FATE]. It says each write and each command before and after, as a line of JSON, and last how the run ended. SIGTERM
 * ends it in order.
 */
import { writeSync } from 'node:fs'
import { fatefulNotice } from './fate.ts'
import { lookOn } from './look-on.ts'
import { runOnce } from './run-once.ts'

const [directory = '', state = '', cache = '', ...point] = process.argv.slice(2)
// Synchronous, so that what was said before a kill has been said.
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`)

const notice = fatefulNotice(point, say)
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort(new DOMException('stopped by SIGTERM', 'AbortError')))
await runOnce({ directory, state, cache }, say, {
  decorate: (outside) => lookOn(outside, notice),
  signal: stop.signal,
})
