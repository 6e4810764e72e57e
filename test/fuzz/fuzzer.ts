import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import { mutate } from './mutate.ts'

/** A parser of what somebody hostile may write. */
export interface FuzzTarget {
  name: string
  /** Valid inputs, from which everything else is made. */
  seeds: readonly Uint8Array[]
  /** Words that mean something to the parser. */
  words: readonly string[]
  maxBytes: number
  /**
   * Takes an input. Throws for what must not be, and nothing else may be thrown. Returns which way it went in a few
   * words: inputs that went a new way are kept, and mutated further.
   */
  run: (input: Buffer) => string | Promise<string>
  /** Makes some mutants whole again where else a checksum would end everything early. */
  repair?: (input: Buffer) => Buffer
}

export interface FuzzResult {
  executions: number
  /** The shortest input that is known for each way. */
  ways: ReadonlyMap<string, Buffer>
  slowestMs: number
}

/** No input may hold the program up so long, however slow the machine is. */
const hangMs = 10_000
const maxWays = 2000
/** Beyond it a report of a failure is no use. */
const shownBytes = 6000

/** Feeds one input, and says which input it was when something is wrong. */
async function feed(target: FuzzTarget, input: Buffer): Promise<{ way: string; ms: number }> {
  const startMs = performance.now()
  let way: string
  try {
    way = await target.run(input)
  } catch (error) {
    const shown = input.subarray(0, shownBytes).toString('base64')
    throw new Error(`the parser of ${target.name} failed for these ${input.length} bytes: ${shown}`, {
      cause: error,
    })
  }
  const ms = performance.now() - startMs
  if (ms > hangMs) throw new Error(`${target.name} took ${ms} ms: ${input.toString('base64')}`)
  return { way, ms }
}

/** Replays what is known, then mutates it until `goesOn` says no. The same random, the same inputs. */
export async function fuzz(
  target: FuzzTarget,
  corpus: readonly Buffer[],
  random: SeededRandom,
  goesOn: (executions: number) => boolean,
): Promise<FuzzResult> {
  const ways = new Map<string, Buffer>()
  const pool: Buffer[] = []
  const words = target.words.map((word) => Buffer.from(word, 'latin1'))
  let slowestMs = 0
  let executions = 0
  const take = async (input: Buffer): Promise<void> => {
    const { way, ms } = await feed(target, input)
    executions += 1
    slowestMs = Math.max(slowestMs, ms)
    const known = ways.get(way)
    if (known && known.length <= input.length) return
    if (!known && ways.size >= maxWays) return
    ways.set(way, Buffer.from(input))
    if (!known) pool.push(Buffer.from(input))
  }
  for (const input of [...target.seeds, ...corpus]) await take(Buffer.from(input))
  while (goesOn(executions)) {
    const material = { random, words, other: random.pick(pool) }
    const mutant = mutate(random.pick(pool), material, target.maxBytes)
    await take(target.repair && random.chance(0.7) ? target.repair(mutant) : mutant)
  }
  return { executions, ways, slowestMs }
}

/** Text that may stand in a log or on a terminal, with what differs from input to input taken out. */
export const wayOf = (message: string): string =>
  message
    .replace(/"[^]*/, '"…"')
    .replaceAll(/token '?[^ ]+/g, 'token …')
    .replaceAll(/\d+/g, '#')
    .slice(0, 80)
