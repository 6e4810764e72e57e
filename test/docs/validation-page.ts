import { problemReasons, reasonSlug, type ProblemReason } from '../../src/api/problem.ts'
import { createReport, jsonReport } from '../../src/cli/report.ts'
import { renderPlan } from '../../src/cli/render-plan.ts'
import { code, table } from './markdown.ts'

const problem = {
  file: 'sites/berlin/devices.yaml',
  line: 6,
  column: 17,
  severity: 'error',
  reason: 'NotFound',
  path: 'spec.categoryRef',
  message: 'there is no Category offce-ap in namespace default; did you mean office-ap?',
  expected: 'the name of a Category in namespace default',
  found: 'offce-ap',
  suggestion: 'office-ap',
} as const
const text = `${problem.file}:${problem.line}:${problem.column}: ${problem.path}: ${problem.message}`
const report = createReport({ objects: 10, skipped: 1, problems: [{ ...problem, text }] }, 'fleet')
const plan = {
  devices: [
    {
      namespace: 'default',
      name: 'berlin-kitchen',
      runs: '23.05.6 r24106',
      target: 'office-ap-24.10.8',
      action: 'Upgrade',
      reason: 'Ready',
      message: 'policy office-ap-canary starts it now',
    },
  ],
  summary: { devices: 1, upgrade: 1, wait: 0, blocked: 0, none: 0 },
} as const

/** docs/validation.md, with examples that the program writes itself. */
export const validationPage = `# What validate and plan print

Generated from \`src/api/problem.ts\` and the printers by \`npm run generate\`.

## validate

\`-o text\` prints one line for each problem, \`file:line:column: field: message\`. Text and JSON name files from the directory
on; the other formats from the checkout on, which is \`$GITHUB_WORKSPACE\` where that is set, else where the command runs.

| format | for |
| --- | --- |
| \`json\` | programs of your own: a \`ValidationReport\`, as below |
| \`sarif\` | code scanning: SARIF 2.1.0 |
| \`junit\` | test reports: a test case for each problem; a warning passes |
| \`github\` | GitHub Actions: annotations, errors first, ten of each kind, and a table in \`$GITHUB_STEP_SUMMARY\` |

With \`GITHUB_ACTIONS=true\` the text has the annotations and the table too. Exit codes are 0 for valid, also with warnings,
1 for errors and 2 for a wrong call, such as a directory that is not there.

\`\`\`json
${jsonReport(report).trimEnd()}
\`\`\`

\`endLine\`, \`expected\`, \`found\` and \`suggestion\` are there where they can be told. \`path\` is empty where a problem is of a whole
file or document. \`skipped\` counts documents of others. Lines and columns begin at 1; columns count UTF-16 units.

### Reasons

${table(
  ['reason', 'meaning'],
  Object.entries(problemReasons).map(([reason, meaning]) => [
    code(reasonSlug(reason as ProblemReason)),
    meaning,
  ]),
)}

## plan

\`-o table\` is for people, \`-o markdown\` for the page of a pull request or a CI step: how many devices, why, and which are
upgraded, 200 rows at most. \`-o json\` is a \`Plan\`:

\`\`\`json
${renderPlan({ ...plan, devices: [...plan.devices] }, [], 'json').trimEnd()}
\`\`\`

\`problems\` are files that were refused, so that what they declare is missing. \`action\` is \`Upgrade\` (it starts as soon as it
is its turn), \`Wait\` (it moves on by itself), \`Blocked\` (not without a change) or \`None\`; \`reason\` is one of those in
[reasons.md](reasons.md), or \`Ready\`, \`OnTarget\` or \`NoTarget\`. \`runs\` and \`target\` are left out where they are not known.
`
