/** A thread of `runSeeds`. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Seeds } from './run-seeds.ts'
import { playSeed } from './play-seed.ts'
import type { Report } from './world.ts'

const { first, end, step } = workerData as Seeds
const reports: Report[] = []
for (let seed = first; seed < end; seed += step) reports.push(await playSeed(seed))
parentPort!.postMessage(reports)
