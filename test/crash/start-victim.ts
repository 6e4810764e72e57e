import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { until } from '../support/until.ts'

export interface Victim {
  child: ChildProcess
  /** What it has said so far. */
  output: { stdout: string; stderr: string }
  closed: Promise<unknown>
  /** Kills it, and waits until it is gone. */
  kill: () => Promise<void>
  /** Stops it as by SIGSTOP, and waits until it stands still. */
  stop: () => Promise<void>
}

const clockAhead = fileURLToPath(new URL('clock-ahead.ts', import.meta.url))

/**
 * Runs a program of TypeScript as a process that can be killed, in an environment of its own, in which the wall clock
 * may be ahead of ours.
 */
export function startVictim(script: string, args: readonly string[], home: string, clockAheadMs = 0): Victim {
  const preload = clockAheadMs === 0 ? [] : ['--import', clockAhead]
  const child = spawn(process.execPath, [...preload, script, ...args], {
    stdio: 'pipe',
    env: {
      PATH: process.env['PATH'],
      HOME: home,
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      CLOCK_AHEAD_MS: String(clockAheadMs),
    },
  })
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (chunk: Buffer) => void (output[stream] += chunk.toString()))
  // One that has ended does not listen to what it is told.
  child.stdin.on('error', () => {})
  const closed = once(child, 'close')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await closed
  }
  const stop = async (): Promise<void> => {
    child.kill('SIGSTOP')
    await until('it stands still', () => isStopped(child), 20_000)
  }
  return { child, output, closed, kill, stop }
}

/** Whether a process stands still, as after SIGSTOP. Linux only. */
export function isStopped({ pid }: ChildProcess): boolean {
  try {
    // The state comes after the name, which may hold anything.
    return / T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/, ''))
  } catch {
    return false
  }
}
