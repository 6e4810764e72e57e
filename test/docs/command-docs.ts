import { readFileSync } from 'node:fs'
import type { Argument, Command, Option } from 'commander'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import type { exitCodes } from '../../src/cli/context.ts'
import { createProgram } from '../../src/cli/program.ts'

/** A command as its pages describe it. */
export interface CommandDocs {
  /** `reflash get`; the program itself is `reflash`. */
  name: string
  usage: string
  description: string
  arguments: { term: string; description: string }[]
  options: OptionDocs[]
  examples: string[]
}

interface OptionDocs {
  flags: string
  /** With its choices. */
  description: string
  default?: string
  variable?: string
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}
export { version }

let written = ''
const paper = {
  write: (text: string) => void (written += text),
  isTTY: false,
  columns: undefined,
  rows: undefined,
}
const program = createProgram(
  version,
  {
    stdout: paper,
    stderr: paper,
    env: {},
    signal: new AbortController().signal,
    clock: createManualClock(),
  },
  () => {},
)

function docsOf(command: Command): CommandDocs {
  const name = command === program ? 'reflash' : `reflash ${command.name()}`
  const help = command.createHelp()
  return {
    name,
    usage: `${name} ${command.usage()}`,
    description: command.description(),
    arguments: command.registeredArguments.map(argumentDocs),
    options: help
      .visibleOptions(command)
      .filter(({ long }) => long !== '--help')
      .map(optionDocs),
    examples: examplesOf(command),
  }
}

const argumentDocs = (argument: Argument) => ({
  term: argument.variadic ? `${argument.name()}...` : argument.name(),
  description: withChoices(argument.description, argument.argChoices),
})

const optionDocs = (option: Option): OptionDocs => ({
  flags: option.flags,
  description: withChoices(option.description, option.argChoices),
  ...(hasDefault(option) ? { default: String(option.defaultValue) } : {}),
  ...(option.envVar === undefined ? {} : { variable: option.envVar }),
})

/** A `--no-` flag has one that goes without saying. */
const hasDefault = ({ defaultValue, negate }: Option): boolean => defaultValue !== undefined && !negate

const withChoices = (text: string, choices: readonly string[] | undefined): string =>
  choices ? `${text}: ${choices.join(', ')}` : text

/** What the help says at its end, as lines to type. */
function examplesOf(command: Command): string[] {
  written = ''
  command.outputHelp()
  const [, end = ''] = written.split(/^Examples?:$/m)
  return end
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

/** One walk over the commands, in the order of the help; the program itself comes first. */
export const commandDocs: readonly CommandDocs[] = [program, ...program.commands].map(docsOf)

/** Exit codes in words; each command says more of its own. */
export const exitWords: Readonly<Record<keyof typeof exitCodes, string>> = {
  success: 'It has done what it was asked for.',
  failure:
    'It has not: an object is not valid or not there, `plan` sees changes, `run --once` is stuck, `why` finds the device blocked.',
  usage: 'The call is wrong, or the server cannot be reached or refuses.',
  dataError: '`plan` has left out files that it had to refuse.',
  stateError: 'The state file cannot be used.',
  locked: 'Another process uses the state file.',
  timeout: '`wait` has waited long enough.',
  interrupted: 'It was stopped by a signal.',
}
