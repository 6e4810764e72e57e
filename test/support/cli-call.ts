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

interface CallOptions {
  isTTY?: boolean
  clock?: Clock
  env?: Record<string, string>
}

/** Ended with the test, if not before. */
export function callCli(args: readonly string[], options: CallOptions = {}): CliCall {
  const call = startCall(args, options)
  onTestFinished(call.interrupt)
  return call
}

function startCall(args: readonly string[], options: CallOptions): CliCall {
  const stop = new AbortController()
  const streamTo = (texts: string[]) => ({
    write: (text: string) => texts.push(text),
    isTTY: options.isTTY ?? false,
    columns: 100,
    rows: 40,
  })
  const [out, err]: [string[], string[]] = [[], []]
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
    interrupt: () => stop.abort(new DOMException('stopped', 'AbortError')),
  }
}

/** Runs a command to its end; also where tests run beside each other. */
export async function cliResult(
  args: readonly string[],
  options: CallOptions = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const call = startCall(args, options)
  const code = await call.done
  return { code, stdout: call.stdout(), stderr: call.stderr() }
}
