import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { addNamespaceFlag, addServerFlags } from './server-flags.ts'
import type { WaitFlags } from './wait-objects.ts'

export function addWait(program: Command, context: CliContext, finish: (code: number) => void): void {
  const command = program
    .command('wait')
    .description('Wait for objects: exit 0 met, 1 never will be, 2 error, 124 timeout.')
    .argument('<object...>', 'KIND/NAME... or KIND NAME..., or KIND with --all or -l')
    .requiredOption('--for <goal>', 'condition=NAME[=STATUS], jsonpath={PATH}[=VALUE] or delete')
    .option('--all', 'all objects of the kind')
    .option('-l, --selector <labels>', 'all objects with these labels')
    .addHelpText('after', '\nExample:\n  reflash wait policy/stable --for condition=Converged --timeout 4h')
    .action(async (words: string[], flags: WaitFlags) => {
      const { waitForObjects } = await import('./wait-objects.ts')
      finish(await waitForObjects(words, flags, context))
    })
  addServerFlags(addNamespaceFlag(command), { default: '30s', of: 'the goal' })
}
