import type { Command } from 'commander'
import type { Api } from './api-client.ts'
import { CliError, exitCodes, type CliContext } from './context.ts'
import {
  addColorFlags,
  addNamespaceFlag,
  addServerFlags,
  type ColorFlags,
  type NamespaceFlags,
  type ServerFlags,
} from './server-flags.ts'

export function addDescribe(program: Command, context: CliContext): void {
  const command = program
    .command('describe')
    .description('Print all that is known of an object: fields, conditions, phases, events.')
    .argument('<object...>', 'KIND NAME... or KIND/NAME...')
    .addHelpText('after', '\nExamples:\n  reflash describe device ap-017\n  reflash describe policy/stable')
    .action(async (words: string[], flags: ServerFlags & NamespaceFlags & ColorFlags) => {
      const { useApi } = await import('./api-client.ts')
      const { describeObject } = await import('./describe-object.ts')
      const { renderDescribe } = await import('./render-describe.ts')
      const { createPaint } = await import('./paint.ts')
      const { readTargets } = await import('./resource-names.ts')
      const targets = readTargets(words)
      if (targets.some(({ name }) => name === undefined)) {
        throw new CliError('name the object: KIND NAME or KIND/NAME', exitCodes.usage)
      }
      const paint = createPaint(context.stdout, flags.color, context.env)
      const describeAll = async (api: Api): Promise<void> => {
        for (const [at, target] of targets.entries()) {
          const described = await describeObject(api, target, flags.namespace)
          if (at > 0) context.stdout.write('\n\n')
          context.stdout.write(renderDescribe(described, { paint, nowMs: context.clock.now() }))
        }
      }
      await useApi(flags, context, describeAll, { warns: true })
    })
  addColorFlags(addServerFlags(addNamespaceFlag(command)))
}
