/** A thread of `runSeeds`. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Seeds } from './run-seeds.ts'
import { playSeed } from './play-seed.ts'
import type { Report } from './world.ts'

const { next, end } = workerData as Seeds
const reports: Report[] = []
for (let seed = Atomics.add(next, 0, 1); seed < end; seed = Atomics.add(next, 0, 1))
  reports.push(await playSeed(seed))
parentPort!.postMessage(reports)
