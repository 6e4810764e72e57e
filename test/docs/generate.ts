/** Writes docs/reasons.md from the tables of the core: `node test/docs/generate.ts`; with `--check` it only says whether it is stale. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { errorTable } from '../../src/core/errors.ts'
import { blockedReasons, conditionReasons } from '../../src/core/reasons.ts'
import { transitions } from '../../src/core/transitions.ts'

const code = (text: string): string => `\`${text}\``
const table = (header: readonly string[], rows: readonly (readonly string[])[]): string =>
  [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const text = `# Phases, reasons and errors

Generated from \`src/core/transitions.ts\`, \`src/core/reasons.ts\` and \`src/core/errors.ts\` by \`npm run generate\`.

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

## Reasons of conditions

${table(
  ['condition', 'reasons'],
  Object.entries(conditionReasons).map(([type, reasons]) => [code(type), reasons.map(code).join(', ')]),
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

const file = fileURLToPath(new URL('../../docs/reasons.md', import.meta.url))
let before: string | undefined
try {
  before = readFileSync(file, 'utf8')
} catch {
  // Not there yet: stale.
}
const checking = process.argv.includes('--check')
if (before !== text) {
  process.stdout.write(`${checking ? 'stale' : 'written'}: docs/reasons.md\n`)
  if (checking) process.exitCode = 1
  else {
    mkdirSync(fileURLToPath(new URL('../../docs/', import.meta.url)), { recursive: true })
    writeFileSync(file, text)
  }
}
