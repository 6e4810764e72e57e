/** Plants each mistake of the bank in a copy of the tree and demands that its test finds it. */
import { readFile, writeFile } from 'node:fs/promises'
import { recordFigure } from '../support/figures.ts'
import { readToolCall, say } from '../support/tool-call.ts'
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
  // Once more: whoever reads the end alone should see them.
  for (const hunt of hunts) if (!hunt.found) say(lineOf(hunt))
  say(`\nfound ${found.length} of ${hunts.length}, median ${seconds.toFixed(1)} s${inSeeds}`)
}

const lineOf = ({ bug, found, seconds, seed, why }: Hunt): string => {
  const cost = `${seconds.toFixed(1)} s${seed === undefined ? '' : `, seed ${seed}`}`
  return found ? `found   ${bug.name} (${cost})` : `MISSED  ${bug.name} (${cost}): ${why}`
}

const { values, jobs, isJson, names, usage } = readToolCall(help, { refresh: { type: 'boolean' } })
const bank = await readBank()
const unknown = names.filter((name) => !bank.some((bug) => bug.name.startsWith(name)))
if (unknown.length > 0) usage(`no patch has a name that begins with ${unknown.join(', ')}`)
const bugs = bank.filter(({ name }) => names.length === 0 || names.some((each) => name.startsWith(each)))
if (values.refresh) await refresh(bugs)
else report(await huntAll(bugs, jobs, isJson ? () => {} : (each) => say(lineOf(each))), isJson)
