/**
 * `reflash controller` as a process that can be killed: KUBECONFIG IMAGES CACHE WHEN NAME NTH. It stands for election with
 * short times, says each write and each command before and after as a line of JSON, and kills itself at its point.
 */
import { writeSync } from 'node:fs'
import { runController } from '../../src/cluster.ts'
import { apiDefaults, defaults, readControllerConfig } from '../../src/config.ts'
import { lookOnCluster, type Notice } from '../crash/look-on.ts'

const [kubeconfig = '', images = '', cache = '', ...point] = process.argv.slice(2)
// Synchronous, so that what was said before a kill has been said.
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`)

const notice: Notice = async (when, name, nth) => {
  say({ when, name, nth })
  if (point.join(' ') !== `${when} ${name} ${nth}`) return
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => {})
}

const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())
const listen = '127.0.0.1:0'
const flags = { ...defaults, ...apiDefaults, maxStartsPerMinute: '10000', kubeconfig, images, cache, listen }
const ending = await runController(readControllerConfig(flags, {}), {
  version: '0.0.0',
  signal: stopping.signal,
  electionTimes: { durationMs: 2000, renewDeadlineMs: 1500, retryMs: 250 },
  events: {
    emit: (event) => {
      if (event.type === 'Bug') say({ bug: `${event.controller} ${event.key}: ${String(event.error)}` })
      if (event.type === 'Info') say({ info: event.reason })
    },
  },
  decorate: (outside) => lookOnCluster(outside, notice),
})
say({ ending })
