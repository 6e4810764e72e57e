import type { Command } from 'commander'
import { CliError, exitCodes, type CliContext } from './context.ts'
import type { GetFlags } from './get-objects.ts'
import { addNamespaceFlag, addServerFlags } from './server-flags.ts'

interface EventsFlags extends GetFlags {
  for?: string
}

export function addEvents(program: Command, context: CliContext, finish: (code: number) => void): void {
  const command = program
    .command('events')
    .description('Print what happened lately, the latest last.')
    .option('--for <object>', 'only about this KIND/NAME')
    .option('-A, --all-namespaces', 'events of every namespace')
    .option('-w, --watch', 'then print each as it comes, until stopped')
    .option('-o, --output <format>', 'table, wide, json, yaml, name or jsonpath=TEMPLATE', 'table')
    .option('--no-headers', 'no line of column names')
    .addHelpText('after', '\nExample:\n  reflash events --for device/ap-017')
    .action(async (flags: EventsFlags) => {
      const { getObjects } = await import('./get-objects.ts')
      const { readTargets } = await import('./resource-names.ts')
      const about = flags.for === undefined ? undefined : readTargets([flags.for])[0]!
      if (about && about.name === undefined) throw new CliError('--for must be KIND/NAME', exitCodes.usage)
      const fields = about && {
        fieldSelector: `involvedObject.kind=${about.resource.kind},involvedObject.name=${about.name!}`,
      }
      finish(await getObjects(['events'], { ...flags, ...fields, sortBy: '.lastTimestamp' }, context))
    })
  addServerFlags(addNamespaceFlag(command))
}
