import { problemReasons, reasonSlug, type ProblemReason } from '../api/problem.ts'
import type { Report, ReportedProblem } from './report.ts'

const reasons = Object.keys(problemReasons) as ProblemReason[]

/** SARIF 2.1.0, as code scanning services take it. */
export function sarifReport(report: Report, version: string): string {
  const files = [...new Set(report.problems.map(({ location }) => location))]
  const indexOf = new Map(files.map((file, index) => [file, index]))
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'Reflash', semanticVersion: version, rules: reasons.map(ruleOf) } },
        // As the editors count, and as our columns do.
        columnKind: 'utf16CodeUnits',
        artifacts: files.map((file) => ({ location: locationOf(file) })),
        results: report.problems.map((problem) => resultOf(problem, indexOf.get(problem.location)!)),
      },
    ],
  }
  return `${JSON.stringify(log, null, 2)}\n`
}

const ruleOf = (reason: ProblemReason): object => ({
  id: reasonSlug(reason),
  name: reason,
  shortDescription: { text: problemReasons[reason] },
})

const resultOf = (problem: ReportedProblem, index: number): object => ({
  ruleId: problem.rule,
  ruleIndex: reasons.indexOf(problem.reason),
  level: problem.severity,
  message: { text: plain(problem.path === '' ? problem.message : `${problem.path}: ${problem.message}`) },
  locations: [
    {
      physicalLocation: {
        artifactLocation: { ...locationOf(problem.location), index },
        region: regionOf(problem),
      },
      ...(problem.path === '' ? {} : { logicalLocations: [{ fullyQualifiedName: problem.path }] }),
    },
  ],
})

const regionOf = ({ line, column, endLine }: ReportedProblem): object => ({
  startLine: line,
  startColumn: column,
  ...(endLine === undefined ? {} : { endLine }),
})

/** A relative URI; a first part with a colon would be read as a scheme, so each part is encoded. */
const locationOf = (file: string): { uri: string; uriBaseId: string } => ({
  uri: file.split('/').map(encodeURIComponent).join('/'),
  uriBaseId: '%SRCROOT%',
})

/** Braces are placeholders there, and `[text](target)` is a link. */
const plain = (text: string): string => text.replaceAll(/[{}]/g, '$&$&').replaceAll('](', '\\](')
