import { Option, type Command } from 'commander'
import { exitCodes, type CliContext } from './context.ts'
import {
  addColorFlags,
  addNamespaceFlag,
  addServerFlags,
  type ColorFlags,
  type NamespaceFlags,
  type ServerFlags,
} from './server-flags.ts'

interface WhyFlags extends ServerFlags, NamespaceFlags, ColorFlags {
  output: 'text' | 'json'
}

export function addWhy(program: Command, context: CliContext, finish: (code: number) => void): void {
  const command = program
    .command('why')
    .description('Say why a device is not upgraded now: exit 0 nothing blocks it, 1 something does.')
    .argument('<device>', 'NAME or device/NAME')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'))
    .addHelpText('after', '\nExample:\n  reflash why ap-017')
    .action(async (word: string, flags: WhyFlags) => {
      const { useApi } = await import('./api-client.ts')
      const { readDeviceStatus } = await import('./status-client.ts')
      const { isBlocked, renderWhy } = await import('./render-why.ts')
      const { renderJson } = await import('./render-objects.ts')
      const { createPaint } = await import('./paint.ts')
      const { nameOfKind } = await import('./resource-names.ts')
      const name = nameOfKind('Device', word)
      const { namespace } = flags
      const status = await useApi(flags, context, (api) => readDeviceStatus(api, { namespace, name }))
      const paint = createPaint(context.stdout, flags.color, context.env)
      context.stdout.write(
        flags.output === 'json'
          ? renderJson(status)
          : renderWhy(status, { paint, nowMs: context.clock.now() }),
      )
      finish(isBlocked(status) ? exitCodes.failure : exitCodes.success)
    })
  addColorFlags(addServerFlags(addNamespaceFlag(command)))
}
