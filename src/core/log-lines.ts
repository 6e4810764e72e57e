import { cut } from './cut.ts'

/** As the schema allows. */
const maxLines = 40
const maxLineLength = 1024

/** The last lines of a log, with one more. */
export const appendLog = (lines: readonly string[], line: string): string[] =>
  [...lines, cut(line, maxLineLength)].slice(-maxLines)
