import type { LogEntry } from './operation-log.ts'
import type { Paint } from './paint.ts'
import { shown } from './render-text.ts'

const phaseStyles: Record<string, 'green' | 'red'> = { Succeeded: 'green', Failed: 'red', Cancelled: 'red' }

/** One line of a log with its time in UTC; undefined for progress, which only a terminal shows. */
export function renderLogEntry({ type, fields }: LogEntry, paint: Paint): string | undefined {
  const time = paint('dim', textOf(fields['time']).slice(0, 19).padEnd(19))
  switch (type) {
    case 'phase': {
      const phase = textOf(fields['phase'])
      const style = phaseStyles[phase] ?? 'bold'
      return `${time}  ${paint(style, phase.padEnd(10))}  ${textOf(fields['message'])}`.trimEnd()
    }
    case 'log':
      return `${time}  ${' '.repeat(10)}  ${textOf(fields['text'])}`.trimEnd()
    case 'missed':
      return `${' '.repeat(19)}  … ${String(Number(fields['count']))} lines are not kept any more`
    default:
      return undefined
  }
}

/** How far the upload is, for a line that is written over. */
export const renderProgress = ({ fields }: LogEntry): string =>
  `upload ${String(Number(fields['percent']))} % of ${(Number(fields['totalBytes']) / 2 ** 20).toFixed(1)} MiB`

const textOf = (value: unknown): string => (typeof value === 'string' ? shown(value) : '')
