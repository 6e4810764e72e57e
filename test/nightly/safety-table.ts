import { table } from '../docs/markdown.ts'
import { figuresPath, readFiguresPage, type Published } from './figures-page.ts'
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
export function safetyTable({ run, suites: measured }: Published): string {
  const rows = suites.flatMap((suite) => rowOf(suite, measured.get(suite.name)))
  return `
What the suites of ${run.get('date')} did, at commit ${run.get('commit')}, in ${run.get('took')} on ${run.get('machine')}.
Each number leads to the command that makes it again.

${table(['what is tried', 'how much, and what came of it'], rows)}
`
}

/** Nothing for a suite that was not run. */
function rowOf(
  { name, title, headline }: Suite,
  figures: ReadonlyMap<string, string> | undefined,
): string[][] {
  if (figures === undefined || figures.size === 0) return []
  const shown = headline.flatMap((figure) => {
    const value = figures.get(figure)
    return value === undefined ? [] : [`[${value}](${figuresPath}#${name}) ${figure}`]
  })
  return shown.length === 0 ? [] : [[title, shown.join(', ')]]
}
