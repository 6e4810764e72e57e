import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Child {
  process: ChildProcess
  /** The next line of its stdout; undefined when there is none any more. */
  line(): Promise<string | undefined>
  /** Every line that is left, until it ends. */
  rest(): Promise<string[]>
  kill(): Promise<void>
}

/** Starts a TypeScript file of `test/support` on this Node.js, perhaps under another program. */
export const startChild = (
  file: string,
  args: readonly string[],
  { under = [] }: { under?: readonly string[] } = {},
): Child => {
  const [program, ...rest] = [
    ...under,
    process.execPath,
    fileURLToPath(new URL(file, import.meta.url)),
    ...args,
  ]
  // A group of its own, so that both programs can be killed.
  const child = spawn(program!, rest, { detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<void>((resolve) => void child.once('close', () => resolve()))
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const line = async (): Promise<string | undefined> => {
    const { done, value } = await lines.next()
    return done ? undefined : value
  }
  return {
    process: child,
    line,
    rest: async () => {
      const found: string[] = []
      for (let next = await line(); next !== undefined; next = await line()) found.push(next)
      return found
    },
    kill: async () => {
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL')
      await ended
    },
  }
}
