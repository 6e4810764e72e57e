import { execFile } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { figuresPage, readFiguresPage, type Run } from './figures-page.ts'
import { lastSeconds, leastSeconds, limitSeconds, sizeOf } from './shares.ts'
import { safetyTable } from './safety-table.ts'
import { suites, type Suite } from './suites.ts'

const root = new URL('../../', import.meta.url)

test('every suite runs what is there, under a name of its own', () => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(
    readFileSync(new URL('package.json', root), 'utf8'),
  )
  for (const suite of suites) {
    if ('script' in suite) expect(scripts, suite.name).toHaveProperty(suite.script)
    else for (const file of suite.files) expect(existsSync(new URL(file, root)), file).toBe(true)
  }
  expect(new Set(suites.map(({ name }) => name)).size).toBe(suites.length)
})

test('every test that hands over figures is in a suite', () => {
  const files = globSync('test/**/*.test.ts', { cwd: root }).filter(
    (file) =>
      !file.startsWith('test/nightly/') && /\brecordFigure\(/.test(readFileSync(new URL(file, root), 'utf8')),
  )
  expect(files.length).toBeGreaterThan(10)
  const parts = suites.flatMap((suite) => ('files' in suite ? suite.files : []))
  expect(files.filter((file) => !parts.some((part) => file.startsWith(part)))).toEqual([])
})

const suite = (seconds: number, weight?: number): Suite => ({
  name: 'some',
  title: 'Some',
  files: [],
  headline: {},
  seconds,
  ...(weight === undefined ? {} : { weight }),
})

test('suites take their large sizes while there is time, and those that go on for a time share the rest', () => {
  const large = { env: { REFLASH_KILLS: 'all' }, seconds: 250 }
  const all: [Suite, ...Suite[]] = [{ ...suite(100), large }, suite(20, 1), suite(30, 3)]
  expect(leastSeconds(all)).toBe(150)
  // Its own 250, the 50 of the others, and a twentieth of the whole.
  expect(sizeOf(all, { leftSeconds: 350, wholeSeconds: 1000 })).toEqual(large)
  expect(sizeOf(all, { leftSeconds: 349, wholeSeconds: 1000 })).toEqual({ env: {}, seconds: 100 })
  const playSeconds = (next: [Suite, ...Suite[]], leftSeconds: number): string | undefined =>
    sizeOf(next, { leftSeconds, wholeSeconds: 1000 }).env['REFLASH_SECONDS']
  expect(playSeconds([all[1]!, all[2]!], 410)).toBe(String((410 - 50) / 4))
  expect(playSeconds([all[2]!], 300)).toBe('270')
  expect(playSeconds([{ ...all[2]!, turns: 2 }], 300)).toBe('135')
  expect(playSeconds([all[2]!], 10)).toBe('1')
})

test('one suite that hangs does not cost the run its end', () => {
  const slow = suites.toSorted((a, b) => b.seconds - a.seconds)[0]!
  expect(limitSeconds(slow.seconds)).toBeLessThan(lastSeconds(20))
  expect(lastSeconds(20)).toBeLessThanOrEqual(1.25 * 1200)
})

test('what is read of the page of figures is what was written to it', () => {
  const outcome = { seconds: 12, command: 'npx vitest run some', result: 'Passed' } as const
  const run: Run = {
    date: '2026-11-27',
    commit: 'abc',
    command: 'npm run nightly -- --minutes 20',
    machine: 'two cores',
    minutes: 19.6,
    outcomes: [
      {
        ...outcome,
        suite: 'some',
        why: [],
        figures: [
          { suite: 'some', name: 'device-years', value: 1234.56, goal: 'at least 250' },
          { suite: 'some', name: 'score', value: 95, unit: '%' },
        ],
      },
      { ...outcome, suite: 'third', result: 'Failed', why: ['it hung'], figures: [] },
      { ...outcome, suite: 'other', result: 'Skipped', why: ['all (needs dropbear)'], figures: [] },
    ],
  }
  const page = figuresPage(
    run,
    ['some', 'other', 'third'].map((name) => ({ ...suite(1), name })),
  )
  expect(page).toContain('Not run on this machine: all (needs dropbear).')
  const read = readFiguresPage(page)
  expect(read.run.get('date')).toBe('2026-11-27')
  expect(read.suites.get('some')).toEqual([
    ['device-years', '1,234.56'],
    ['score', '95%'],
  ])
  expect(read.suites.get('other')).toEqual([])
  expect([...read.failed]).toEqual(['third'])
})

test('the README says of each suite what it found, or that it failed', () => {
  const published = readFiguresPage(readFileSync(new URL('docs/figures.md', root), 'utf8'))
  const lines = safetyTable(published).split('\n')
  for (const { name, title, headline } of suites) {
    const rows = published.suites.get(name) ?? []
    const isRed = published.failed.has(name)
    if (rows.length === 0 && !isRed) continue
    expect(
      lines.find((line) => line.startsWith(`| ${title} |`)),
      name,
    ).toContain(`(docs/figures.md#${name})`)
    const unknown = Object.entries(headline).filter(([, like]) => !rows.some(([figure]) => like.test(figure)))
    if (!isRed) expect(unknown, `figures that ${name} does not have`).toEqual([])
  }
})

const nightly = (...args: string[]): Promise<{ code: number; said: string }> =>
  new Promise((resolve) => {
    const file = fileURLToPath(new URL('run.ts', import.meta.url))
    execFile(process.execPath, [file, ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), said: `${stdout}${stderr}` }),
    )
  })

test('its help has an example, and a wrong call is told from a red run', async () => {
  const help = await nightly('--help')
  expect(help.code).toBe(0)
  expect(help.said).toMatch(/Example: npm run nightly -- /)
  for (const [args, said] of [
    [['nobody'], /no suite is called nobody/],
    [['--minutes', '0'], /--minutes must be/],
    [['--minutes', 'ten'], /--minutes must be/],
    [['-o', 'xml'], /table or json/],
    [['--wide'], /--wide/],
  ] as const) {
    const { code, said: message } = await nightly(...args)
    expect({ code, message }).toEqual({ code: 2, message: expect.stringMatching(said) })
  }
})
