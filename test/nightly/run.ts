/** `npm run nightly`: the suites of the proof programme at their large sizes, and the figures that they make. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { machine } from '../support/machine.ts'
import { figuresPage, figuresPath, type Run } from './figures-page.ts'
import { printReport, say, tell } from './report.ts'
import { runSuites } from './run-suites.ts'
import { leastSeconds } from './shares.ts'
import { suites, type Suite } from './suites.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

const help = `Runs the suites of the proof programme, each at its large size where the time allows, says what it is at, and prints what
they have found.

Usage: npm run nightly -- [--minutes N] [-o table|json] [SUITE...]

  --minutes N   how long it may take (default 20); ${minutesFor(suites)} is the least for all suites
  -o, --output  table or json, on stdout; what it is at goes to stderr
  -h, --help    prints this

Suites: ${suites.map(({ name }) => name).join(', ')}

All suites write ${figuresPath}; some of them write nothing. A suite whose programs this machine lacks is skipped by name.

Example: npm run nightly -- --minutes 5 simulation fuzz

Exit code: 0 all passed, 1 a suite failed, 2 wrong call, 130 interrupted`

function minutesFor(some: readonly Suite[]): number {
  return Math.ceil(leastSeconds(some) / 60)
}

const git = (...args: string[]): string | undefined => {
  try {
    return execFileSync('git', args, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trimEnd()
  } catch {
    // An unpacked archive has no history.
    return undefined
  }
}

/** What differs from the commit, but for the pages that this run writes itself. */
const changes = (): string[] =>
  (git('status', '--porcelain', '--', '.', `:!${figuresPath}`, ':!README.md') ?? '')
    .split('\n')
    .filter(Boolean)

class WrongCall extends Error {}

interface Call {
  minutes: number
  output: string
  chosen: readonly Suite[]
}

/** @throws WrongCall */
function readCall(args: readonly string[]): Call | 'Help' {
  const { values, positionals } = parsed(args)
  if (values.help) return 'Help'
  const { output } = values
  const minutes = Number(values.minutes)
  const unknown = positionals.filter((name) => !suites.some((suite) => suite.name === name))
  if (unknown.length > 0) throw new WrongCall(`no suite is called ${unknown.join(', ')}`)
  if (!['table', 'json'].includes(output)) throw new WrongCall(`--output is table or json, not ${output}`)
  const chosen = suites.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  if (!(minutes >= minutesFor(chosen)))
    throw new WrongCall(`--minutes must be a number of at least ${minutesFor(chosen)} for these suites`)
  return { minutes, output, chosen }
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        minutes: { type: 'string', default: '20' },
        output: { type: 'string', short: 'o', default: 'table' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new WrongCall(error instanceof Error ? error.message : String(error))
  }
}

async function main(): Promise<number> {
  const call = readCall(process.argv.slice(2))
  if (call === 'Help') {
    say(help)
    return 0
  }
  const { minutes, chosen, output } = call
  const before = changes()
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => interrupted.abort(`stopped by ${signal}`))
  const startedMs = performance.now()
  const outcomes = await runSuites(chosen, minutes, interrupted.signal)
  const run: Run = {
    date: new Date().toISOString().slice(0, 10),
    commit: `${git('rev-parse', '--short=12', 'HEAD') ?? 'unknown'}${before.length > 0 ? ' and changes to it' : ''}`,
    command: ['npm run nightly -- --minutes', minutes].join(' '),
    machine: machine(),
    minutes: (performance.now() - startedMs) / 60_000,
    outcomes,
  }
  printReport(run, output)
  if (interrupted.signal.aborted) return 130
  if (chosen.length === suites.length) publish(run)
  const left = changes().filter((line) => !before.includes(line))
  for (const line of left) tell(`a suite left this behind: ${line}`)
  return left.length > 0 || outcomes.some(({ result }) => result === 'Failed') ? 1 : 0
}

/** The page, and what the README takes from it. */
function publish(run: Run): void {
  writeFileSync(new URL(figuresPath, `file://${root}`), figuresPage(run, suites))
  execFileSync(process.execPath, [fileURLToPath(new URL('../docs/generate.ts', import.meta.url))])
  tell(`written: ${figuresPath}, and what README.md takes from it`)
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof WrongCall)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
