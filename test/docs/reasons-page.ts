import { errorTable } from '../../src/core/errors.ts'
import { eventReasons } from '../../src/core/event-reasons.ts'
import { blockedReasons, conditions } from '../../src/core/reasons.ts'
import { transitions } from '../../src/core/transitions.ts'
import { code, table } from './markdown.ts'

type ConditionRow = (typeof conditions)[keyof typeof conditions]

const conditionSection = ([type, { kinds, says, reasons }]: [string, ConditionRow]): string =>
  `### ${type}

${says} On ${kinds.map(code).join(', ')}.

${table(
  ['reason', 'status', 'meaning'],
  Object.entries<Record<string, string>>(reasons).flatMap(([status, meanings]) =>
    Object.entries(meanings).map(([reason, meaning]) => [code(reason), status, meaning]),
  ),
)}`

/** docs/reasons.md, from the tables of the core. */
export const reasonsPage = `# Phases, reasons and errors

Generated from \`src/core/transitions.ts\`, \`src/core/reasons.ts\`, \`src/core/event-reasons.ts\` and
\`src/core/errors.ts\` by \`npm run generate\`.

## Phases of an operation

From \`Flashing\` on nothing is started any more: the device is only looked at. An operation that \`Failed\` with the class
\`Lost\` may still be corrected when its device is seen again.

${table(
  ['phase', 'may become'],
  Object.entries(transitions).map(([phase, next]) => [
    code(phase),
    next.length === 0 ? 'final' : next.map(code).join(', '),
  ]),
)}

## Why a device is not upgraded now

The reason in \`status.blocked\` of a Device, and in what \`plan\` prints.

${table(
  ['reason', 'meaning'],
  Object.entries(blockedReasons).map(([reason, meaning]) => [code(reason), meaning]),
)}

## Conditions

What \`status.conditions\` of each kind says.

${Object.entries<ConditionRow>(conditions).map(conditionSection).join('\n\n')}

## Reasons of events

What \`kubectl describe\` and \`kubectl get events\` show. Equal events of one object are counted; of each object the last
20 are kept, and of all the last 20,000, for a day.

In a cluster they are Events of \`events.k8s.io\` as well, which the API server keeps for an hour unless it is told otherwise.
Of one object 25 are written at once, and then one every five minutes; more than ten within ten minutes that differ in their
words alone are combined. What was not written is counted by \`reflash_events_dropped_total\`.

${table(
  ['reason', 'meaning'],
  Object.entries(eventReasons).map(([reason, meaning]) => [code(reason), meaning]),
)}

## Errors

What the outside world does to Reflash. Where waiting helps, it is tried again later; else a person is needed. The
failure class is what an operation ends with when such an error stops it before the flash.

${table(
  ['code', 'waiting helps', 'failure class'],
  Object.entries(errorTable).map(([name, row]) => [
    code(name),
    row.recoverable ? 'yes' : 'no',
    'failureClass' in row ? code(row.failureClass) : '',
  ]),
)}
`
