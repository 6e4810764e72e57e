import { spawn } from 'node:child_process'
import { accessSync, constants, globSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { ended, type CliResult } from './cli.ts'
import { until } from './until.ts'

const pins = fileURLToPath(new URL('../kubectl/', import.meta.url))
/** No command of a test takes so long, unless it hangs. */
const limitMs = 30_000

export interface KubectlProgram {
  version: string
  path: string
}

/** Where `.ci/build-kubectl` puts what `test/kubectl` pins; the one of `KUBEBUILDER_ASSETS` stands for all of them. */
export function kubectlPrograms(): KubectlProgram[] {
  const { KUBEBUILDER_ASSETS: assets, XDG_CACHE_HOME: cache = join(homedir(), '.cache') } = process.env
  if (assets !== undefined && isProgram(join(assets, 'kubectl'))) {
    return [{ version: basename(assets), path: join(assets, 'kubectl') }]
  }
  return globSync('*/go.mod', { cwd: pins }).map((pin) => {
    const found = /^\tk8s\.io\/kubernetes v(?<version>[\d.]+)/m.exec(readFileSync(join(pins, pin), 'utf8'))
    const { version } = found!.groups as { version: string }
    return { version, path: join(cache, 'reflash', 'kubectl', version, 'kubectl') }
  })
}

/** What there is to say of programs that were not built. */
export const missingKubectls = (programs: readonly KubectlProgram[]): string[] =>
  programs
    .filter(({ path }) => !isProgram(path))
    .map(({ version }) => `kubectl ${version}, which .ci/build-kubectl makes`)

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export interface Kubectl {
  version: string
  run(...args: string[]): Promise<CliResult>
  /** Runs it, and gives what it wrote; anything on stderr is a failure. */
  read(...args: string[]): Promise<string>
  /** Starts what goes on until it is stopped; it ends with the test. */
  follow(...args: string[]): Followed
}

/** The lines of a running command, as they come. */
export interface Followed {
  lines: readonly string[]
  /** Waits for a line, new or not. */
  line(pattern: RegExp, limitMs?: number): Promise<string>
  stop(): Promise<CliResult>
}

/** A kubectl that knows nothing but this server: no configuration of the user, no cache from before. */
export function makeKubectl({ path, version }: KubectlProgram, server: string, folder: string): Kubectl {
  const home = join(folder, `kubectl-${version}`)
  const start = (args: readonly string[], timeoutMs?: number) =>
    spawn(path, ['--server', server, '--cache-dir', join(home, 'cache'), ...args], {
      cwd: folder,
      env: {
        PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
        HOME: home,
        KUBECONFIG: join(home, 'none'),
        KUBE_EDITOR: 'sed -i s/operator/somebody/',
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
