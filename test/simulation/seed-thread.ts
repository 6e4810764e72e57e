/** A thread of `runSeeds`. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Seeds } from './run-seeds.ts'
import { runWorld, type Report } from './world.ts'

const { next, end, controllers } = workerData as Seeds
const reports: Report[] = []
for (let seed = Atomics.add(next, 0, 1); seed < end; seed = Atomics.add(next, 0, 1))
  reports.push(await runWorld(seed, controllers))
parentPort!.postMessage(reports)
