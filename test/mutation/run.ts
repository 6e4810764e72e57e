/** Makes every small change to the kernel, one at a time, and counts how many of them its tests notice. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { recordFigure } from '../support/figures.ts'
import { secondsToPlay } from '../support/rounds.ts'
import { readToolCall, say } from '../support/tool-call.ts'
import { groups } from './groups.ts'
import { mutate, type Mutant } from './mutate.ts'
import { describeMutant, keyOf, readListed, type Survivor } from './survivors.ts'

const goal = 95
/** Lines of a file that are mutated together in a sample: enough that starting the tests does not cost more. */
const pieceLines = 60

const help = `Usage: npm run mutation -- [options] [GROUP…]

Changes the kernel and its judges in every small way, one at a time, runs the tests that reach the change, and counts those that nobody
notices. Those that were looked at are in test/mutation/survivors.json, each with its reason. Groups: ${Object.keys(groups).join(', ')}.

With REFLASH_SECONDS a sample is taken: pieces of files in the order of the seed, as many as begin within so many seconds.

  --jobs N     how many at a time (default: one for each core, at most 2)
  --seed N     the order of a sample (default: one of today)
  -o json      the result as JSON, with every survivor
  -h, --help   this text

Exit code: 0 the score is at least ${goal} and every survivor is listed, 1 it is not, 2 wrong usage.
`

interface Piece {
  group: string
  files: readonly string[]
}

/** The pieces of a sample, in the order of the seed. */
function piecesOf(names: readonly string[], seed: number): Piece[] {
  const random = createRandom(seed)
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const pieces = names.flatMap((group) =>
    groups[group]!.files.flatMap((file) => {
      const lines = readFileSync(root + file, 'utf8').split('\n').length
      return Array.from({ length: Math.ceil(lines / pieceLines) }, (_, index) => {
        const from = index * pieceLines + 1
        return { group, files: [`${file}:${from}-${Math.min(lines, from + pieceLines - 1)}`] }
      })
    }),
  )
  return pieces
    .map((piece) => ({ piece, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ piece }) => piece)
}

async function mutateAll(names: readonly string[], jobs: number, seed: number): Promise<Mutant[]> {
  const seconds = secondsToPlay()
  const endsAt = performance.now() + seconds * 1000
  const pieces =
    seconds > 0
      ? piecesOf(names, seed)
      : names.map((group): Piece => ({ group, files: groups[group]!.files }))
  const mutants: Mutant[] = []
  for (const { group, files } of pieces) {
    if (seconds > 0 && performance.now() > endsAt) break
    mutants.push(...(await mutate({ files, tests: groups[group]!.tests, jobs })))
  }
  return mutants
}

interface Score {
  mutants: number
  killed: number
  equivalent: number
  listed: number
  unlisted: Survivor[]
  /** Listed, and noticed by now. */
  stale: Survivor[]
  /** Percent of those that are mistakes. */
  score: number
}

/** One that runs into a limit of time is noticed; one that cannot even run counts for nothing. */
const isNoticed = ({ status }: Mutant): boolean => status === 'Killed' || status === 'Timeout'
const isMissed = ({ status }: Mutant): boolean => status === 'Survived' || status === 'NoCoverage'

function scoreOf(mutants: readonly Mutant[]): Score {
  const known = new Map(readListed().map((listed) => [keyOf(listed), listed]))
  const missed = mutants.filter(isMissed).map(describeMutant)
  const missedKeys = new Set(missed.map(keyOf))
  const listed = missed.filter((survivor) => known.has(keyOf(survivor)))
  const equivalent = listed.filter((survivor) => known.get(keyOf(survivor))!.isEquivalent).length
  const killed = mutants.filter(isNoticed)
  const mistakes = killed.length + missed.length - equivalent
  return {
    mutants: killed.length + missed.length,
    killed: killed.length,
    equivalent,
    listed: listed.length,
    unlisted: missed.filter((survivor) => !known.has(keyOf(survivor))),
    stale: killed.map(describeMutant).filter((one) => known.has(keyOf(one)) && !missedKeys.has(keyOf(one))),
    score: mistakes === 0 ? 100 : (100 * killed.length) / mistakes,
  }
}

const fileOf = (mutant: Mutant): string => describeMutant(mutant).file

function report(mutants: readonly Mutant[], asJson: boolean): void {
  const all = scoreOf(mutants)
  const suite = 'mutation'
  recordFigure({ suite, name: 'mutants', value: all.mutants })
  recordFigure({ suite, name: 'killed', value: all.killed })
  recordFigure({
    suite,
    name: 'score',
    value: Math.round(all.score * 10) / 10,
    unit: '%',
    goal: `at least ${goal}`,
  })
  recordFigure({ suite, name: 'listed survivors', value: all.listed })
  if (all.score < goal || all.unlisted.length > 0 || all.stale.length > 0) process.exitCode = 1
  if (asJson) return say(JSON.stringify(all))
  for (const file of new Set(mutants.map(fileOf))) {
    const {
      mutants: count,
      killed,
      equivalent,
      score,
    } = scoreOf(mutants.filter((one) => fileOf(one) === file))
    say(`${file}: ${score.toFixed(1)} % (${killed} of ${count} noticed, ${equivalent} equivalent)`)
  }
  for (const { file, was, becomes } of all.unlisted) say(`SURVIVED ${file}\n  - ${was}\n  + ${becomes}`)
  for (const { file, becomes } of all.stale) say(`LISTED, BUT NOTICED ${file}\n  + ${becomes}`)
  say(
    `\nscore ${all.score.toFixed(1)} %: ${all.killed} of ${all.mutants} noticed, ${all.listed} listed, ${all.unlisted.length} not`,
  )
}

const { values, jobs, isJson, names, usage } = readToolCall(help, { seed: { type: 'string' } })
const unknown = names.filter((name) => !Object.hasOwn(groups, name))
if (unknown.length > 0) usage(`there is no group ${unknown.join(', ')}`)
const seed = Number(values.seed ?? Math.floor(Date.now() / 86_400_000))
if (!Number.isInteger(seed)) usage(`--seed ${values.seed} is no number`)
report(await mutateAll(names.length > 0 ? names : Object.keys(groups), jobs, seed), isJson)
