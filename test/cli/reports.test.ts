import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv, type AnySchema } from 'ajv'
import { describe, expect, test } from 'vitest'
import { problemReasons, reasonSlug, type ProblemReason } from '../../src/api/problem.ts'
import { createReport, type Report } from '../../src/cli/report.ts'
import { githubReport, githubSummary, inert } from '../../src/cli/report-github.ts'
import { junitReport } from '../../src/cli/report-junit.ts'
import { sarifReport } from '../../src/cli/report-sarif.ts'
import { cliResult } from '../support/cli-call.ts'
import { manifestText } from '../support/example-fleet.ts'
import { requires } from '../support/requires.ts'
import { makeTree } from '../support/tree.ts'

const schemaFile = (name: string): string => fileURLToPath(new URL(`../schemas/${name}`, import.meta.url))

const category = manifestText('Category', 'indoor-ap', '{}')
const build = (category: string): string =>
  manifestText('Build', 'stable', `{categoryRef: {name: ${category}}, version: "1"}`)

type Problem = Parameters<typeof createReport>[0]['problems'][number]
const problemOf = (more: Partial<Problem> = {}): Problem => {
  const problem = {
    file: 'a.yaml',
    line: 3,
    column: 5,
    severity: 'error' as const,
    reason: 'Invalid' as ProblemReason,
    path: 'spec.port',
    message: 'must be a whole number',
    ...more,
  }
  return { ...problem, text: `${problem.file}: ${problem.message}` }
}
const reportOf = (...problems: Problem[]): Report =>
  createReport({ objects: 1, skipped: 0, problems }, 'fleet')

/** What a file and a value may be called to break out of a format; what is invisible is written out before a report. */
const hostile = [
  ']]></failure><script>&amp;"\'',
  '::error file=x::y',
  'a%0A::set-env name=x::y',
  '| `code` | <img src=x onerror=y> [a](https://evil.example) {0}',
  'ünïcödé 中文 ##[error]',
] as const
const hostileReport = reportOf(
  ...hostile.map((text) =>
    problemOf({ file: `${text.replaceAll('/', '∕')}.yaml`, path: text, message: text }),
  ),
  problemOf({ severity: 'warning', endLine: 9 }),
)
const cleanReport = reportOf()
const everyReason = reportOf(
  ...Object.keys(problemReasons).map((reason) => problemOf({ reason: reason as ProblemReason, path: '' })),
)

describe('validate -o json', () => {
  test('says of each problem where it is, what was expected, what was found and what was meant', async () => {
    const root = await makeTree({ 'fleet.yaml': `${category}---\n${build('indor-ap')}` })
    const { code, stdout } = await cliResult(['validate', root, '-o', 'json'])
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toEqual({
      apiVersion: 'reflash.dev/v1alpha1',
      kind: 'ValidationReport',
      valid: false,
      summary: { objects: 2, errors: 1, warnings: 0, skipped: 0 },
      problems: [
        {
          file: 'fleet.yaml',
          line: expect.any(Number),
          column: expect.any(Number),
          severity: 'error',
          reason: 'not-found',
          path: 'spec.categoryRef',
          message: 'there is no Category indor-ap in namespace default; did you mean indoor-ap?',
          expected: 'the name of a Category in namespace default',
          found: 'indor-ap',
          suggestion: 'indoor-ap',
          text: expect.stringMatching(/^fleet\.yaml:\d+:\d+: spec\.categoryRef: there is no/),
        },
      ],
    })
  })

  test.each([
    [
      'a key that is there twice',
      { 'a.yaml': category.replace('spec:', 'metadata: {name: other}\nspec:') },
      { reason: 'duplicate', path: 'metadata', message: 'is there twice in one map' },
    ],
    [
      'an object that is there twice',
      { 'a.yaml': category, 'b.yaml': category },
      {
        file: 'b.yaml',
        reason: 'duplicate',
        expected: 'each object once',
        found: 'Category/default/indoor-ap',
        message:
          'Category/default/indoor-ap is declared in a.yaml:1 already, and neither counts until one of them is removed',
      },
    ],
    [
      'a value of several lines',
      { 'a.yaml': manifestText('Category', 'x', '\n  description:\n    a: 1\n    b: 2') },
      { reason: 'invalid', path: 'spec.description', expected: 'a string', found: 'a map' },
    ],
    [
      'a Secret with another name',
      {
        'a.yaml': `${category}---\n${manifestText('Device', 'd', '{categoryRef: {name: indoor-ap}, addresses: [a], credentialsRef: {name: router}}')}`,
        'b.yaml':
          'apiVersion: v1\nkind: Secret\nmetadata: {name: routers}\nstringData: {username: root, password: x}\n',
      },
      {
        reason: 'not-found',
        suggestion: 'routers',
        message: 'there is no Secret router in namespace default; did you mean routers?',
      },
    ],
    [
      'a build of another namespace',
      {
        'a.yaml': category,
        'b.yaml': build('indoor-ap').replace('name: stable', 'name: stable, namespace: lab'),
      },
      { reason: 'not-found', message: 'there is no Category indoor-ap in namespace lab' },
    ],
  ])('names %s', async (_, files, problem) => {
    const { stdout } = await cliResult(['validate', await makeTree(files), '-o', 'json'])
    expect(JSON.parse(stdout).problems).toEqual([expect.objectContaining(problem)])
  })

  test('says where a value ends that takes several lines', async () => {
    const text =
      'apiVersion: reflash.dev/v1alpha1\nkind: Category\nmetadata: {name: x}\nspec:\n  description:\n    a: 1\n    b: 2\n'
    const { stdout } = await cliResult(['validate', await makeTree({ 'a.yaml': text }), '-o', 'json'])
    expect(JSON.parse(stdout).problems).toEqual([expect.objectContaining({ line: 5, endLine: 7 })])
  })
})

