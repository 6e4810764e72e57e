import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { ended, type CliResult } from './cli.ts'
import type { BuiltProgram } from './built-programs.ts'
import { until } from './until.ts'

/** No command of a test takes so long, unless it hangs. */
const limitMs = 30_000

export interface Kubectl {
  version: string
  run: (...args: string[]) => Promise<CliResult>
  /** Runs it, and gives what it wrote; anything on stderr is a failure. */
  read: (...args: string[]) => Promise<string>
  /** Starts what goes on until it is stopped; it ends with the test. */
  follow: (...args: string[]) => Followed
}

/** The lines of a running command, as they come. */
export interface Followed {
  lines: readonly string[]
  /** Waits for a line, new or not. */
  line(pattern: RegExp, limitMs?: number): Promise<string>
  stop(): Promise<CliResult>
}

/** A kubectl that knows nothing but this server: no configuration of the user, no cache from before. */
export function makeKubectl(
  { path, version }: BuiltProgram,
  server: string,
  folder: string,
  flags: readonly string[] = [],
): Kubectl {
  const home = join(folder, `kubectl-${version}`)
  const start = (args: readonly string[], timeoutMs?: number) =>
    spawn(path, ['--server', server, '--cache-dir', join(home, 'cache'), ...flags, ...args], {
      cwd: folder,
      env: {
        PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
        HOME: home,
        KUBECONFIG: join(home, 'none'),
        KUBE_EDITOR: 'sed -i s/operator/somebody/',
        // An edit that was refused is kept there.
        TMPDIR: folder,
        TZ: 'UTC',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs, killSignal: 'SIGKILL' as const }),
    })
  const run = (...args: string[]): Promise<CliResult> => ended(start(args, limitMs))
  return {
    version,
    run,
    read: async (...args) => {
      const { code, stdout, stderr } = await run(...args)
      if (code !== 0 || stderr !== '') throw new Error(`kubectl ${args.join(' ')}: ${code} ${stderr}`)
      return stdout
    },
    follow: (...args) => {
      const child = start(args)
      const lines: string[] = []
      createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line))
      const end = ended(child)
      const stop = (): Promise<CliResult> => {
        child.kill('SIGINT')
        return end
      }
      onTestFinished(() => void stop())
      return {
        lines,
        line: (pattern, limit) =>
          until(
            `a line like ${pattern} from kubectl ${args.join(' ')}`,
            () => lines.find((line) => pattern.test(line)),
            limit,
          ),
        stop,
      }
    },
  }
}
