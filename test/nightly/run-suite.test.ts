import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { readProc } from '../support/process-tree.ts'
import { makeTree } from '../support/tree.ts'
import { until } from '../support/until.ts'
import { runSuite, type Outcome } from './run-suite.ts'
import type { Suite } from './suites.ts'

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))
const figuresModule = fileURLToPath(new URL('../support/figures.ts', import.meta.url))

/** A repository with one suite, and how it is run. */
async function runIn(
  files: Record<string, string>,
  suite: { files: string[] } | { script: string },
  end?: (directory: string, stop: AbortController) => Promise<void>,
): Promise<Outcome> {
  const directory = await makeTree({ 'package.json': '{}', ...files })
  await symlink(modules, join(directory, 'node_modules'))
  const stop = new AbortController()
  const whole: Suite = { name: 'planted', title: 'Planted', headline: {}, seconds: 1, ...suite }
  const [outcome] = await Promise.all([
    runSuite(whole, { env: { REFLASH_SECONDS: '7' }, signal: stop.signal, directory }),
    end?.(directory, stop),
  ])
  return outcome
}

const testFile = (...lines: string[]): string =>
  ["import { expect, test } from 'vitest'", ...lines].join('\n')

test('a suite that passes hands over its figures, and names what it left out', async () => {
  const outcome = await runIn(
    {
      'some.test.ts': testFile(
        `import { recordFigure } from ${JSON.stringify(figuresModule)}`,
        "test('plays', () => recordFigure({ suite: 'planted', name: 'seconds', value: Number(process.env.REFLASH_SECONDS) }))",
        "test('is elsewhere as well', () => recordFigure({ suite: 'other', name: 'seconds', value: 1 }))",
        "test.skip('others (needs dropbear)', () => {})",
      ),
    },
    { files: ['some.test.ts'] },
  )
  expect(outcome).toMatchObject({
    result: 'Passed',
    figures: [{ suite: 'planted', name: 'seconds', value: 7 }],
    why: ['others (needs dropbear)'],
    command: 'REFLASH_SECONDS=7 npx vitest run some.test.ts',
  })
})

test('a suite of which this machine can run nothing is skipped, by name and with the reason', async () => {
  const outcome = await runIn(
    { 'some.test.ts': testFile("test.skip('all of it (needs dropbear)', () => {})") },
    { files: ['some.test.ts'] },
  )
  expect(outcome).toMatchObject({ result: 'Skipped', why: ['all of it (needs dropbear)'] })
})

test('a suite that fails names its tests, and what it printed last', async () => {
  const outcome = await runIn(
    {
      'some.test.ts': testFile(
        "test('passes', () => {})",
        "test('is red (2 of 3)', () => expect(2, 'twice').toBe(1))",
      ),
    },
    { files: ['some.test.ts'] },
  )
  expect(outcome.result).toBe('Failed')
  expect(outcome.why[0]).toBe('failed: is red (2 of 3)')
  expect(outcome.why.join('\n')).toContain('twice')
  expect(outcome.again).toBe(String.raw`REFLASH_SECONDS=7 npx vitest run some.test.ts -t 'is red \(2 of 3\)'`)
})

test('a world that fails is run again by its seed', async () => {
  const outcome = await runIn(
    { 'some.test.ts': testFile("test('worlds', () => expect(['I2'], 'seed 42').toEqual([]))") },
    { files: ['some.test.ts'] },
  )
  expect(outcome.again).toBe('REFLASH_SEED=42 REFLASH_SEEDS=1 npx vitest run some.test.ts')
})

test('a script that fails says so by its exit code', async () => {
  const outcome = await runIn(
    { 'package.json': JSON.stringify({ scripts: { bugs: 'echo 3 of 4 found; exit 1' } }) },
    { script: 'bugs' },
  )
  expect(outcome).toMatchObject({
    result: 'Failed',
    why: ['3 of 4 found'],
    command: 'REFLASH_SECONDS=7 npm run bugs',
  })
})

test('a suite that hangs is ended, with all that it started, and what made a group of its own too', async () => {
  const hanging = `
    const { spawn } = require('node:child_process')
    const { writeFileSync } = require('node:fs')
    const below = spawn('sleep', ['600'], { detached: true, stdio: 'inherit' })
    writeFileSync('pids', process.pid + ' ' + below.pid)
    setInterval(() => {}, 1000)`
  let pids: number[] = []
  const outcome = await runIn(
    { 'package.json': JSON.stringify({ scripts: { hangs: 'node hang.cjs' } }), 'hang.cjs': hanging },
    { script: 'hangs' },
    async (directory, stop) => {
      const said = await until('both live', () => readFile(join(directory, 'pids'), 'utf8').catch(() => ''))
      pids = said.split(' ').map(Number)
      stop.abort('it hung')
    },
  )
  expect(outcome).toMatchObject({ result: 'Failed', why: ['it hung'] })
  await until('both are gone', () => pids.every((pid) => readProc(`/proc/${pid}/cmdline`) === ''))
})
