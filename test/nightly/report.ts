import { valueOf, type Run } from './figures-page.ts'
import type { Outcome } from './run-suite.ts'

export const say = (text: string): void => void process.stdout.write(`${text}\n`)
/** Beside what a program reads. */
export const tell = (text: string): void => void process.stderr.write(`${text}\n`)

/** All figures of a run on stdout, and what is to be known of each suite that did not pass whole. */
export function printReport(run: Run, output: string): void {
  if (output === 'json') {
    say(JSON.stringify(run, undefined, 2))
    return
  }
  say(`\n${run.machine}; ${run.date}; commit ${run.commit}; ${run.minutes.toFixed(1)} minutes\n`)
  say(columns(run.outcomes.flatMap(rowsOf)))
  for (const { suite, result, why, command, again = command } of run.outcomes) {
    if (result === 'Failed') say(`\n${suite} FAILED; this runs it again:\n  ${again}\n${indented(why)}`)
    else if (why.length > 0) say(`\n${suite} left out what this machine cannot run:\n${indented(why)}`)
  }
  const counts = (['Passed', 'Failed', 'Skipped'] as const).map(
    (result) =>
      `${run.outcomes.filter((outcome) => outcome.result === result).length} ${result.toLowerCase()}`,
  )
  say(`\n${counts.join(', ')}`)
}

export const indented = (lines: readonly string[]): string => lines.map((line) => `  ${line}`).join('\n')

const rowsOf = ({ suite, result, seconds, figures }: Outcome): string[][] => [
  [suite, result, `${seconds} s`, ''],
  ...figures.map((figure) => [
    '',
    figure.name,
    valueOf(figure),
    figure.goal === undefined ? '' : `goal: ${figure.goal}`,
  ]),
]

function columns(rows: readonly string[][]): string {
  const widths = [0, 1, 2].map((at) => Math.max(...rows.map((row) => row[at]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
