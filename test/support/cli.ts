import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface CliResult {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** Runs `reflash` as a process of its own, to its end. It serves no API unless told to: tests run beside each other. */
export function reflash(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  return ended(startReflash(args, env))
}

export const startReflash = (args: readonly string[], env: Record<string, string> = {}): ChildProcess =>
  spawn(process.execPath, [main, ...args], {
    env: { ...process.env, NO_COLOR: '1', REFLASH_LISTEN: 'none', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })

export function ended(child: ChildProcess): Promise<CliResult> {
  let stdout = ''
  let stderr = ''
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}
