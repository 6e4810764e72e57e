import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

export interface Victim {
  child: ChildProcess
  /** What it has said so far. */
  output: { stdout: string; stderr: string }
  closed: Promise<unknown>
  /** Kills it, and waits until it is gone. */
  kill: () => Promise<void>
}

/** Runs a program of TypeScript as a process that can be killed, in an environment of its own. */
export function startVictim(script: string, args: readonly string[], home: string): Victim {
  const child = spawn(process.execPath, [script, ...args], {
    stdio: 'pipe',
    env: { PATH: process.env['PATH'], HOME: home, NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] },
  })
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (chunk: Buffer) => void (output[stream] += chunk.toString()))
  const closed = once(child, 'close')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await closed
  }
  return { child, output, closed, kill }
}
