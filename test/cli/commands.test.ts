import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { reflash } from '../support/cli.ts'
import { exampleFleet } from '../support/example-fleet.ts'
import { makeTree } from '../support/tree.ts'

const commands = [
  'run',
  'plan',
  'validate',
  'crds',
  'demo',
  'get',
  'why',
  'tree',
  'top',
  'describe',
  'events',
  'logs',
  'wait',
  'token',
  'completion',
] as const

describe('the command line', { timeout: 20_000 }, () => {
  test.each(['', ...commands])('explains itself, with an example: reflash %s', async (command) => {
    const { code, stdout, stderr } = await reflash([...(command === '' ? [] : [command]), '--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/\nExamples?:\n {2}.*\breflash /)
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  })

  test.each([
    [['valdate', 'x'], "error: unknown command 'valdate'\n(Did you mean validate?)\n"],
    [
      ['run', 'x', '--max-in-fligt', '3'],
      "error: unknown option '--max-in-fligt'\n(Did you mean --max-in-flight?)\n",
    ],
    [
      ['run', 'x', '--log-level', 'loud'],
      "error: option '--log-level <level>' argument 'loud' is invalid. Allowed choices are debug, info, warn, error.\n",
    ],
    [['validate'], "error: missing required argument 'dir'\n"],
    [['validate', '/nowhere/at/all'], 'error: NotFound: /nowhere/at/all is no directory\n'],
    [['plan', '/nowhere/at/all'], 'error: directory /nowhere/at/all does not exist or cannot be read\n'],
    [['demo', '--devices', 'many'], 'error: --devices must be a whole number from 1 to 2000, found "many"\n'],
  ])('refuses %j with exit 2', async (args, stderr) => {
    expect(await reflash(args)).toEqual({ code: 2, signal: null, stdout: '', stderr })
  })

  test('lists everything that is wrong with the configuration at once, whether flag or environment', async () => {
    const args = [
      'run',
      '/nowhere',
      '--max-in-flight',
      '0',
      '--probe-interval',
      'soon',
      '--max-image-size',
      '3',
      '--acknowledge-lost',
      'yesterday',
    ]
    const { code, stdout, stderr } = await reflash(args, { REFLASH_MAX_LOST_PER_DAY: 'five' })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr.trimEnd().split('\n').toSorted()).toEqual([
      'error: --acknowledge-lost must be a date such as 2026-11-23, found "yesterday"',
      'error: --max-image-size must be a size such as 64MiB, found "3"',
      'error: --max-in-flight must be a whole number from 1 on, found "0"',
      'error: --max-lost-per-day must be a whole number from 1 on, found "five"',
      'error: --probe-interval must be a duration such as 15m, found "soon"',
      'error: directory /nowhere does not exist or cannot be read',
    ])
  })

  test('prints the configuration that is in force, and does nothing', async () => {
    const root = await makeTree({ 'fleet.yaml': exampleFleet })
    const { code, stdout, stderr } = await reflash(['run', root, '--print-config', '--max-in-flight', '7'], {
      REFLASH_STATE: join(root, 's.db'),
      REFLASH_MAX_IN_FLIGHT: '9',
    })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({
      directory: root,
      stateFile: join(root, 's.db'),
      haltFile: join(root, 's.db.HALT'),
      governor: { maxInFlight: 7, maxStartsPerMinute: 30, maxLostPerDay: 5 },
    })
  })

  test('takes -o json in every spelling, and prints nothing else on stdout', async () => {
    const root = await makeTree({ 'fleet.yaml': exampleFleet })
    for (const output of [['-o', 'json'], ['-o=json'], ['-ojson'], ['--output=json']]) {
      const { stdout } = await reflash(['plan', root, '--state', join(root, 's.db'), '--no-probe', ...output])
      expect(JSON.parse(stdout)).toMatchObject({ summary: { devices: 1 } })
    }
  })

  test('names a directory that is a file', async () => {
    const root = await makeTree({ 'fleet.yaml': exampleFleet })
    const file = join(root, 'fleet.yaml')
    const { code, stderr } = await reflash(['run', file, '--once', '--state', join(root, 's.db')])
    expect({ code, stderr }).toEqual({ code: 2, stderr: `error: directory ${file} is a file\n` })
  })

  test('says what is wrong with a state file that cannot be written: exit 74', async () => {
    const root = await makeTree({ 'fleet.yaml': exampleFleet, 'a-file': '' })
    await mkdir(join(root, 'folder'))
    const run = async (state: string) => {
      const { code, stderr } = await reflash(['run', root, '--once', '--state', state])
      return { code, stderr }
    }
    expect(await run(join(root, 'folder'))).toEqual({
      code: 74,
      stderr: `error: StateUnusable: state file ${join(root, 'folder')} is not a file; name a file with --state\n`,
    })
    const below = await run(join(root, 'a-file', 'state.db'))
    expect(below.code).toBe(74)
    expect(below.stderr).toContain(
      `error: StateUnusable: the folder ${join(root, 'a-file')} of the state file cannot be used (`,
    )
    await writeFile(join(root, 'text.db'), 'this is no database\n'.repeat(100))
    const text = await run(join(root, 'text.db'))
    expect(text.code).toBe(74)
    expect(text.stderr).toContain(join(root, 'text.db'))
  })

  test.each([
    ['that is missing', '', /^error: Invalid: nowhere\.js: cannot be loaded: .*\n$/],
    ['that is no module', 'this is no JavaScript', /^error: Invalid: mine\.js: cannot be loaded: .*\n$/],
    [
      'without an upgrader',
      'export const other = 1',
      /^error: Invalid: mine\.js: must export "upgrader" with name, probe, /,
    ],
  ])('names an upgrader %s', async (_, text, message) => {
    const root = await makeTree({ 'fleet.yaml': exampleFleet, ...(text === '' ? {} : { 'mine.js': text }) })
    const path = join(root, text === '' ? 'nowhere.js' : 'mine.js')
    const { code, stderr } = await reflash([
      'run',
      root,
      '--once',
      '--state',
      join(root, 's.db'),
      '--upgrader',
      path,
    ])
    const words = stderr
      .split('\n')
      .filter((line) => !line.startsWith('{'))
      .join('\n')
    expect(words.replace(`${root}/`, '')).toMatch(message)
    expect(code).toBe(2)
  })
})
