import { shown } from './render-text.ts'
import { summaryOf, type Report, type ReportedProblem } from './report.ts'

/** JUnit XML: a test case for each problem, and one that passes, since a report without any counts as missing. */
export function junitReport(report: Report, directory: string): string {
  const { problems, errors } = report
  const counts = { tests: problems.length + 1, failures: errors.length, errors: 0 }
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({ name: 'reflash validate', ...counts })}>`,
    `  <testsuite${attributes({ name: shown(directory), ...counts, skipped: 0 })}>`,
    `    <testcase${attributes({ name: 'directory is read', classname: shown(directory) })}>`,
    `      <system-out>${escaped(summaryOf(report))}</system-out>`,
    '    </testcase>',
    ...problems.flatMap(testCase),
    '  </testsuite>',
    '</testsuites>',
  ]
  return `${lines.join('\n')}\n`
}

/** A warning passes, and says so. */
function testCase(problem: ReportedProblem): string[] {
  const { location, line, column, path, rule, message, severity } = problem
  const name = `${line}:${column}${path === '' ? '' : ` ${path}`} ${rule}`
  const text = escaped(`${location}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`)
  return [
    `    <testcase${attributes({ name, classname: location })}>`,
    severity === 'error'
      ? `      <failure${attributes({ type: rule, message })}>${text}</failure>`
      : `      <system-out>warning: ${text}</system-out>`,
    '    </testcase>',
  ]
}

const attributes = (values: Readonly<Record<string, string | number>>): string =>
  Object.entries(values)
    .map(([name, value]) => ` ${name}="${escaped(String(value))}"`)
    .join('')

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Characters that XML does not know are gone by now: nothing invisible gets into a problem. */
const escaped = (text: string): string => text.replaceAll(/[&<>"]/g, (character) => entities[character]!)
