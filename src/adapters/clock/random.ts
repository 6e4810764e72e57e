import type { Random } from '../../ports/clock.ts'

/** A stream of numbers that is the same for the same seed. */
export interface SeededRandom extends Random {
  /** Another stream, which depends on the seed and the name alone, not on what has been drawn so far. */
  fork(name: string): SeededRandom
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number
  /** True with this probability. */
  chance(probability: number): boolean
  /** One of the items. */
  pick<T>(items: readonly T[]): T
}

/** Four 32-bit words from a text: FNV-1a with a different start for each, and a final mix. */
const wordsOf = (text: string): Uint32Array =>
  Uint32Array.from([0x811c9dc5, 0x9e3779b9, 0x85ebca6b, 0xc2b2ae35], (start) => {
    let hash = start
    for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    return hash ^ (hash >>> 16)
  })

/** sfc32, a small fast generator of 128 bits of state. For simulations and jitter, never for secrets. */
export const createRandom = (seed: number | string): SeededRandom => {
  const state = wordsOf(String(seed))
  let [a, b, c, counter] = [state[0]!, state[1]!, state[2]!, state[3]! | 1]
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }
  // The first numbers still show the seed.
  for (let round = 0; round < 15; round += 1) next()
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1))
  return Object.assign(() => next(), {
    fork: (name: string) => createRandom(`${seed}/${name}`),
    integer,
    chance: (probability: number) => next() < probability,
    pick: <T>(items: readonly T[]): T => items[integer(0, items.length - 1)]!,
  })
}

/** Real jitter, for production. */
export const systemRandom: Random = () => Math.random()
