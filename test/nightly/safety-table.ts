import { table } from '../docs/markdown.ts'
import { figuresPath, readFiguresPage, type Published, type Row } from './figures-page.ts'
import { suites, type Suite } from './suites.ts'

const begin = '<!-- From docs/figures.md, by `npm run generate`. -->'
const end = '<!-- End of the figures. -->'

/** The README with the figures of the last nightly run between its two marks. @throws Error without the marks. */
export function withFigures(readme: string, figuresPage: string): string {
  const [from, to] = [readme.indexOf(begin), readme.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`README.md has no place for the figures: ${begin} … ${end}`)
  return `${readme.slice(0, from)}${begin}\n${safetyTable(readFiguresPage(figuresPage))}\n${readme.slice(to)}`
}

/** Each number is a link to its suite on the page of figures, where the command is that makes it. */
export function safetyTable({ run, suites: measured, failed }: Published): string {
  const rows = suites.flatMap((suite) =>
    failed.has(suite.name) ? [failedRow(suite)] : rowOf(suite, measured.get(suite.name)),
  )
  return `
What the suites of ${run.get('date')} did, at commit ${run.get('commit')}, in ${run.get('took')} on ${run.get('machine')}.
Each number leads to the command that makes it again.

${table(['what is tried', 'how much, and what came of it'], rows)}
`
}

const failedRow = ({ name, title }: Suite): string[] => [title, `[**failed**](${figuresPath}#${name})`]

/** Nothing for a suite that was not run. */
function rowOf({ name, title, headline }: Suite, figures: readonly Row[] = []): string[][] {
  const shown = Object.entries(headline).flatMap(([word, like]) => {
    const values = figures.flatMap(([figure, value]) => (like.test(figure) ? [value] : []))
    return values.length === 0 ? [] : [`[${sumOf(values)}](${figuresPath}#${name}) ${word}`]
  })
  return shown.length === 0 ? [] : [[title, shown.join(', ')]]
}

/** A single value as it stands; several lose their unit. */
function sumOf(values: readonly string[]): string {
  if (values.length === 1) return values[0]!
  const numbers = values.map((value) => Number.parseFloat(value.replaceAll(',', '')))
  return numbers.reduce((sum, number) => sum + number, 0).toLocaleString('en')
}
