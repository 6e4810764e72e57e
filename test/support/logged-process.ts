import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/** A server of the system that writes its log into a file, and ends no later than the process that started it. */
export interface LoggedProcess {
  /** @throws with the end of its log when it has ended by itself. */
  assertRunning(): void
  /** SIGTERM, and until it has ended. @throws when it had to be killed for that. */
  stop(): Promise<void>
}

const stopLimitMs = 20_000

/** Starts a program in the folder of its log. Needs `setpriv`. */
export function startLoggedProcess(path: string, args: readonly string[], log: string): LoggedProcess {
  const file = openSync(log, 'a', 0o600)
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', path, ...args], { stdio: ['ignore', file, file] })
  closeSync(file)
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null
  const end = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const say = (what: string): Error =>
    new Error(`${basename(path)} ${what}:\n${readFileSync(log, 'utf8').split('\n').slice(-20).join('\n')}`)
  return {
    assertRunning: () => {
      if (hasEnded()) throw say(`ended with ${child.signalCode ?? child.exitCode}`)
    },
    stop: async () => {
      child.kill('SIGTERM')
      const patience = new AbortController()
      const limit = wait(stopLimitMs, true, { signal: patience.signal }).catch(() => false)
      const isLate = await Promise.race([end.then(() => false), limit])
      patience.abort()
      if (!isLate) return
      child.kill('SIGKILL')
      await end
      throw say(`did not end within ${stopLimitMs} ms of SIGTERM`)
    },
  }
}
