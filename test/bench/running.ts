import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { KnownFleet } from './known-fleet.ts'
import { reflash } from './measure.ts'

/** A living `reflash run`. */
export interface Run {
  process: ChildProcess
  readyMs: number
  /** Resolves with the next line of its log that gives this reason. */
  heard(reason: string): Promise<void>
  stop(): Promise<void>
}

/** Starts `reflash run` over a directory; resolves when it has taken the first revision of it. */
export const startRun = async (
  { directory, stateFile }: Pick<KnownFleet, 'directory' | 'stateFile'>,
  ...flags: string[]
): Promise<Run> => {
  const startedMs = performance.now()
  const [program, ...args] = reflash('run', directory, '--state', stateFile, '--log-format', 'json', ...flags)
  const child = spawn(program!, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const log: string[] = []
  const waiting = new Set<() => void>()
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.push(line)
    for (const look of waiting) look()
  })
  let from = 0
  const heard = (reason: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const at = log.findIndex((line, index) => index >= from && line.includes(`"reason":"${reason}"`))
        if (at === -1) return
        from = at + 1
        waiting.delete(look)
        resolve()
      }
      child.once('exit', (code) => reject(new Error(`run ended with ${code}: ${log.slice(-5).join('\n')}`)))
      waiting.add(look)
      look()
    })
  await heard('RevisionTaken')
  const readyMs = performance.now() - startedMs
  return {
    process: child,
    readyMs,
    heard,
    stop: async () => {
      child.removeAllListeners('exit')
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

/** What is measured is not the upgrades that the directory asks for. */
export function pause(directory: string): void {
  const file = join(directory, 'firmware.yaml')
  const documents = readFileSync(file, 'utf8')
    .split('---\n')
    .map((text) => JSON.parse(text) as { kind: string; spec: object })
    .map((written) =>
      written.kind === 'UpgradePolicy' ? { ...written, spec: { ...written.spec, state: 'Pause' } } : written,
    )
  writeFileSync(file, documents.map((written) => `${JSON.stringify(written)}\n`).join('---\n'))
}
