/**
 * Reflash itself, once over a directory, as a process that can be killed: DIRECTORY STATE CACHE [WHEN NAME NTH]. It says
 * each write and each command before and after, as a line of JSON, and last how the run ended.
 */
import { writeSync } from 'node:fs'
import { lookOn, type Notice } from './look-on.ts'
import { runOnce } from './run-once.ts'

const [directory = '', state = '', cache = '', ...point] = process.argv.slice(2)
// Synchronous, so that what was said before a kill has been said.
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`)

const notice: Notice = async (when, name, nth) => {
  say({ when, name, nth })
  if (point.join(' ') !== `${when} ${name} ${nth}`) return
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => {})
}

await runOnce({ directory, state, cache }, say, { decorate: (outside) => lookOn(outside, notice) })
