import { Option, type Command } from 'commander'
import { apiDefaults, readConfig, type ApiFlags, type RunFlags } from '../config.ts'
import { exitCodes, type CliContext } from './context.ts'
import { createFleetView } from './fleet-view.ts'
import { addApiFlags, addLogLevel, addRunFlags, type LogLevel } from './run-flags.ts'

interface RunOptions extends RunFlags, Omit<ApiFlags, 'listen'> {
  listen?: string
  once?: boolean
  printConfig?: boolean
  logLevel: LogLevel
  logFormat: 'auto' | 'json' | 'table'
}

export function addRun(program: Command, context: CliContext, finish: (code: number) => void): void {
  addLogLevel(
    addApiFlags(
      addRunFlags(
        program
          .command('run')
          .description('Watch a directory of manifests and keep the fleet at what it declares.')
          .argument('<dir>', 'directory of manifests, usually a git checkout'),
      ),
      `${apiDefaults.listen}; with --once: none`,
    ),
  )
    .addOption(
      new Option('--token-file <file>', 'ask for tokens: who may read; see `reflash token`').env(
        'REFLASH_TOKEN_FILE',
      ),
    )
    .option(
      '--once',
      'stop when every policy has converged (exit 0), or when nothing moves without a person (exit 1)',
    )
    .option('--print-config', 'print the effective configuration and stop')
    .addOption(
      new Option('--log-format <format>', 'auto: a live table on a terminal, JSON lines elsewhere')
        .choices(['auto', 'json', 'table'])
        .default('auto')
        .env('REFLASH_LOG_FORMAT'),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  reflash run fleet/ --state /var/lib/reflash/state.db\n  reflash run fleet/ --once    # in a CI job',
    )
    .action(async (directory: string, options: RunOptions) => {
      // What ends by itself is rarely looked at, and may run beside one that lives.
      const listen = options.listen || (options.once ? 'none' : apiDefaults.listen)
      const config = readConfig(directory, { ...options, listen }, context.env)
      if (options.printConfig) {
        context.stdout.write(`${JSON.stringify(config, null, 2)}\n`)
        return
      }
      const live = options.logFormat === 'table' || (options.logFormat === 'auto' && context.stderr.isTTY)
      const { createLogSink, runDirectory } = await import('../app.ts')
      const view = live ? createFleetView(context.stderr) : undefined
      const events =
        view?.events ??
        createLogSink({ level: options.logLevel, write: (line) => context.stderr.write(line) })
      const ending = await runDirectory(config, {
        once: options.once ?? false,
        events,
        signal: context.signal,
        version: program.version() ?? '',
        ...(view ? { onFleet: view.watch } : {}),
      }).finally(() => view?.close())
      if (ending.kind === 'Stuck') for (const reason of ending.reasons) context.stderr.write(`${reason}\n`)
      if (ending.kind === 'Converged') context.stderr.write('every policy has converged\n')
      finish(ending.kind === 'Stuck' ? exitCodes.failure : exitCodes.success)
    })
}
