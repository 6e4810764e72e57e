import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { atMost, type Bench, finding, type Finding, mebibytes, seconds, withFolder } from './bench.ts'
import type { ServerOptions, ServerReport } from './fleet-server.ts'
import { measure, reflash } from './measure.ts'

const devices = 500
const maxConcurrent = 50
const rebootMs = 5000
const reconnectRetry = '100ms'
const imageBytes = 256 * 1024
const maxRatio = 1.15

/** Flags of the governor that leave all limits to the policy. */
export const ungoverned = ['--max-in-flight', '1000', '--max-starts-per-minute', '10000']

const startServer = async (options: ServerOptions): Promise<ChildProcess> => {
  const server = fork(fileURLToPath(new URL('fleet-server.ts', import.meta.url)), [JSON.stringify(options)])
  const [said] = await Promise.race([once(server, 'message'), once(server, 'exit')])
  if (said !== 'ready') throw new Error(`the simulated fleet does not start: ${String(said)}`)
  return server
}

/** Upgrades simulated routers, all of them, with one `run --once`. */
const upgrade = (options: Omit<ServerOptions, 'directory' | 'imageBytes'>) =>
  withFolder(async (folder) => {
    const directory = join(folder, 'manifests')
    const server = await startServer({ ...options, directory, imageBytes })
    try {
      const argv = reflash('run', directory, '--once', '--state', join(folder, 'state.db'), ...ungoverned)
      const measured = await measure([...argv, '--log-format', 'json'])
      server.send('report')
      const [report] = (await once(server, 'message')) as [ServerReport]
      if (measured.code !== 0 || report.upgraded !== options.count || report.flashes !== options.count) {
        const end = measured.stderr.split('\n').slice(-12).join('\n')
        throw new Error(`exit ${measured.code}, ${JSON.stringify(report)} of ${options.count}: ${end}`)
      }
      return measured
    } finally {
      server.kill('SIGKILL')
    }
  })

/** From the start of the upload until it is on the device, as the log tells it. */
const uploadMs = (log: string): number => {
  const at = new Map<string, number>()
  for (const line of log.split('\n')) {
    if (!line.startsWith('{')) continue
    const { phase, time } = JSON.parse(line) as { phase?: string; time: string | number }
    if (phase !== undefined && !at.has(phase)) at.set(phase, new Date(time).getTime())
  }
  return at.get('Testing')! - at.get('Uploading')!
}

const run = async (): Promise<Finding[]> => {
  const policy = {
    limits: { maxConcurrent, startsPerMinute: 10_000 },
    timeouts: { reconnectRetry },
  } as ServerOptions['policy']
  const one = await upgrade({ count: 1, rebootMs: 200, policy })
  const upload = uploadMs(one.stderr)
  const { wallMs, cpuMs, peakBytes } = await upgrade({ count: devices, rebootMs, policy })
  const idealMs = Math.ceil(devices / maxConcurrent) * (upload + rebootMs)
  const ratio = wallMs / idealMs
  return [
    finding(
      `reconnectRetry ${reconnectRetry}; one upload on an idle machine takes ${upload} ms; start and end of the process included`,
    ),
    atMost(
      `wall time ${seconds(wallMs)}, ideal ${seconds(idealMs)}, ratio ${ratio.toFixed(2)}`,
      ratio,
      maxRatio,
    ),
    finding(
      `CPU ${seconds(cpuMs)}, ${(cpuMs / devices).toFixed(0)} ms a router; peak ${mebibytes(peakBytes)}`,
    ),
  ]
}

export const fleetBench: Bench = {
  title: `${devices} simulated routers over SSH, ${maxConcurrent} at once, reboot ${seconds(rebootMs)}`,
  needs: [],
  run,
}
