import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { openDirectory } from '../../src/adapters/files/directory-source.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { readState } from '../../src/adapters/sqlite/state.ts'
import { loadFleet } from '../../src/controllers/controllers.ts'
import { lookOnce } from '../../src/controllers/look-once.ts'
import { planFleet } from '../../src/controllers/plan.ts'
import { createDirectorySync } from '../../src/controllers/sync-directory.ts'
import { keyOf, keyString } from '../../src/core/keys.ts'
import { atMost, type Bench, finding, type Finding, mebibytes, seconds, withFolder } from './bench.ts'
import { type KnownFleet, makeKnownFleet, portsOver } from './known-fleet.ts'
import { measure, reflash } from './measure.ts'

const devices = 10_000
const rounds = 3
const maxDecisionMs = 250

/** The stages of `plan`, as the command goes through them. */
const planOnce = async ({ directory, stateFile, simulated }: KnownFleet) => {
  const { signal } = new AbortController()
  const stages: Record<string, number> = {}
  let lastMs = performance.now()
  const mark = (stage: string): void => {
    const nowMs = performance.now()
    stages[stage] = nowMs - lastMs
    lastMs = nowMs
  }
  const revision = await openDirectory(directory, { clock: systemClock }).readOnce(signal)
  mark('read the directory')
  const known = await readState(stateFile)
  mark('read the state')
  const store = createMemoryStore({ clock: systemClock, initial: known.resources })
  const ports = await portsOver(store, simulated)
  await createDirectorySync(store, ports.events).take(revision)
  await loadFleet(ports.store, ports.fleet)
  mark('load the fleet')
  await lookOnce(ports, { probe: false, concurrency: 64, signal })
  mark('check references')
  for (const device of ports.fleet.list('Device')) ports.fleet.reassess(keyString(keyOf(device)))
  const plan = await planFleet(ports.fleet, ports.governor)
  mark('judge and list')
  if (plan.summary.devices !== devices || plan.summary.upgrade === 0) {
    throw new Error(`not the plan of ${devices} known devices: ${JSON.stringify(plan.summary)}`)
  }
  return stages
}

/** What every device would do, and why. */
const run = (): Promise<Finding[]> =>
  withFolder(async (folder) => {
    const known = await makeKnownFleet(folder, devices)
    const all: Record<string, number>[] = []
    for (let round = 0; round < rounds; round += 1) all.push(await planOnce(known))
    const best = (stage: string): number => Math.min(...all.map((stages) => stages[stage]!))
    const stages = Object.keys(all[0]!)
    const argv = reflash('plan', known.directory, '--state', known.stateFile, '--no-probe', '-o', 'json')
    const whole = await measure(argv)
    if (whole.code !== 1) throw new Error(`plan ended with ${whole.code}: ${whole.stderr}`)
    return [
      finding(`stages: ${stages.map((stage) => `${stage} ${best(stage).toFixed(0)} ms`).join(', ')}`),
      atMost(
        `decision: ${best('judge and list').toFixed(0)} ms`,
        best('judge and list'),
        maxDecisionMs,
        ' ms',
      ),
      finding(
        `the whole command: ${seconds(whole.wallMs)}, CPU ${seconds(whole.cpuMs)}, peak ${mebibytes(whole.peakBytes)}`,
      ),
    ]
  })

export const planBench: Bench = {
  title: `plan over ${devices} devices whose state is known, best of ${rounds}`,
  needs: [],
  run,
}
