import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readState } from '../../src/adapters/sqlite/state.ts'
import { atMost, type Bench, finding, type Finding, mebibytes, seconds, withFolder } from './bench.ts'
import { deviceFile, makeKnownFleet } from './known-fleet.ts'
import { processMs, residentBytes } from './measure.ts'
import { pause, startRun } from './running.ts'

const devices = 2000
const edits = 5
const maxReadyMs = 5000
const maxIdleMiB = 200
/** One edited device: itself declared, and its standing judged again. */
const maxWritesAnEdit = 2
const quietMs = 5000

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
