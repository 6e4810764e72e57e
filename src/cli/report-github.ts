import { markdownTable, markdownText } from './markdown.ts'
import { summaryOf, type Report, type ReportedProblem } from './report.ts'

/** More of one kind are not shown by GitHub for a step. */
const maxAnnotations = 10
/** A summary may have 1 MiB. */
const maxRows = 200

/** Workflow commands, errors first; GitHub shows them beside the lines of the change. */
export const githubReport = ({ errors, warnings }: Report): string =>
  [...annotations(errors, 'error'), ...annotations(warnings, 'warning')].map((line) => `${line}\n`).join('')

function annotations(problems: readonly ReportedProblem[], command: 'error' | 'warning'): string[] {
  const lines = problems.slice(0, maxAnnotations).map((problem) => annotation(problem, command))
  const more = problems.length - maxAnnotations
  return more > 0 ? [...lines, `and ${more} more ${command}${more === 1 ? '' : 's'}`] : lines
}

function annotation(problem: ReportedProblem, command: string): string {
  const { location, line, column, endLine, path, rule, message } = problem
  const properties = Object.entries({
    file: location,
    line,
    endLine,
    // With a column, GitHub takes one line only.
    col: endLine === undefined ? column : undefined,
    title: path === '' ? rule : `${rule} ${path}`,
  }).flatMap(([name, value]) => (value === undefined ? [] : `${name}=${property(String(value))}`))
  return `::${command} ${properties.join(',')}::${data(message)}`
}

const data = (text: string): string =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')

/** A line of plain output that GitHub must not take for a command, whatever a file is called. */
export const inert = (line: string): string => line.replace(/^(\s*):/, '$1\\x3a').replaceAll('##[', '##\\x5b')

/** The page of a step: one sentence and a table, errors first. */
export function githubSummary(report: Report): string {
  const { errors, warnings } = report
  const all = [...errors, ...warnings]
  const title = `### ${errors.length === 0 ? '✔' : '✘'} reflash validate: ${summaryOf(report)}\n`
  if (all.length === 0) return title
  const rows = all
    .slice(0, maxRows)
    .map(({ severity, location, line, column, path, message, rule }) => [
      severity,
      markdownText(`${location}:${line}:${column}`),
      rule,
      markdownText(path === '' ? message : `${path}: ${message}`),
    ])
  const more = all.length - maxRows
  return `${title}\n${markdownTable(['', 'place', 'reason', 'problem'], rows)}${more > 0 ? `\n… ${more} more\n` : ''}`
}
