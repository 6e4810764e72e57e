/** `node test/bench/run.ts [NAME…]`: measures all benches, or those that are named. Exit 1: a goal was missed. */
import { loadavg } from 'node:os'
import { machine } from '../support/machine.ts'
import { missingPrograms } from '../support/programs.ts'
import { apiBench } from './api.ts'
import type { Bench, Finding } from './bench.ts'
import { clusterBench } from './cluster.ts'
import { directoryBench } from './directory.ts'
import { fleetBench } from './fleet.ts'
import { loopBench } from './loop.ts'
import { buildProgram } from './measure.ts'
import { planBench } from './plan.ts'
import { uploadBench } from './upload.ts'

const benches: Record<string, Bench> = {
  upload: uploadBench,
  plan: planBench,
  fleet: fleetBench,
  loop: loopBench,
  directory: directoryBench,
  api: apiBench,
  cluster: clusterBench,
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const lineOf = ({ text, goal }: Finding): string =>
  goal === undefined ? `  ${text}` : `  ${text}; goal: ${goal.text}: ${goal.met ? 'met' : 'MISSED'}`

const unknown = process.argv.slice(2).filter((name) => !Object.hasOwn(benches, name))
if (unknown.length > 0) {
  process.stderr.write(
    `no bench is called ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}\n`,
  )
  process.exit(2)
}

const today = new Date().toISOString().slice(0, 10)
say(`${machine()}; load ${loadavg()[0]!.toFixed(2)} before the first bench; ${today}`)
buildProgram()
for (const name of process.argv.length > 2 ? process.argv.slice(2) : Object.keys(benches)) {
  const { title, needs, missing: others, run } = benches[name]!
  say(`\n${name}: ${title}`)
  const missing = [...missingPrograms(...needs), ...(others?.() ?? [])]
  if (missing.length > 0) {
    say(`  skipped: the machine lacks ${missing.join(', ')}`)
    continue
  }
  for (const found of await run()) {
    say(lineOf(found))
    if (found.goal?.met === false) process.exitCode = 1
  }
}
