import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { readState } from '../../src/adapters/sqlite/state.ts'
import { atMost, type Bench, finding, type Finding, mebibytes, seconds, withFolder } from './bench.ts'
import { deviceFile, type KnownFleet, makeKnownFleet } from './known-fleet.ts'
import { processMs, reflash, residentBytes } from './measure.ts'

const devices = 2000
const edits = 5
const maxReadyMs = 5000
const maxIdleMiB = 200
/** One edited device: itself declared, and its standing judged again. */
const maxWritesAnEdit = 2
const quietMs = 5000

interface Run {
  process: ChildProcess
  readyMs: number
  /** Resolves with the next line of its log that gives this reason. */
  heard(reason: string): Promise<void>
  stop(): Promise<void>
}

const startRun = async ({ directory, stateFile }: KnownFleet): Promise<Run> => {
  const startedMs = performance.now()
  const [program, ...args] = reflash('run', directory, '--state', stateFile, '--log-format', 'json')
  const child = spawn(program!, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const log: string[] = []
  const waiting = new Set<() => void>()
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.push(line)
    for (const look of waiting) look()
  })
  let from = 0
  const heard = (reason: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const at = log.findIndex((line, index) => index >= from && line.includes(`"reason":"${reason}"`))
        if (at === -1) return
        from = at + 1
        waiting.delete(look)
        resolve()
      }
      child.once('exit', (code) => reject(new Error(`run ended with ${code}: ${log.slice(-5).join('\n')}`)))
      waiting.add(look)
      look()
    })
  await heard('RevisionTaken')
  const readyMs = performance.now() - startedMs
  return {
    process: child,
    readyMs,
    heard,
    stop: async () => {
      child.removeAllListeners('exit')
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** CPU time that a process uses while nothing happens. */
const idleMs = async (pid: number): Promise<number> => {
  const before = processMs(pid)
  await sleep(quietMs)
  return processMs(pid) - before
}

const run = (): Promise<Finding[]> =>
  withFolder(async (folder) => {
    const known = await makeKnownFleet(folder, devices)
    // Paused: what is measured is the directory, not the upgrades that it asks for.
    pause(known.directory)
    const first = await startRun({ ...known, stateFile: join(folder, 'first.db') })
    await first.stop()
    const running = await startRun(known)
    const pid = running.process.pid!
    try {
      // Until what the start has set in motion has come to rest.
      while ((await idleMs(pid)) > 250);
      const idle = await idleMs(pid)
      const bytes = residentBytes(pid)
      const startMs = processMs(pid)
      const versionBefore = await latestVersion(known.stateFile)
      for (let edit = 0; edit < edits; edit += 1) {
        const file = deviceFile(known.directory, known.simulated.routers[edit]!.name)
        const device = JSON.parse(readFileSync(file, 'utf8')) as { metadata: { labels?: object } }
        device.metadata.labels = { ...device.metadata.labels, edited: 'yes' }
        writeFileSync(file, `${JSON.stringify(device)}\n`)
        await running.heard('RevisionTaken')
      }
      const editsMs = processMs(pid) - startMs
      await sleep(quietMs)
      const writes = (await latestVersion(known.stateFile)) - versionBefore
      return [
        atMost(`ready after ${seconds(first.readyMs)} with nothing known`, first.readyMs, maxReadyMs, ' ms'),
        atMost(
          `ready after ${seconds(running.readyMs)} with everything known`,
          running.readyMs,
          maxReadyMs,
          ' ms',
        ),
        atMost(`idle at ${mebibytes(bytes)}`, Math.round(bytes / 2 ** 20), maxIdleMiB, ' MiB'),
        finding(`idle CPU ${((100 * idle) / quietMs).toFixed(1)} % of a core`),
        atMost(
          `one edited file: ${(writes / edits).toFixed(1)} objects written, ${(editsMs / edits).toFixed(0)} ms of CPU (${startMs} ms since the start before that)`,
          writes / edits,
          maxWritesAnEdit,
          ' objects',
        ),
      ]
    } finally {
      await running.stop()
    }
  })

function pause(directory: string): void {
  const file = join(directory, 'firmware.yaml')
  const documents = readFileSync(file, 'utf8')
    .split('---\n')
    .map((text) => JSON.parse(text) as { kind: string; spec: object })
    .map((written) =>
      written.kind === 'UpgradePolicy' ? { ...written, spec: { ...written.spec, state: 'Pause' } } : written,
    )
  writeFileSync(file, documents.map((written) => `${JSON.stringify(written)}\n`).join('---\n'))
}

/** Every write gives an object the next version of all. */
async function latestVersion(stateFile: string): Promise<number> {
  const { resources } = await readState(stateFile)
  return Math.max(...resources.map(({ metadata }) => Number(metadata.resourceVersion)))
}

export const directoryBench: Bench = {
  title: `run over a directory of ${devices} devices, a file for each, whose state is known`,
  needs: [],
  run,
}
