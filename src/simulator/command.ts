import { devicePaths, scripts, uploadScript, type ScriptName } from '../upgraders/openwrt/scripts.ts'
import { applets } from './applets.ts'
import { deviceScripts } from './device-scripts.ts'
import { mayTouch } from './device-lock.ts'
import type { CommandName } from './faults.ts'
import { receive } from './incoming.ts'
import type { Machine } from './machine.ts'
import { tmpRoomBytes } from './probe-output.ts'
import type { CommandResult } from './router.ts'

/** What a command has of the world: its input, and a way for faults to cut its connection. */
export interface Surroundings {
  stdin: AsyncIterable<Uint8Array>
  cut: () => void
}

const isScript = (name: string | undefined): name is ScriptName => name !== undefined && name in scripts

/** Which of the upgrader's commands this is, going by its shape. */
export const nameOf = ([program, option, third, name]: readonly string[]): CommandName | undefined => {
  if (program !== 'sh') return undefined
  if (option === '-s' && third === '--' && isScript(name)) return name
  return option === '-c' && name === 'reflash-upload' ? 'upload' : undefined
}

const refusal = (code: number, stderr: string): CommandResult => ({
  code,
  stdout: '',
  stderr: `sh: ${stderr}\n`,
})
const unknownScript = refusal(2, 'this is not the script that the simulated router knows')

const textOf = async (stdin: AsyncIterable<Uint8Array>): Promise<string | undefined> => {
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of stdin) chunks.push(chunk)
  } catch {
    // The client went away in the middle of it; a shell without all of its script runs nothing of ours.
    return undefined
  }
  return Buffer.concat(chunks).toString()
}

const upload = async (
  machine: Machine,
  sha256: string | undefined,
  surroundings: Surroundings,
): Promise<CommandResult | undefined> => {
  const { state, record } = machine
  state.files.delete(devicePaths.part)
  const received = await receive(machine, surroundings, tmpRoomBytes(machine))
  switch (received.kind) {
    case 'Cut':
      return undefined
    case 'Killed':
      return refusal(137, 'Killed')
    case 'NoSpace':
      return { code: 7, stdout: '', stderr: 'cat: write error: No space left on device\n' }
    case 'Written':
  }
  const { file } = received
  if (!machine.hasSha256sum()) {
    state.files.set(devicePaths.part, file)
    return { code: 0, stdout: `@md5 ${file.md5}\n@end\n`, stderr: '' }
  }
  if (file.sha256 === sha256) {
    if (!mayTouch(machine)) return { code: 8, stdout: `@sha256 ${file.sha256}\n`, stderr: '' }
    state.files.set(devicePaths.image, file)
    record({ type: 'Uploaded', sha256, sizeBytes: file.sizeBytes, bootId: state.bootId })
  }
  return { code: 0, stdout: `@sha256 ${file.sha256}\n@end\n`, stderr: '' }
}

/**
 * Runs a command on a router: the upgrader's own, of which the text has to be the very one that is imitated here, or one
 * of the applets. Undefined: it has no answer to give, for its connection or its router is gone.
 */
export const runCommand = async (
  machine: Machine,
  command: readonly string[],
  surroundings: Surroundings,
): Promise<CommandResult | undefined> => {
  const name = nameOf(command)
  if (name === 'upload')
    return command[2] === uploadScript ? upload(machine, command[4], surroundings) : unknownScript
  if (name !== undefined) {
    const text = await textOf(surroundings.stdin)
    if (text === undefined) return undefined
    return text === scripts[name] ? deviceScripts[name](machine, command.slice(4)) : unknownScript
  }
  const [program = '', ...args] = command
  const applet = applets[program]
  return applet === undefined
    ? refusal(127, `${program}: not found`)
    : applet(args, surroundings.stdin, machine)
}
