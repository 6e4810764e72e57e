import type { LiveLine } from '../ports/live-feed.ts'

/** For a browser: how soon it connects again. */
const reconnectMs = 1000

/** How each thing that is said looks on the wire. */
export interface LogFormat {
  begin: string
  line(line: LiveLine): string
  missed(count: number): string
  end: string
  heartbeat: string
}

export const asEvents: LogFormat = {
  begin: `retry: ${reconnectMs}\n\n`,
  line: (line) => `id: ${line.id}\nevent: ${line.type.toLowerCase()}\ndata: ${JSON.stringify(line)}\n\n`,
  missed: (count) => `event: missed\ndata: ${JSON.stringify({ count })}\n\n`,
  end: 'event: end\ndata: {}\n\n',
  heartbeat: ':\n\n',
}

export const asText: LogFormat = {
  begin: '',
  line: (line) => `${line.time} ${textOf(line)}\n`,
  missed: (count) => `(${count} lines are not kept any more)\n`,
  end: '',
  heartbeat: '',
}

function textOf(line: LiveLine): string {
  switch (line.type) {
    case 'Phase':
      return line.message === '' ? line.phase : `${line.phase}: ${line.message}`
    case 'Progress':
      return `${line.percent} % (${line.sentBytes} of ${line.totalBytes} bytes)`
    case 'Log':
      return `| ${line.text}`
  }
}
