import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { runCli } from '../../src/cli/program.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { until } from './until.ts'

/** A command that runs inside the test. */
export interface CliCall {
  /** The exit code. */
  done: Promise<number>
  stdout(): string
  stderr(): string
  /** Waits until stdout matches. */
  says(pattern: RegExp): Promise<void>
  /** As SIGINT does. */
  interrupt(): void
}

export function callCli(
  args: readonly string[],
  options: { isTTY?: boolean; clock?: Clock; env?: Record<string, string> } = {},
): CliCall {
  const stop = new AbortController()
  const streamTo = (texts: string[]) => ({
    write: (text: string) => texts.push(text),
    isTTY: options.isTTY ?? false,
    columns: 100,
    rows: 40,
  })
  const [out, err]: [string[], string[]] = [[], []]
  const interrupt = (): void => stop.abort(new DOMException('stopped', 'AbortError'))
  onTestFinished(interrupt)
  return {
    done: runCli(args, '0.0.0', {
      stdout: streamTo(out),
      stderr: streamTo(err),
      env: options.env ?? {},
      signal: stop.signal,
      clock: options.clock ?? systemClock,
    }),
    stdout: () => out.join(''),
    stderr: () => err.join(''),
    says: async (pattern) => {
      await until(`stdout matches ${String(pattern)}`, () => pattern.test(out.join('')))
    },
    interrupt,
  }
}

/** Runs a command to its end. */
export async function cliResult(
  ...call: Parameters<typeof callCli>
): Promise<{ code: number; stdout: string; stderr: string }> {
  const called = callCli(...call)
  const code = await called.done
  return { code, stdout: called.stdout(), stderr: called.stderr() }
}
