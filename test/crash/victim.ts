/**
 * Reflash itself, once over a directory, as a process that can be killed: DIRECTORY STATE CACHE [WHEN NAME NTH]. It says
 * each write and each command before and after, as a line of JSON, and last how the run ended.
 */
import { writeSync } from 'node:fs'
import { runDirectory } from '../../src/app.ts'
import { defaults, readConfig } from '../../src/config.ts'
import { lookOn, type Notice } from './look-on.ts'

const [directory = '', state = '', cache = '', ...point] = process.argv.slice(2)
// Synchronous, so that what was said before a kill has been said.
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`)

const notice: Notice = async (when, name, nth) => {
  say({ when, name, nth })
  if (point.join(' ') !== `${when} ${name} ${nth}`) return
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => {})
}

const flags = { ...defaults, maxStartsPerMinute: '10000', state, cache }
const ending = await runDirectory(readConfig(directory, flags, process.env), {
  once: true,
  version: '0.0.0',
  signal: new AbortController().signal,
  events: {
    emit: (event) => {
      if (event.type === 'Bug') say({ bug: `${event.controller} ${event.key}: ${String(event.error)}` })
      if (event.type === 'Phase') say({ phase: `${event.operation.name}: ${event.phase}: ${event.message}` })
    },
  },
  decorate: (outside) => lookOn(outside, notice),
})
say({ ending })
