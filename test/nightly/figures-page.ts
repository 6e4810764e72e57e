import { code, table } from '../docs/markdown.ts'
import type { Figure } from '../support/figures.ts'
import type { Outcome } from './run-suite.ts'
import type { Suite } from './suites.ts'

/** Where the figures of the last run of all suites are. */
export const figuresPath = 'docs/figures.md'

/** One run of the nightly programme. */
export interface Run {
  date: string
  commit: string
  command: string
  machine: string
  minutes: number
  outcomes: readonly Outcome[]
}

/** `1234567.8` is `1,234,567.8`: at most three digits after the point. */
const numberFormat = new Intl.NumberFormat('en', { maximumFractionDigits: 3 })

export const valueOf = ({ value, unit }: Figure): string =>
  [numberFormat.format(value), ...(unit === undefined ? [] : [unit])].join(unit === '%' ? '' : ' ')

const failedMark = '**Failed**'

/** Without a table: what a suite that has none says of itself. */
const sectionOf = (outcome: Outcome, suite: Suite): string => {
  const { figures, result, seconds, tests, why } = outcome
  const counts = tests === undefined ? '' : `, ${tests.passed} tests`
  const [reason = ''] = why
  const words = {
    Passed: `Passed in ${seconds} s${counts}.`,
    Failed: `${failedMark} after ${seconds} s.`,
    Skipped: `Not run on this machine: ${reason}.`,
  }[result]
  const rows = figures.map((figure) => [figure.name, valueOf(figure), figure.goal ?? ''])
  return [
    `## ${suite.name}`,
    `${suite.title}. ${words}`,
    `\`\`\`sh\n${outcome.command}\n\`\`\``,
    ...(rows.length === 0 ? [] : [table(['figure', 'value', 'goal'], rows)]),
  ].join('\n\n')
}

/** docs/figures.md. */
export function figuresPage(run: Run, suites: readonly Suite[]): string {
  const passed = run.outcomes.filter(({ result }) => result === 'Passed').length
  const sections = run.outcomes.map((outcome) =>
    sectionOf(
      outcome,
      suites.find(({ name }) => name === outcome.suite)!,
    ),
  )
  return `# Figures

What \`npm run nightly\` measured when it last ran whole, and wrote here. The command of each suite runs it alone.

${table(
  ['', ''],
  [
    ['date', run.date],
    ['commit', run.commit],
    ['command', code(run.command)],
    ['took', `${Math.round(run.minutes)} minutes`],
    ['machine', run.machine],
    ['suites that passed', `${passed} of ${run.outcomes.length}`],
  ],
)}

${sections.join('\n\n')}
`
}

/** What the page says: the figures of each suite by their names, and the lines about the whole run. */
export interface Published {
  run: ReadonlyMap<string, string>
  suites: ReadonlyMap<string, readonly Row[]>
  /** Those that did not pass. */
  failed: ReadonlySet<string>
}

/** A figure, as the page has it. */
export type Row = readonly [name: string, value: string]

/** Reads docs/figures.md. */
export function readFiguresPage(text: string): Published {
  const [head = '', ...sections] = text.split(/^## /m)
  const nameOf = (section: string): string => section.slice(0, section.indexOf('\n'))
  return {
    run: new Map(rowsOf(head)),
    suites: new Map(sections.map((section) => [nameOf(section), rowsOf(section)])),
    failed: new Set(sections.filter((section) => section.includes(failedMark)).map(nameOf)),
  }
}

const rowsOf = (section: string): Row[] =>
  Array.from(section.matchAll(/^\| (.+?) \| (.+?) \|/gm), ([, name, value]): Row => [name!, value!]).filter(
    ([name]) => name !== 'figure' && name !== '---',
  )
