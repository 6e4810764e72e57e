import { metricTable } from '../../src/core/metric-table.ts'
import { code, table } from './markdown.ts'

/** Headings, by how the names below them begin; what no other takes is under the last. */
const sections: readonly [string, RegExp][] = [
  ['The work loop', /^(?:workqueue|controller_runtime)_/],
  ['Devices', /^reflash_(?:devices?|objects)/],
  ['Policies and upgrades', /^reflash_(?:policy|upgrades?|operations|oldest)/],
  ['The governor', /^reflash_governor_/],
  ['SSH, directory, state and API', /./],
]

const rest = new Map(Object.entries(metricTable))

function section([heading, pattern]: readonly [string, RegExp]): string {
  const rows = [...rest].filter(([name]) => pattern.test(name))
  for (const [name] of rows) rest.delete(name)
  const lines = rows.map(([name, { type, labels, help }]) => [
    code(name),
    type,
    labels.map(code).join(', '),
    help,
  ])
  return `## ${heading}\n\n${table(['name', 'type', 'labels', 'meaning'], lines)}\n`
}

/** docs/metrics.md, from the table of metrics. */
export const metricsPage = `# Metrics

Generated from \`src/core/metric-table.ts\` by \`npm run generate\`.

\`reflash run\` shows these at \`/metrics\`, on the address of its API. Where tokens are asked for, the token needs the scope
\`metrics\`. Rules for alerts and a dashboard are in \`manifests/monitoring\`; what to do about an alert is in
[alerts.md](alerts.md).

- Counters and histograms begin with the process at 0, and every label that is known is there from the start, so that
  \`increase()\` sees the first one.
- Gauges are read from the fleet when somebody asks, at most once a second. A count that is 0 may be left out.
- No address, key or secret is ever a label. Names of devices are labels only with \`--metrics-per-device\`, which costs about
  250 bytes a scrape for each device.
- What devices say of themselves is escaped, cut to 64 characters, and limited in number.
- CPU, memory, garbage collection and lag of the event loop are there as well, under the names \`process_*\` and \`nodejs_*\`
  that every Node.js program has. They are measured from the first scrape on.

${sections.map(section).join('\n')}`
