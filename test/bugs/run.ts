/** Plants each mistake of the bank in a copy of the tree and demands that its test finds it. */
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { recordFigure } from '../support/figures.ts'
import { headerOf, readBank, type Bug } from './bank.ts'
import { copyTree, mergeAgain, withClone } from './checkout.ts'
import { hunt, type Hunt } from './hunt.ts'

const help = `Usage: npm run bugs -- [options] [NAME…]

Plants each mistake of test/bugs/*.patch, one at a time, in a copy of the tree under the temporary folder, runs the test
that its header names, and demands that this test goes red for what it asserts. NAME is the beginning of a patch's name.

  --jobs N     how many at a time (default: one for each core, at most 2)
  --refresh    make the patches anew for the last commit, by three-way merge, and run nothing
  -o json      the result as JSON
  -h, --help   this text

Exit code: 0 all were found, 1 one was not or no longer applies, 2 wrong usage.
`

const say = (line: string): void => void process.stdout.write(`${line}\n`)

function usage(message: string): never {
  process.stderr.write(`${message}\n\n${help}`)
  process.exit(2)
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        jobs: { type: 'string' },
        refresh: { type: 'boolean' },
        output: { type: 'string', short: 'o' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    const jobs = Number(values.jobs ?? Math.min(2, availableParallelism()))
    if (!Number.isInteger(jobs) || jobs < 1) usage(`--jobs ${values.jobs} is no number of jobs`)
    if (values.output !== undefined && values.output !== 'json') usage(`-o ${values.output}: only json`)
    return { ...values, jobs, names: positionals }
  } catch (error) {
    usage(error instanceof Error ? error.message : String(error))
  }
}

/** Makes each patch anew where the lines around it have moved. */
async function refresh(bugs: readonly Bug[]): Promise<void> {
  await withClone(async (clone) => {
    for (const { name, path } of bugs) {
      const text = await readFile(path, 'utf8')
      try {
        const merged = headerOf(text) + (await mergeAgain(path, clone))
        if (merged !== text) say(`${name}: made anew`)
        await writeFile(path, merged)
      } catch (error) {
        say(`${name}: cannot be merged, make it by hand (${String(error)})`)
        process.exitCode = 1
      }
    }
  })
}

async function huntAll(bugs: readonly Bug[], jobs: number, tell: (hunt: Hunt) => void): Promise<Hunt[]> {
  const hunts: Hunt[] = []
  const waiting = bugs.values()
  const worker = async (): Promise<void> => {
    const checkout = await copyTree()
    try {
      for (const bug of waiting) {
        const result = await hunt(bug, checkout)
        tell(result)
        hunts.push(result)
      }
    } finally {
      await checkout.remove()
    }
  }
  await Promise.all(Array.from({ length: Math.min(jobs, bugs.length) }, worker))
  return hunts.toSorted((a, b) => (a.bug.name < b.bug.name ? -1 : 1))
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

function report(hunts: readonly Hunt[], asJson: boolean): void {
  const found = hunts.filter((each) => each.found)
  const seconds = median(found.map((each) => each.seconds))
  const seeds = found.map(({ seed }) => seed).filter((seed) => seed !== undefined)
  if (found.length < hunts.length) process.exitCode = 1
  const suite = 'bug-bank'
  recordFigure({ suite, name: 'bugs planted', value: hunts.length, goal: 'at least 25' })
  recordFigure({ suite, name: 'bugs found', value: found.length, goal: 'all of them' })
  recordFigure({ suite, name: 'median time to find one', value: Math.round(seconds * 10) / 10, unit: 's' })
  if (asJson) {
    const rows = hunts.map(({ bug, ...rest }) => ({ ...bug, ...rest }))
    say(JSON.stringify({ planted: hunts.length, found: found.length, medianSeconds: seconds, bugs: rows }))
    return
  }
  const inSeeds = seeds.length === 0 ? '' : `; where chance finds them, median seed ${median(seeds)}`
  say(`\nfound ${found.length} of ${hunts.length}, median ${seconds.toFixed(1)} s${inSeeds}`)
}

const lineOf = ({ bug, found, seconds, seed, why }: Hunt): string => {
  const cost = `${seconds.toFixed(1)} s${seed === undefined ? '' : `, seed ${seed}`}`
  return found ? `found   ${bug.name} (${cost})` : `MISSED  ${bug.name} (${cost}): ${why}`
}

const given = readArguments()
if (given.help) {
  process.stdout.write(help)
} else {
  const bank = await readBank()
  const unknown = given.names.filter((name) => !bank.some((bug) => bug.name.startsWith(name)))
  if (unknown.length > 0) usage(`no patch has a name that begins with ${unknown.join(', ')}`)
  const bugs = bank.filter(
    ({ name }) => given.names.length === 0 || given.names.some((each) => name.startsWith(each)),
  )
  if (given.refresh) await refresh(bugs)
  else {
    const asJson = given.output === 'json'
    report(await huntAll(bugs, given.jobs, asJson ? () => {} : (each) => say(lineOf(each))), asJson)
  }
}
