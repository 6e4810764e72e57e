import { Command, CommanderError } from 'commander'
import { ConfigError } from '../config.ts'
import { messageOf, ReflashError } from '../core/errors.ts'
import { CliError, exitCodes, type CliContext } from './context.ts'
import { addCompletion, complete } from './completion.ts'
import { addController } from './controller.ts'
import { addCrds } from './crds.ts'
import { addDemo } from './demo.ts'
import { addDescribe } from './describe.ts'
import { addEvents } from './events.ts'
import { addGet } from './get.ts'
import { addLogs } from './logs.ts'
import { addPlan } from './plan.ts'
import { addRun } from './run.ts'
import { addToken } from './token.ts'
import { addTop } from './top.ts'
import { addTree } from './tree.ts'
import { addValidate } from './validate.ts'
import { addWait } from './wait.ts'
import { addWhy } from './why.ts'

/** All commands; `finish` hears the exit code of the one that runs. */
export function createProgram(version: string, context: CliContext, finish: (code: number) => void): Command {
  const program = new Command('reflash')
    .description('Makes every router in a fleet run the firmware that its operator committed to git.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride()
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      '\nExamples:\n  reflash demo\n  reflash validate fleet/\n  reflash plan fleet/\n  reflash run fleet/',
    )
  for (const add of [
    addRun,
    addController,
    addPlan,
    addValidate,
    addCrds,
    addDemo,
    addGet,
    addWhy,
    addTree,
    addTop,
    addDescribe,
    addEvents,
    addLogs,
    addWait,
    addToken,
    addCompletion,
  ])
    add(program, context, finish)
  return program
}

/** Runs one command line and returns its exit code; nothing is thrown, and nothing but the streams is touched. */
export async function runCli(argv: readonly string[], version: string, context: CliContext): Promise<number> {
  let exitCode = 0
  const program = createProgram(version, context, (code) => {
    exitCode = code
  })
  try {
    if (argv[0] === 'complete') {
      await complete(program, argv.slice(2), context)
      return exitCode
    }
    await program.parseAsync(argv.map(attachOutput), { from: 'user' })
    return exitCode
  } catch (error) {
    return failed(error, context)
  }
}

/** kubectl takes `-o=json` as well. */
const attachOutput = (argument: string): string =>
  argument.startsWith('-o=') ? `-o${argument.slice(3)}` : argument

const codeOf: Partial<Record<ReflashError['code'], number>> = {
  StateLocked: exitCodes.locked,
  StateFull: exitCodes.stateError,
  StateUnusable: exitCodes.stateError,
  StateCorrupt: exitCodes.stateError,
}

function failed(error: unknown, { stderr, signal }: CliContext): number {
  if (signal.aborted && error === signal.reason) return exitCodes.interrupted
  // Commander has said what is wrong, or has printed the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage
  if (error instanceof ConfigError) {
    for (const problem of error.problems) stderr.write(`error: ${problem}\n`)
    return exitCodes.usage
  }
  if (error instanceof CliError) {
    stderr.write(`error: ${error.message}\n`)
    return error.exitCode
  }
  if (error instanceof ReflashError) {
    stderr.write(`error: ${error.code}: ${messageOf(error)}\n`)
    return codeOf[error.code] ?? exitCodes.usage
  }
  stderr.write(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  return 70
}
