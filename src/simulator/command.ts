import { applets } from './applets.ts'
import type { CommandName } from './faults.ts'
import type { Machine } from './machine.ts'
import type { CommandResult } from './router.ts'

/** What a command has of the world: its input, and a way for faults to cut its connection. */
export interface Surroundings {
  stdin: AsyncIterable<Uint8Array>
  cut: () => void
}

export const nameOf = (_command: readonly string[]): CommandName | undefined => undefined

/** Runs a command on a router. Undefined: it has no answer to give, for its connection is gone. */
export const runCommand = async (
  machine: Machine,
  command: readonly string[],
  surroundings: Surroundings,
): Promise<CommandResult | undefined> => {
  const [program = '', ...args] = command
  const applet = applets[program]
  if (applet === undefined) return { code: 127, stdout: '', stderr: `sh: ${program}: not found\n` }
  return applet(args, surroundings.stdin, machine)
}
