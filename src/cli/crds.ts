import type { Command } from 'commander'
import type { CliContext } from './context.ts'

export function addCrds(program: Command, { stdout }: CliContext): void {
  program
    .command('crds')
    .description('Print the CustomResourceDefinitions, for `kubectl apply -f -`.')
    .addHelpText('after', '\nExample:\n  reflash crds | kubectl apply -f -')
    .action(async () => {
      const { customResourceDefinitions } = await import('../app.ts')
      stdout.write(await customResourceDefinitions())
    })
}
