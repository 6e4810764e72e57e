import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import type { GetFlags } from './get-objects.ts'
import { addNamespaceFlag, addServerFlags } from './server-flags.ts'

const formats = 'table, wide, json, yaml, name or jsonpath=TEMPLATE'

export function addGet(program: Command, context: CliContext, finish: (code: number) => void): void {
  const command = program
    .command('get')
    .description('List objects of a running Reflash, with the columns of kubectl.')
    .argument('<kind...>', 'KIND[,KIND] [NAME...] or KIND/NAME...; `reflash` is every kind')
    .option('-o, --output <format>', formats, 'table')
    .option('-w, --watch', 'list, then print each change until stopped')
    .option('-l, --selector <labels>', 'only objects with these labels, such as site=north,role!=core')
    .option('--field-selector <fields>', 'only objects with these fields, such as status.phase=Failed')
    .option('-A, --all-namespaces', 'objects of every namespace')
    .option('--sort-by <path>', 'JSONPath of the field to sort by, such as .status.lastProbeTime')
    .option('--no-headers', 'no line of column names')
    .option('--show-labels', 'a column with the labels')
    .addHelpText(
      'after',
      '\nExamples:\n  reflash get devices\n  reflash get upol,uop -o wide\n  reflash get uop -w --field-selector status.phase=Failed',
    )
    .action(async (words: string[], flags: GetFlags) => {
      const { getObjects } = await import('./get-objects.ts')
      finish(await getObjects(words, flags, context))
    })
  addServerFlags(addNamespaceFlag(command))
}
