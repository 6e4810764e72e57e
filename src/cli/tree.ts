import { Option, type Command } from 'commander'
import type { CliContext } from './context.ts'
import {
  addColorFlags,
  addNamespaceFlag,
  addServerFlags,
  type ColorFlags,
  type NamespaceFlags,
  type ServerFlags,
} from './server-flags.ts'

interface TreeFlags extends ServerFlags, NamespaceFlags, ColorFlags {
  output: 'text' | 'json'
}

export function addTree(program: Command, context: CliContext): void {
  const command = program
    .command('tree')
    .description('Show a policy, its models, and the devices that fail.')
    .argument('<policy>', 'NAME or policy/NAME')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'))
    .addHelpText('after', '\nExample:\n  reflash tree policy/stable')
    .action(async (word: string, flags: TreeFlags) => {
      const { useApi } = await import('./api-client.ts')
      const { readPolicyStatus } = await import('./status-client.ts')
      const { renderTree } = await import('./render-tree.ts')
      const { renderJson } = await import('./render-objects.ts')
      const { createPaint } = await import('./paint.ts')
      const { nameOfKind } = await import('./resource-names.ts')
      const name = nameOfKind('UpgradePolicy', word)
      const { namespace } = flags
      const status = await useApi(flags, context, (api) => readPolicyStatus(api, { namespace, name }))
      context.stdout.write(
        flags.output === 'json'
          ? renderJson(status)
          : renderTree(status, createPaint(context.stdout, flags.color, context.env)),
      )
    })
  addColorFlags(addServerFlags(addNamespaceFlag(command)))
}
