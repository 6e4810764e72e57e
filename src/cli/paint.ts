import { styleText } from 'node:util'
import type { CliContext, CliStream } from './context.ts'
import type { ColorFlags } from './server-flags.ts'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow'
export type Paint = (style: Style, text: string) => string

/** Styles text for this stream, or leaves it alone: colour repeats what a word says already, so nothing is lost. */
export function createPaint(stream: CliStream, when: ColorFlags['color'], env: CliContext['env']): Paint {
  const isOn = when === 'always' || (when === 'auto' && wantsColor(stream, env))
  return isOn ? (style, text) => styleText(style, text, { validateStream: false }) : (_style, text) => text
}

/** NO_COLOR and FORCE_COLOR as Node reads them. */
function wantsColor(stream: CliStream, env: CliContext['env']): boolean {
  const isSet = (name: string): boolean => (env[name] ?? '') !== ''
  if (isSet('FORCE_COLOR')) return !['0', 'false'].includes(env['FORCE_COLOR']!)
  return stream.isTTY && !isSet('NO_COLOR') && env['TERM'] !== 'dumb'
}
