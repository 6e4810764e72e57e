/** A thread of `runSeeds`. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Seeds } from './run-seeds.ts'
import { playSeed } from './play-seed.ts'
import type { Report } from './world.ts'

const { next, end } = workerData as Seeds
const reports: Report[] = []
for (let seed = Atomics.add(next, 0, 1); seed < end; seed = Atomics.add(next, 0, 1)) {
  const report = await playSeed(seed)
  reports.push(report)
  // All before it are being played already: the first red one is found, and nobody has to wait for more.
  if (report.violations.length > 0) Atomics.store(next, 0, end)
}
parentPort!.postMessage(reports)
