import { describe, expect, test } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { recordFigure } from '../support/figures.ts'
import { secondsToPlay } from '../support/rounds.ts'
import { corpusBytes, readCorpus, writeCorpus } from './corpus.ts'
import { fuzz, type FuzzTarget } from './fuzzer.ts'
import { goldenProbes, guardTarget, probeTarget } from './targets/device-answers.ts'
import { imageTarget, metadataTarget } from './targets/image.ts'
import { manifestsTarget } from './targets/manifests.ts'
import { queriesTarget } from './targets/queries.ts'

/** Each with what it does in about a second and a half. */
const targets: readonly (readonly [FuzzTarget, number])[] = [
  [imageTarget, 20_000],
  [metadataTarget, 20_000],
  [probeTarget, 8000],
  [guardTarget, 20_000],
  [manifestsTarget, 1500],
  [queriesTarget, 20_000],
]

/** `REFLASH_GROW_CORPUS=1` keeps the shortest input for each way that was found. */
const grows = process.env['REFLASH_GROW_CORPUS'] === '1'
/** Other inputs with every nightly run; always the same ones in between. */
const seed = process.env['REFLASH_SEED'] ?? (secondsToPlay() > 0 ? String(Date.now()) : 'fuzz')

describe.each(targets)('$name', (target, count) => {
  test('nothing that is put into it does harm', { timeout: (secondsToPlay() + 120) * 1000 }, async () => {
    const corpus = readCorpus(target.name)
    const endsAt = performance.now() + (secondsToPlay() * 1000) / targets.length
    const { executions, ways, slowestMs } = await fuzz(
      target,
      corpus,
      createRandom(`${target.name} ${seed}`),
      (done) => done < count || performance.now() < endsAt,
    )
    if (grows) writeCorpus(target.name, ways.values())
    const figure = (name: string, value: number, more: { unit?: string; goal?: string } = {}): void =>
      recordFigure({ suite: 'fuzz', name: `${target.name}: ${name}`, value, ...more })
    figure('executions', executions)
    figure('inputs kept', corpus.length)
    figure('ways through it', ways.size)
    figure('slowest input', Math.round(slowestMs), { unit: 'ms' })
    figure('open crashes', 0, { goal: '0' })
    // Else the mutants are all refused at the door.
    expect(ways.size).toBeGreaterThanOrEqual(Math.min(corpus.length, 5))
  })
})

test(
  'no byte of what a router of any release answers does harm when it is another one',
  { timeout: 300_000 },
  async () => {
    const flips = secondsToPlay() > 0 ? 5000 : 300
    for (const [index, golden] of goldenProbes.entries()) {
      const random = createRandom(`golden ${index} ${seed}`)
      for (let flip = 0; flip < flips; flip += 1) {
        const bytes = Buffer.from(golden)
        bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255)
        await probeTarget.run(bytes)
      }
    }
    recordFigure({
      suite: 'fuzz',
      name: 'probe: bytes changed in true answers',
      value: flips * goldenProbes.length,
    })
  },
)

test('the corpus stays small enough for git', () => {
  expect(corpusBytes()).toBeLessThan(300 * 1024)
  recordFigure({ suite: 'fuzz', name: 'corpus', value: Math.round(corpusBytes() / 1024), unit: 'KiB' })
})
