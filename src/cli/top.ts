import { Option, type Command } from 'commander'
import type { CliContext } from './context.ts'
import { addColorFlags, addServerFlags, type ColorFlags, type ServerFlags } from './server-flags.ts'

interface TopFlags extends ServerFlags, ColorFlags {
  output: 'auto' | 'text' | 'json'
}

export function addTop(program: Command, context: CliContext): void {
  const command = program
    .command('top')
    .description('Show the whole fleet: live on a terminal, else once.')
    .addOption(
      new Option('-o, --output <format>', 'auto: live on a terminal, else text')
        .choices(['auto', 'text', 'json'])
        .default('auto'),
    )
    .addHelpText('after', '\nExample:\n  reflash top')
    .action(async (flags: TopFlags) => {
      const { useApi } = await import('./api-client.ts')
      const { readTop, showLive } = await import('./live-fleet.ts')
      const { renderTop } = await import('./render-top.ts')
      const { renderJson } = await import('./render-objects.ts')
      const { createPaint } = await import('./paint.ts')
      const { untilStopped } = await import('./stopped.ts')
      const paint = createPaint(context.stdout, flags.color, context.env)
      await useApi(flags, context, async (api) => {
        if (flags.output === 'auto' && context.stdout.isTTY) {
          await untilStopped(showLive(api, context, paint), context.signal)
          return
        }
        const view = await readTop(api, context.clock)
        context.stdout.write(
          flags.output === 'json' ? renderJson(view.status) : `${renderTop(view, paint).join('\n')}\n`,
        )
      })
    })
  addColorFlags(addServerFlags(command))
}