describe('validate -o sarif', () => {
  const schema = JSON.parse(readFileSync(schemaFile('sarif-2.1.0-rtm.5.json'), 'utf8')) as Record<
    string,
    unknown
  >
  // It is of draft 4, which says `id` for `$id`, and else nothing that ajv reads in another way.
  delete schema['id']
  delete schema['$schema']
  const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false })
  ajv.addFormat('date-time', true)
  ajv.addFormat('uri', (text: string) => URL.canParse(text))
  ajv.addFormat('uri-reference', /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]*$/)
  const validate = ajv.compile(schema as AnySchema)

  test.each([
    ['hostile', hostileReport],
    ['clean', cleanReport],
    ['complete', everyReason],
  ])('is what its schema says: %s', (_name, report) => {
    const log = JSON.parse(sarifReport(report, '1.2.3'))
    expect(validate(log), JSON.stringify(validate.errors?.slice(0, 3))).toBe(true)
    for (const result of log.runs[0].results) {
      expect(log.runs[0].tool.driver.rules[result.ruleIndex].id).toBe(result.ruleId)
      const { uri, index } = result.locations[0].physicalLocation.artifactLocation
      expect(log.runs[0].artifacts[index].location.uri).toBe(uri)
    }
  })

  test('is held against a schema that bites', () => {
    const log = JSON.parse(sarifReport(hostileReport, '1.2.3'))
    log.runs[0].results[0].level = 'fatal'
    expect(validate(log)).toBe(false)
  })

  test('names a file by a relative address that leads back to it', () => {
    const log = JSON.parse(sarifReport(hostileReport, '1.2.3'))
    const addresses = log.runs[0].artifacts.map(({ location }: { location: { uri: string } }) => location.uri)
    for (const [index, address] of addresses.entries()) {
      const url = new URL(address, 'file:///checkout/')
      expect(decodeURIComponent(url.pathname)).toBe(`/checkout/${hostileReport.problems[index]!.location}`)
    }
  })

  test('lets no text become a link or a placeholder', () => {
    const log = JSON.parse(sarifReport(reportOf(problemOf({ path: '', message: '[a](b) {0}' })), '1.2.3'))
    expect(log.runs[0].results[0].message.text).toBe('[a\\](b) {{0}}')
  })
})

requires('xmllint')('validate -o junit', () => {
  test.each([
    ['hostile', hostileReport],
    ['clean', cleanReport],
    ['complete', everyReason],
  ])('is what its schema says: %s', (_, report) => {
    const xml = junitReport(report, 'fleet/<&">')
    const { status, stderr } = spawnSync(
      'xmllint',
      ['--noout', '--nonet', '--schema', schemaFile('junit-10.xsd'), '-'],
      { input: xml, encoding: 'utf8' },
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '- validates\n' })
  })

  test('keeps every text as it was', () => {
    const { stdout } = spawnSync('xmllint', ['--nonet', '--xpath', '//failure/@message', '-'], {
      input: junitReport(hostileReport, 'fleet'),
      encoding: 'utf8',
    })
    for (const text of hostile) {
      const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
      expect(stdout).toContain(escaped.replaceAll('"', '&quot;'))
    }
  })

  test('counts what fails, and lets a warning pass', () => {
    const count = (path: string): string =>
      spawnSync('xmllint', ['--xpath', path, '-'], {
        input: junitReport(hostileReport, 'fleet'),
        encoding: 'utf8',
      }).stdout.trim()
    expect(count('count(//testcase)')).toBe(count('string(/testsuites/@tests)'))
    expect(count('count(//failure)')).toBe(count('string(/testsuites/@failures)'))
    expect(count('count(//failure)')).toBe(String(hostile.length))
  })
})

