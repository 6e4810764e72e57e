import { readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { Argument, type Command, type Option } from 'commander'
import type { CliContext } from './context.ts'

/** As many as a shell can show; the rest comes with another letter. */
const maxEntries = 1000

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('Print the script that completes commands, flags, kinds and names in a shell.')
    .addArgument(new Argument('<shell>', 'shell to print it for').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      '\nExamples:\n  source <(reflash completion bash)    # needs the package bash-completion' +
        '\n  reflash completion zsh >"${fpath[1]}/_reflash"' +
        '\n  reflash completion fish >~/.config/fish/completions/reflash.fish',
    )
    .action(async (shell: string) => {
      const { script } = await import('@bomb.sh/tab')
      script(shell, program.name(), program.name())
    })
}

/**
 * Answers the script of a shell: what may follow `words`, of which the last is the one that is being written. Names come
 * from a running Reflash when one answers at once.
 */
export async function complete(
  program: Command,
  words: readonly string[],
  context: CliContext,
): Promise<void> {
  const { default: describe } = await import('@bomb.sh/tab/commander')
  const word = words.at(-1) ?? ''
  const command = program.commands.find((item) => item.name() === words[0])
  const values = command ? await valuesOf(command, words.slice(1, -1), { word, context }) : new Map()
  const completions = describe(program, { completionCommandName: 'completion-script' })
  completions.commands.delete('completion-script')
  const described = command && completions.commands.get(command.name())
  if (command && described) {
    const handle = (kind: string) => (add: (value: string, description: string) => void) => {
      for (const value of values.get(kind) ?? []) add(value, '')
    }
    for (const argument of described.arguments.values()) argument.handler ??= handle(argument.name)
    for (const { long, argChoices, ...option } of command.options) {
      const placeholder = placeholderOf(option.flags)
      const target = described.options.get(long?.slice(2) ?? '')
      if (target && placeholder !== undefined && !argChoices) target.handler = handle(placeholder)
    }
  }
  completions.parse([...words])
}

/** `--state <file>` takes a `file`. */
const placeholderOf = (flags: string): string | undefined => /[<[](\w+)/.exec(flags)?.[1]

interface Place {
  word: string
  context: CliContext
}

/** What may stand in this place, for each kind of value that a flag or an argument can take. */
async function valuesOf(
  command: Command,
  before: readonly string[],
  place: Place,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const values = new Map<string, readonly string[]>()
  const typed = place.word.replace(/^--?[\w-]+=/, '')
  values.set('dir', entriesOf(typed, false))
  values.set('file', entriesOf(typed, true))
  values.set('format', ['table', 'wide', 'json', 'yaml', 'name'])
  const last = before.at(-1)
  const pending = command.options.find(
    ({ required, short, long }) => required && last !== undefined && (last === short || last === long),
  )
  const given = readGiven(command, pending ? before.slice(0, -1) : before, place.context)
  const argument = pending ? placeholderOf(pending.flags) : nextArgument(command, given.operands.length)
  if (argument !== undefined && !values.has(argument) && (pending || !place.word.startsWith('-'))) {
    const { objectWords } = await import('./completion-names.ts')
    values.set(argument, await objectWords({ ...given, argument, typed }, place.context))
  }
  return values
}

const nextArgument = ({ registeredArguments }: Command, index: number): string | undefined => {
  const argument = registeredArguments[index] ?? registeredArguments.at(-1)
  return argument && (index < registeredArguments.length || argument.variadic) ? argument.name() : undefined
}

/** The operands and flags so far; of a line that will be refused anyway, the defaults. */
function readGiven(
  command: Command,
  before: readonly string[],
  { env }: CliContext,
): { operands: string[]; flags: Record<string, unknown> } {
  const operands: string[] = []
  command.configureOutput({ outputError: () => {} })
  try {
    operands.push(...command.parseOptions([...before]).operands)
  } catch {
    // Who writes the line will be told when it is run.
  }
  const flags = command.options.map((option) => [option.attributeName(), flagValue(option, command, env)])
  return { operands, flags: Object.fromEntries(flags) as Record<string, unknown> }
}

function flagValue(option: Option, command: Command, env: CliContext['env']): unknown {
  const name = option.attributeName()
  const isGiven = command.getOptionValueSource(name) === 'cli'
  const variable = option.envVar === undefined ? undefined : env[option.envVar]
  return isGiven ? command.getOptionValue(name) : (variable ?? command.getOptionValue(name))
}

/** Names beside what has been typed, as far as a shell needs no quotes for them. */
function entriesOf(typed: string, files: boolean): string[] {
  const folder = typed.endsWith('/') ? typed : typed.includes('/') ? `${dirname(typed)}/` : ''
  try {
    return readdirSync(folder === '' ? '.' : folder, { withFileTypes: true })
      .filter((entry) => (files || entry.isDirectory()) && /^\w[\w.@%+,-]*$/.test(entry.name))
      .slice(0, maxEntries)
      .map((entry) => folder.replace(/^\/\/$/, '/') + entry.name)
  } catch {
    return []
  }
}
