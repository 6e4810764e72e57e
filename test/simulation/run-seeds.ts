import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Report } from './world.ts'

/** Worlds `first`, `first + step`… before `end`. */
export interface Seeds {
  first: number
  end: number
  step: number
}

/** Worlds make much garbage that dies young: with room for it little is looked at twice. */
const maxYoungGenerationSizeMb = 192

/** Runs so many worlds, in order, in threads of their own: every core of the machine has some. */
export async function runSeeds({ first, count }: { first: number; count: number }): Promise<Report[]> {
  const step = Math.min(count, availableParallelism())
  const parts = await Promise.all(
    Array.from({ length: step }, (_, place) => runThread({ first: first + place, end: first + count, step })),
  )
  return parts.flat().toSorted((a, b) => a.seed - b.seed)
}

const runThread = (workerData: Seeds): Promise<Report[]> =>
  new Promise((resolve, reject) => {
    const thread = new Worker(new URL('seed-thread.ts', import.meta.url), {
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb },
      execArgv: [],
    })
    thread.once('message', resolve)
    thread.once('error', reject)
    thread.once('exit', (code) => reject(new Error(`a thread of worlds ended with ${code}`)))
  })
