import type { SeededRandom } from '../../src/adapters/clock/random.ts'

/** What a mutation may take from. */
export interface Material {
  random: SeededRandom
  /** Words that mean something to the parser. */
  words: readonly Buffer[]
  /** Another input that is known. */
  other: Buffer
}

type Mutation = (bytes: Buffer, material: Material) => Buffer

const replaced = (bytes: Buffer, start: number, end: number, insert: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, start), insert, bytes.subarray(end)])

const placeIn = (bytes: Buffer, random: SeededRandom): number => random.integer(0, bytes.length)

/** Short ranges mostly, so that what is around them still makes sense. */
const rangeIn = (bytes: Buffer, random: SeededRandom): [start: number, end: number] => {
  const start = placeIn(bytes, random)
  const longest = random.chance(0.8) ? 8 : bytes.length
  return [start, Math.min(bytes.length, start + random.integer(1, Math.max(1, longest)))]
}

const interesting = [
  0, 1, 2, 7, 8, 15, 16, 17, 63, 64, 127, 128, 255, 256, 1023, 1024, 30_720, 32_767, 65_535,
]
const far = [0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff0]

const flipBit: Mutation = (bytes, { random }) => {
  const copy = Buffer.from(bytes)
  if (copy.length > 0) copy[random.integer(0, copy.length - 1)]! ^= 1 << random.integer(0, 7)
  return copy
}
const setByte: Mutation = (bytes, { random }) => {
  const copy = Buffer.from(bytes)
  if (copy.length > 0) copy[random.integer(0, copy.length - 1)] = random.integer(0, 255)
  return copy
}
const cutEnd: Mutation = (bytes, { random }) => bytes.subarray(0, placeIn(bytes, random))
const cutStart: Mutation = (bytes, { random }) => bytes.subarray(placeIn(bytes, random))
const drop: Mutation = (bytes, { random }) => replaced(bytes, ...rangeIn(bytes, random), Buffer.alloc(0))
const repeat: Mutation = (bytes, { random }) => {
  const [start, end] = rangeIn(bytes, random)
  const times = random.pick([1, 1, 2, 3, 70])
  return replaced(
    bytes,
    end,
    end,
    Buffer.concat(Array.from({ length: times }, () => bytes.subarray(start, end))),
  )
}
const insertWord: Mutation = (bytes, { random, words }) => {
  const at = placeIn(bytes, random)
  return replaced(bytes, at, at, random.pick(words))
}
const overwriteWithWord: Mutation = (bytes, { random, words }) => {
  const at = placeIn(bytes, random)
  const word = random.pick(words)
  return replaced(bytes, at, at + word.length, word)
}
const insertNoise: Mutation = (bytes, { random }) => {
  const at = placeIn(bytes, random)
  return replaced(
    bytes,
    at,
    at,
    Buffer.from(Array.from({ length: random.integer(1, 6) }, () => random.integer(0, 255))),
  )
}
const splice: Mutation = (bytes, { random, other }) =>
  Buffer.concat([bytes.subarray(0, placeIn(bytes, random)), other.subarray(placeIn(other, random))])
const moveRange: Mutation = (bytes, { random }) => {
  const [start, end] = rangeIn(bytes, random)
  const rest = replaced(bytes, start, end, Buffer.alloc(0))
  const at = placeIn(rest, random)
  return replaced(rest, at, at, bytes.subarray(start, end))
}
/** Lengths stand in four bytes, and those of a trailer near the end. */
const setLength: Mutation = (bytes, { random }) => {
  if (bytes.length < 4) return bytes
  const copy = Buffer.from(bytes)
  const at = random.chance(0.5) ? copy.length - 4 : random.integer(0, copy.length - 4)
  const value = random.pick([...interesting, ...far, copy.length, copy.length - 1, copy.length + 1])
  copy.writeUInt32BE(Math.max(0, value), at)
  return copy
}
/** A number in text becomes another one. */
const setNumber: Mutation = (bytes, { random }) => {
  const found = Array.from(bytes.toString('latin1').matchAll(/\d+/g))
  if (found.length === 0) return bytes
  const { index, 0: digits } = random.pick(found)
  const value = random.pick([...interesting, ...far, '-1', '1e9', '0x10', '007', '1.5', '9'.repeat(25)])
  return replaced(bytes, index, index + digits.length, Buffer.from(String(value)))
}

const mutations: readonly Mutation[] = [
  flipBit,
  flipBit,
  setByte,
  cutEnd,
  cutStart,
  drop,
  drop,
  repeat,
  insertWord,
  insertWord,
  overwriteWithWord,
  insertNoise,
  splice,
  moveRange,
  setLength,
  setNumber,
]

/** One to six mutations of an input, and no more bytes than allowed. */
export function mutate(bytes: Buffer, material: Material, maxBytes: number): Buffer {
  const { random } = material
  let mutant = bytes
  for (let left = random.pick([1, 1, 1, 2, 3, 6]); left > 0; left -= 1)
    mutant = random.pick(mutations)(mutant, material).subarray(0, maxBytes)
  return mutant
}
