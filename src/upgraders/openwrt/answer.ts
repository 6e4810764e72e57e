import { ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'

const maxLineLength = 1024
const maxLines = 2000

/** The parts of a framed answer, by name, each as trimmed lines that are not empty. */
export type Frames = ReadonlyMap<string, readonly string[]>

/**
 * Reads a framed answer of a script. What stands in the lines is whatever the device sent, made printable.
 * @throws ReflashError `ProbeInvalid` when the answer is cut off, has a frame twice, or is too long.
 */
export function readFrames(output: string): Frames {
  const frames = new Map<string, string[]>()
  const lines = output.split('\n')
  if (lines.length > maxLines) throw invalid(`answered with ${lines.length} lines`)
  let current: string[] | undefined
  for (const line of lines) {
    const frame = line.startsWith('@') ? /^@([a-z_0-9]+)(?: (.*))?$/.exec(line) : null
    if (frame) {
      const [, name = '', rest] = frame
      if (frames.has(name)) throw invalid(`answered with "@${name}" twice`)
      current = rest === undefined ? [] : [clean(rest)]
      frames.set(name, current)
    } else if (current && line.trim() !== '') current.push(clean(line))
  }
  if (!frames.has('end')) throw invalid('its answer was cut off')
  return frames
}

const clean = (line: string): string => printable(line.trim(), maxLineLength)
const invalid = (what: string): ReflashError => new ReflashError('ProbeInvalid', `the device ${what}`)
