import { isAbsolute, join, relative, sep } from 'node:path'
import { reasonSlug } from '../api/problem.ts'
import { apiVersion } from '../api/schema.ts'
import type { ValidationProblem } from '../app.ts'
import { shown } from './render-text.ts'

/** What `validate` found, before it is written in one of its formats. */
export interface Report {
  objects: number
  skipped: number
  errors: readonly ReportedProblem[]
  warnings: readonly ReportedProblem[]
  /** Both, by file, line and column. */
  problems: readonly ReportedProblem[]
}

export interface ReportedProblem extends ValidationProblem {
  /** The reason in kebab-case. */
  rule: string
  /** The file as seen from the checkout, for programs that know nothing of the directory. */
  location: string
}

interface Validation {
  objects: number
  skipped: number
  problems: readonly ValidationProblem[]
}

/** `checkout` is an absolute path; without it files are named from where the command runs. */
export function createReport(
  { objects, skipped, problems }: Validation,
  directory: string,
  checkout = '',
): Report {
  const way = relative(checkout, directory)
  // Another drive, or no way at all: the directory as it was given says more.
  const prefix = shown(isAbsolute(way) ? directory : way)
  const reported = problems.map((problem) => ({
    ...problem,
    rule: reasonSlug(problem.reason),
    location: join(prefix, problem.file).replaceAll(sep, '/'),
  }))
  const of = (severity: ValidationProblem['severity']): ReportedProblem[] =>
    reported.filter((problem) => problem.severity === severity)
  return { objects, skipped, errors: of('error'), warnings: of('warning'), problems: reported }
}

/** One sentence: `3 objects, 1 error, 0 warnings`. */
export function summaryOf({ objects, errors, warnings, skipped }: Report): string {
  const parts = [some(objects, 'object'), some(errors.length, 'error'), some(warnings.length, 'warning')]
  if (skipped > 0) parts.push(`${some(skipped, 'other document')} skipped`)
  return parts.join(', ')
}

const some = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** The report for programs of one's own; docs/reports.md describes each field. */
export function jsonReport({ objects, skipped, errors, warnings, problems }: Report): string {
  const report = {
    apiVersion,
    kind: 'ValidationReport',
    valid: errors.length === 0,
    summary: { objects, errors: errors.length, warnings: warnings.length, skipped },
    // What is undefined is left out.
    problems: problems.map(({ rule, ...problem }) => ({
      file: problem.file,
      line: problem.line,
      column: problem.column,
      endLine: problem.endLine,
      severity: problem.severity,
      reason: rule,
      path: problem.path,
      message: problem.message,
      expected: problem.expected,
      found: problem.found,
      suggestion: problem.suggestion,
      text: problem.text,
    })),
  }
  return `${JSON.stringify(report, null, 2)}\n`
}
