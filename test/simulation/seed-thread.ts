/** A thread of `runSeeds`. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Seeds } from './run-seeds.ts'
import { runWorld, type Report } from './world.ts'

const { first, end, step, controllers } = workerData as Seeds
const reports: Report[] = []
for (let seed = first; seed < end; seed += step) reports.push(await runWorld(seed, controllers))
parentPort!.postMessage(reports)
