import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Report } from './world.ts'

/** Worlds before `end`, of which each thread takes the next that no other has. */
export interface Seeds {
  /** The next one, shared by all threads. */
  next: Int32Array<SharedArrayBuffer>
  end: number
}

/** Worlds make much garbage that dies young: with room for it little is looked at twice. */
const maxYoungGenerationSizeMb = 192

/** Runs so many worlds, in threads of their own: every core of the machine has one until none is left, or until one is red. */
export async function runSeeds({ first, count }: { first: number; count: number }): Promise<Report[]> {
  const next = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  next[0] = first
  const threads = Math.min(count, availableParallelism())
  const parts = await Promise.all(
    Array.from({ length: threads }, () => runThread({ next, end: first + count })),
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
