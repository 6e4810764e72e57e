import { cut } from './cut.ts'

/** As the schema allows. */
const maxLines = 40
const maxLineLength = 1024

/** The last lines of a log, with one more. */
export const appendLog = (lines: readonly string[], line: string): string[] =>
  [...lines, cut(line, maxLineLength)].slice(-maxLines)

/** Of the lines that a device shows of its log, those after the last one that is known: it is read again and again. */
export function newLines(known: readonly string[], shown: readonly string[]): readonly string[] {
  const cutLines = shown.map((line) => cut(line, maxLineLength))
  const last = known.findLast((line) => cutLines.includes(line))
  return last === undefined ? shown : shown.slice(cutLines.lastIndexOf(last) + 1)
}
