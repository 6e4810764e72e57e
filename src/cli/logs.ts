import { Option, type Command } from 'commander'
import type { CliContext } from './context.ts'
import type { LogsFlags } from './print-log.ts'
import { addColorFlags, addNamespaceFlag, addServerFlags } from './server-flags.ts'

export function addLogs(program: Command, context: CliContext): void {
  const command = program
    .command('logs')
    .description('Print what happened in an upgrade; times are UTC.')
    .argument('<operation>', 'NAME, operation/NAME, or device/NAME for its latest one')
    .option('-f, --follow', 'go on until the operation has ended')
    .option('--since <duration>', 'only lines of the last while, such as 10m')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'))
    .addHelpText('after', '\nExample:\n  reflash logs device/ap-017 -f')
    .action(async (word: string, flags: LogsFlags) => {
      const { useApi } = await import('./api-client.ts')
      const { printLog } = await import('./print-log.ts')
      const { untilStopped } = await import('./stopped.ts')
      await useApi(flags, context, (api) => untilStopped(printLog(api, word, flags, context), context.signal))
    })
  addColorFlags(addServerFlags(addNamespaceFlag(command)))
}