describe('validate -o github', () => {
  /** As the runner reads a line: a command only at its beginning, `##[` anywhere. */
  const commandsIn = (text: string): { name: string; properties: Record<string, string>; data: string }[] =>
    text.split('\n').flatMap((line) => {
      if (line.includes('##[') && !line.trimStart().startsWith('::'))
        return [{ name: '##', properties: {}, data: line }]
      const match = /^\s*::(?<name>[^ :]+)(?: (?<properties>.*?))?::(?<data>.*)$/.exec(line)
      if (!match) return []
      const { name, properties, data } = match.groups as Record<string, string>
      const plain = (value: string): string =>
        value
          .replaceAll('%3A', ':')
          .replaceAll('%2C', ',')
          .replaceAll('%0D', '\r')
          .replaceAll('%0A', '\n')
          .replaceAll('%25', '%')
      return [
        {
          name: name!,
          properties: Object.fromEntries(
            (properties ?? '').split(',').map((pair) => {
              const [key, value] = pair.split('=') as [string, string]
              return [key, plain(value)]
            }),
          ),
          data: plain(data!),
        },
      ]
    })

  test('gives each problem as one command, whatever it is called', () => {
    const commands = commandsIn(githubReport(hostileReport))
    expect(commands.map(({ name }) => name)).toEqual([...hostile.map(() => 'error'), 'warning'])
    for (const [index, { properties, data }] of commands.entries()) {
      const problem = [...hostileReport.errors, ...hostileReport.warnings][index]!
      expect(properties['file']?.split('=')[0]).toBe(problem.location.split('=')[0])
      expect(data).toBe(problem.message)
    }
    expect(commands.at(-1)!.properties).toMatchObject({ line: '3', endLine: '9' })
  })

  test('puts errors first, ten of each kind, and counts the rest', () => {
    const many = reportOf(
      ...Array.from({ length: 12 }, (_, index) => problemOf({ severity: 'warning', line: index + 1 })),
      ...Array.from({ length: 11 }, (_, index) => problemOf({ line: index + 1 })),
    )
    const lines = githubReport(many).trimEnd().split('\n')
    expect(lines.map((line) => /^::(error|warning) |^and .*/.exec(line)?.[0])).toEqual([
      ...Array.from({ length: 10 }, () => '::error '),
      'and 1 more error',
      ...Array.from({ length: 10 }, () => '::warning '),
      'and 2 more warnings',
    ])
  })

  test('writes a table to the page of the step, with nothing of the texts as markup', () => {
    const page = githubSummary(hostileReport)
    expect(page).toMatch(/^### ✘ reflash validate: 1 object, 5 errors, 1 warning\n\n\| /)
    const rows = page.split('\n').filter((line) => line.startsWith('| '))
    expect(rows).toHaveLength(2 + hostileReport.problems.length)
    for (const row of rows) expect(row.replaceAll(/\\./g, '').split('|')).toHaveLength(6)
    expect(page.replaceAll(/\\./g, '')).not.toMatch(/[`<>[\]]/)
    expect(githubSummary(cleanReport)).toBe('### ✔ reflash validate: 1 object, 0 errors, 0 warnings\n')
  })

  test('ends the table after 200 rows', () => {
    const many = reportOf(...Array.from({ length: 250 }, (_, index) => problemOf({ line: index + 1 })))
    expect(githubSummary(many)).toMatch(/\n… 50 more\n$/)
  })

  test('names files from the checkout on, and writes the page where GitHub wants it', async () => {
    const checkout = await makeTree({ 'fleets/one/a.yaml': category.replace('kind', 'knid') })
    const page = join(checkout, 'page')
    const env = { GITHUB_WORKSPACE: checkout, GITHUB_STEP_SUMMARY: page }
    const { code, stdout } = await cliResult(['validate', join(checkout, 'fleets/one'), '-o', 'github'], {
      env,
    })
    expect(code).toBe(1)
    expect(commandsIn(stdout)[0]!.properties['file']).toBe('fleets/one/a.yaml')
    expect(await readFile(page, 'utf8')).toContain('fleets/one/a.yaml:')
  })

  test('a page that cannot be written is a warning', async () => {
    const root = await makeTree({ 'a.yaml': category })
    const env = { GITHUB_STEP_SUMMARY: root }
    const { code, stderr } = await cliResult(['validate', root, '-o', 'github'], { env })
    expect(code).toBe(0)
    expect(stderr).toMatch(/^warning: the step summary cannot be written: .*\n1 object, /)
  })

  test('plain text on GitHub has the annotations too, and a file name is no command', async () => {
    const root = await makeTree()
    const broken = category.replace('kind', 'knid')
    await mkdir(join(root, '::stop-commands::x'))
    await writeFile(join(root, '::stop-commands::x', 'a.yaml'), broken)
    await writeFile(join(root, '##[add-mask]b.yaml'), broken)
    const env = { GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: root }
    const { stdout } = await cliResult(['validate', root], { env })
    expect(new Set(commandsIn(stdout).map(({ name }) => name))).toEqual(new Set(['error']))
    expect(stdout).toContain('\\x3a:stop-commands::x/a.yaml:')
    expect((await cliResult(['validate', root])).stdout).toContain('\n::stop-commands::x/a.yaml:')
    expect(inert('fleet.yaml:1:1: fine')).toBe('fleet.yaml:1:1: fine')
  })
})

test('reasons in reports are in kebab-case, each once', () => {
  const slugs = (Object.keys(problemReasons) as ProblemReason[]).map(reasonSlug)
  expect(new Set(slugs).size).toBe(slugs.length)
  for (const slug of slugs) expect(slug).toMatch(/^[a-z]+(-[a-z]+)*$/)
})
