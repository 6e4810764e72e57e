import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { rowSum } from '../../src/adapters/sqlite/row-sum.ts'
import { reflash } from '../support/cli.ts'
import { cliResult } from '../support/cli-call.ts'
import { until } from '../support/until.ts'
import { makeGoodFleet, type GoodFleet } from './good-fleet.ts'
import { startRun, startsOf } from './play.ts'
import { takeFigures } from './tally.ts'

/** A state file of this very directory. */
async function makeState(good: GoodFleet): Promise<void> {
  const run = startRun(good, { once: false })
  await until('it has read the fleet', () => run.fleet()?.size('Device') === 2)
  run.stop()
  await run.ending
}

/** Changes a closed file behind the back of Reflash. */
function tamper({ state }: GoodFleet, sql: string): void {
  const database = new DatabaseSync(state)
  database.exec(sql)
  database.close()
}

const writtenBy = (schema: string): string =>
  `UPDATE meta SET value = '${schema}', sum = x'${rowSum('meta', 'schema', schema).toString('hex')}' WHERE name = 'schema'`

const files: readonly [what: string, spoil: (good: GoodFleet) => Promise<unknown>, says: string][] = [
  [
    'garbage',
    ({ state }) => writeFile(state, 'garbage '.repeat(1000)),
    'StateCorrupt: state file STATE is not a state file of Reflash, or is damaged; restore it from a backup',
  ],
  [
    'nothing',
    ({ state }) => writeFile(state, ''),
    'StateUnusable: state file STATE is empty, which no state is',
  ],
  [
    'a folder',
    ({ state }) => mkdir(state),
    'StateUnusable: state file STATE is not a file; name a file with --state',
  ],
  [
    'the database of another program',
    async (good) => tamper(good, 'CREATE TABLE bookmarks (url TEXT)'),
    'StateUnusable: state file STATE is not one of Reflash, or is damaged',
  ],
  [
    'what a newer Reflash wrote',
    async (good) => {
      await makeState(good)
      tamper(good, writtenBy('99'))
    },
    'StateUnusable: state file STATE was written by a newer Reflash (schema 99, this one knows 3); run that one',
  ],
  [
    'a state that was cut short',
    async (good) => {
      await makeState(good)
      await writeFile(good.state, (await readFile(good.state)).subarray(0, 8192))
    },
    'StateCorrupt: state file STATE ',
  ],
  [
    'a state of which one row was changed',
    async (good) => {
      await makeState(good)
      tamper(
        good,
        `UPDATE resources SET json = replace(json, '"Pause"', '"Run"') WHERE kind = 'UpgradePolicy'`,
      )
    },
    'StateCorrupt: ',
  ],
]

describe.concurrent('B28: a run whose state file holds', { timeout: 60_000 }, () => {
  const figures = takeFigures('state', files.length + 2)

  test.each(files)('%s: does not start, exits 74, and leaves it as it is', async (_, spoil, says) => {
    await using good = await makeGoodFleet('policy')
    await spoil(good)
    const bytes = () => readFile(good.state).catch(() => undefined)
    const before = await bytes()
    for (const command of [['run', '--once'], ['plan']]) {
      const [name, ...flags] = command as [string, ...string[]]
      const { code, stdout, stderr } = await cliResult([
        name,
        good.directory,
        '--state',
        good.state,
        ...flags,
      ])
      expect({ code, stdout }).toEqual({ code: 74, stdout: '' })
      expect(stderr).toContain(`error: ${says.replace('STATE', good.state)}`)
      expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    }
    expect(await bytes()).toEqual(before)
    expect((await cliResult(['validate', good.directory])).code).toBe(0)
    figures.noteCase()
  })

  test('what another process is using: exits 75, names it, and disturbs it in nothing', async () => {
    await using good = await makeGoodFleet('device')
    const run = startRun(good, { once: false })
    await until('it has read the fleet', () => run.fleet()?.size('Device') === 2)
    const second = await reflash(['run', good.directory, '--state', good.state, '--once'])
    expect(second.code).toBe(75)
    expect(second.stderr).toBe(
      `error: StateLocked: state file ${good.state} is in use by process ${process.pid}: one process at a time\n`,
    )
    await good.releaseOther()
    await until('the first goes on', () => startsOf(good.other) === 1, 20_000)
    run.stop()
    await run.ending
    figures.noteCase()
  })

  test('nothing, where nothing can be written: exits 74', async () => {
    await using good = await makeGoodFleet('device')
    const { code, stderr } = await cliResult([
      'run',
      good.directory,
      '--state',
      '/proc/reflash/state.db',
      '--once',
    ])
    expect(code).toBe(74)
    expect(stderr).toMatch(
      /^error: StateUnusable: the folder \/proc\/reflash of the state file cannot be used \(ENOENT/,
    )
    figures.noteCase()
  })
})
