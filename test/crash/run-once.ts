import { runDirectory, type Ending, type Outside } from '../../src/app.ts'
import { defaults, readConfig } from '../../src/config.ts'

interface Place {
  directory: string
  state: string
  cache: string
}

/** What one run says: its bugs, its phases, what it tells people, and last how it ended. */
type Said = { bug: string } | { phase: string } | { told: string; message: string } | { ending: Ending }

/** Runs Reflash once over a place, and tells what it says. */
export async function runOnce(
  { directory, state, cache }: Place,
  say: (line: Said) => void,
  { decorate, signal }: { decorate?: (outside: Outside) => Outside; signal?: AbortSignal } = {},
): Promise<void> {
  const flags = { ...defaults, maxStartsPerMinute: '10000', state, cache }
  const ending = await runDirectory(readConfig(directory, flags, {}), {
    once: true,
    version: '0.0.0',
    signal: signal ?? new AbortController().signal,
    events: {
      emit: (event) => {
        if (event.type === 'Bug') say({ bug: `${event.controller} ${event.key}: ${String(event.error)}` })
        if (event.type === 'Info' || event.type === 'Warning')
          say({ told: event.reason, message: event.message })
        if (event.type === 'Phase')
          say({ phase: `${event.operation.name}: ${event.phase}: ${event.message}` })
      },
    },
    ...(decorate ? { decorate } : {}),
  })
  say({ ending })
}
