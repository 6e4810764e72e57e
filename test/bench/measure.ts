import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { processTree, readProc } from '../support/process-tree.ts'
import { withFolder } from './bench.ts'

const sampleEveryMs = 100
const root = fileURLToPath(new URL('../../', import.meta.url))

/** Compiles the program as it is shipped: what a checkout runs carries its compiler along. */
export const buildProgram = (): void =>
  void execFileSync('tsc', ['-p', 'tsconfig.build.json'], {
    cwd: root,
    env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH']}` },
  })

/** The command line of `reflash`. */
export const reflash = (...args: string[]): string[] => [
  process.execPath,
  join(root, 'dist/main.js'),
  ...args,
]

export interface Measured {
  code: number | null
  stdout: string
  stderr: string
  wallMs: number
  /** User and system time of the whole tree of processes. */
  cpuMs: number
  /** Highest resident memory of the whole tree at one time. */
  peakBytes: number
}

/** The shell counts the time of everything below it that has ended and been waited for. */
const timed = 'file=$1; shift; "$@"; code=$?; times >"$file"; exit $code'

/** Runs a command to its end. It is killed with everything below it when the bench is. */
export const measure = (argv: readonly string[]): Promise<Measured> =>
  withFolder(async (folder) => {
    const times = join(folder, 'times')
    const startedMs = performance.now()
    const child = spawn('sh', ['-c', timed, 'sh', times, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
    const output = collect(child)
    let peakBytes = 0
    const sampling = setInterval(() => {
      peakBytes = Math.max(peakBytes, treeBytes(child.pid!))
    }, sampleEveryMs)
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    clearInterval(sampling)
    const wallMs = performance.now() - startedMs
    return { code, ...output(), wallMs, cpuMs: childrenMs(await readFile(times, 'utf8')), peakBytes }
  })

const collect = (child: ChildProcess): (() => { stdout: string; stderr: string }) => {
  const text = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]!.on('data', (chunk: Buffer) => (text[stream] += chunk.toString('utf8')))
  }
  return () => text
}

/** The second line of `times` is about the children: "1m2.50s 0m0.25s". */
const childrenMs = (times: string): number =>
  [...times.split('\n')[1]!.matchAll(/(\d+)m([\d.]+)s/g)]
    .map(([, minutes, rest]) => 60_000 * Number(minutes) + 1000 * Number(rest))
    .reduce((sum, ms) => sum + ms, 0)

/** Resident memory of a process and all below it, or the highest that one of them ever had. */
const treeBytes = (root: number): number => {
  const statuses = processTree(root).map((pid) => readProc(`/proc/${pid}/status`))
  const now = statuses.reduce((sum, status) => sum + kibibytes(status, 'VmRSS'), 0)
  return 1024 * Math.max(now, ...statuses.map((status) => kibibytes(status, 'VmHWM')))
}

const kibibytes = (status: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)

/** Resident memory of one living process. */
export const residentBytes = (pid: number): number =>
  1024 * kibibytes(readProc(`/proc/${pid}/status`), 'VmRSS')

/** User and system time of one living process; the kernel counts in hundredths of a second. */
export const processMs = (pid: number): number => {
  const fields = readProc(`/proc/${pid}/stat`)
    .replace(/^.*\) /, '')
    .split(' ')
  return 10 * (Number(fields[11]) + Number(fields[12]))
}
