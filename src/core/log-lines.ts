const maxLines = 40
const maxLineLength = 1024

/** The last lines of a log, with one more. */
export const appendLog = (lines: readonly string[], line: string): string[] =>
  [...lines, line.slice(0, maxLineLength)].slice(-maxLines)
