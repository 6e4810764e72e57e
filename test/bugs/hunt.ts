import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bug } from './bank.ts'
import type { Checkout } from './checkout.ts'

/** What became of one planted mistake. */
export interface Hunt {
  bug: Bug
  found: boolean
  /** Of the test alone, in seconds. */
  seconds: number
  /** The world in which it was found, counted from 1. */
  seed?: number
  /** Why it does not count as found, or what the test said. */
  why: string
}

/** What vitest writes with `--reporter=json`, as far as it is read here. */
interface JsonReport {
  testResults: {
    message: string
    assertionResults: {
      ancestorTitles: string[]
      title: string
      status: string
      failureMessages: string[]
    }[]
  }[]
}

const limitMs = 600_000
/** Whoever meets these has a mistake that no test needs to find: the program does not even run. */
const wrongReason = /^(SyntaxError|ReferenceError|TypeError: .* is not a function)/

/** Plants a mistake, runs its test, and mends it. Found is a red test of the stated name, for what it asserts. */
export async function hunt(bug: Bug, checkout: Checkout): Promise<Hunt> {
  try {
    await checkout.plant(bug.path)
  } catch (error) {
    return { bug, found: false, seconds: 0, why: `does not apply any more: ${String(error)}` }
  }
  const startedMs = performance.now()
  const report = await runTest(bug, checkout.folder)
  const seconds = (performance.now() - startedMs) / 1000
  await checkout.mend(bug.path)
  return { bug, seconds, ...judge(bug, report) }
}

/** Runs the test of a mistake in a folder. Undefined where vitest wrote no report. */
async function runTest({ test, title, seeds }: Bug, cwd: string): Promise<JsonReport | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-hunt-'))
  const file = join(folder, 'report.json')
  const args = ['run', test, '-t', title.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)]
  const child = spawn(
    join(cwd, 'node_modules/.bin/vitest'),
    [...args, '--reporter=json', `--outputFile=${file}`],
    {
      cwd,
      // What a planted mistake brings about is no figure of ours.
      env: {
        ...process.env,
        REFLASH_FIGURES: undefined,
        ...(seeds === undefined ? {} : { REFLASH_SEEDS: String(seeds) }),
      },
      stdio: 'ignore',
      timeout: limitMs,
    },
  )
  await once(child, 'close')
  try {
    return JSON.parse(await readFile(file, 'utf8')) as JsonReport
  } catch {
    return undefined
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function judge(
  { title, says, seeds }: Bug,
  report: JsonReport | undefined,
): Pick<Hunt, 'found' | 'why' | 'seed'> {
  if (!report) return { found: false, why: 'the test did not end' }
  const tests = report.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    // As `vitest -t` has it.
    .filter((test) => [...test.ancestorTitles, test.title].join(' > ').includes(title))
  const failed = tests.filter(({ status }) => status === 'failed')
  const words = failed.flatMap(({ failureMessages }) => failureMessages)
  const right = words.find((each) => !wrongReason.test(each) && (says === undefined || each.includes(says)))
  if (right === undefined) {
    const told = words[0] ?? report.testResults.find(({ message }) => message !== '')?.message
    if (told !== undefined) return { found: false, why: `red for another reason: ${firstLine(told)}` }
    const ran = tests.some(({ status }) => status === 'passed')
    return { found: false, why: ran ? 'the test stays green' : 'no test of that name ran' }
  }
  const seed = seeds === undefined ? undefined : /\bseed (\d+)/.exec(right)?.[1]
  return { found: true, why: firstLine(right), ...(seed === undefined ? {} : { seed: Number(seed) }) }
}

const firstLine = (text: string): string => text.split('\n', 1)[0]!.slice(0, 200)
