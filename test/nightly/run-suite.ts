import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Figure } from '../support/figures.ts'
import { killTree } from '../support/process-tree.ts'
import { againOf } from './again.ts'
import { commandOf, type Suite } from './suites.ts'
import { readVitest, type Tests } from './vitest-report.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const bin = join(root, 'node_modules/.bin')
/** The defaults of vitest.config.ts, for the tests that do not name their own. */
const usualTestMs = 60_000
/** Of what a suite printed, as much as a person reads. */
const keptLines = 40

export interface Outcome {
  suite: string
  /** Skipped: every test of it needs what this machine lacks. */
  result: 'Passed' | 'Failed' | 'Skipped'
  seconds: number
  /** The line that runs it alone, at the size that it had. */
  command: string
  /** Of a suite that failed: the line that runs the first of its tests that did, with the seed that it named. */
  again?: string
  figures: Figure[]
  /** Of a suite of vitest alone, and only where it came to its end. */
  tests?: Tests
  /** Why it did not pass: the reason, and the last lines that it printed. */
  why: string[]
}

export interface Play {
  /** What sets its size. */
  env: Readonly<Record<string, string>>
  /** Ends it, and everything that it started, at once; the reason is why it failed. */
  signal: AbortSignal
  /** Where it runs, if that is not this repository. */
  directory?: string
}

/** Runs one suite to its end, and says what came of it. */
export async function runSuite(suite: Suite, play: Play): Promise<Outcome> {
  const { env, signal, directory = root } = play
  const folder = await mkdtemp(join(tmpdir(), 'reflash-nightly-'))
  try {
    const files = { figures: join(folder, 'figures'), report: join(folder, 'report.json') }
    const startedMs = performance.now()
    const { code, lines } = await runProcess(argvOf(suite, env, files.report), {
      env: { ...env, REFLASH_FIGURES: files.figures },
      signal,
      directory,
    })
    const tests = await readVitest(files.report, directory)
    const judged = judge({ code, lines, tests, aborted: signal.aborted ? String(signal.reason) : undefined })
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    return {
      suite: suite.name,
      seconds,
      command: commandOf(suite, env),
      // A test may be in two suites, and its figures in one.
      figures: (await readFigures(files.figures)).filter((figure) => figure.suite === suite.name),
      ...(tests && { tests }),
      ...(tests?.failed[0] && { again: againOf(tests.failed[0], { env, lines }) }),
      ...judged,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function argvOf(suite: Suite, env: Play['env'], report: string): string[] {
  if ('script' in suite) return ['npm', 'run', '--silent', suite.script]
  const testMs = usualTestMs + 1000 * Number(env['REFLASH_SECONDS'] ?? 0)
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  return ['vitest', 'run', ...suite.files, ...reporters, `--testTimeout=${testMs}`]
}

interface Ended {
  code: number | null
  /** The last that it printed. */
  lines: string[]
}

/** It leads a group of its own, so that a Ctrl-C at the terminal reaches the nightly run alone, which then ends it. */
function runProcess(
  [program, ...args]: readonly string[],
  options: { env: Record<string, string>; signal: AbortSignal; directory: string },
): Promise<Ended> {
  const { env, signal, directory } = options
  const child = spawn(program!, args, {
    cwd: directory,
    detached: true,
    env: { ...process.env, NO_COLOR: '1', PATH: [bin, process.env['PATH']].join(delimiter), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => (text = `${text}${part}`.slice(-20_000)))
  }
  const kill = (): void => {
    if (child.pid !== undefined) killTree(child.pid)
    // Who escaped may hold the pipes for ever.
    child.stdout.destroy()
    child.stderr.destroy()
  }
  if (signal.aborted) kill()
  signal.addEventListener('abort', kill, { once: true })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      signal.removeEventListener('abort', kill)
      resolve({ code, lines: text.split('\n').filter(isSaid).slice(-keptLines) })
    })
  })
}

const isSaid = (line: string): boolean => line.trim() !== ''

function judge(
  ended: Ended & { tests: Tests | undefined; aborted: string | undefined },
): Pick<Outcome, 'result' | 'why'> {
  const { code, lines, tests, aborted } = ended
  if (aborted !== undefined) return { result: 'Failed', why: [aborted, ...lines] }
  if (code !== 0)
    return {
      result: 'Failed',
      why: [...(tests?.failed ?? []).map(({ name }) => `failed: ${name}`), ...lines],
    }
  if (tests?.passed === 0) return { result: 'Skipped', why: tests.skipped }
  return { result: 'Passed', why: tests?.skipped ?? [] }
}

async function readFigures(file: string): Promise<Figure[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text
    .split('\n')
    .filter(isSaid)
    .map((line): Figure => JSON.parse(line))
}
