import { Option, type Command } from 'commander'
import { CliError, exitCodes, type CliContext } from './context.ts'
import { createFleetView } from './fleet-view.ts'

interface DemoOptions {
  devices: string
  seed: string
  maxConcurrent: string
  rebootSeconds: string
  listen: string
  output: 'auto' | 'json' | 'table'
  keep?: boolean
}

export function addDemo(program: Command, context: CliContext, finish: (code: number) => void): void {
  program
    .command('demo')
    .description('Upgrade a simulated fleet on this machine: real SSH, real manifests, no router harmed.')
    .option('--devices <n>', 'simulated routers', '20')
    .option('--seed <text>', 'the same seed makes the same fleet', 'demo')
    .option('--max-concurrent <n>', 'upgrades at once', '10')
    .option('--reboot-seconds <n>', 'how long a router is away', '5')
    .option('--listen <addr:port>', 'serve the API there while it runs, or none', 'none')
    .option('--keep', 'leave the manifests and the state in their folder, and say where')
    .addOption(
      new Option('-o, --output <format>', 'auto: a live table on a terminal, else JSON')
        .choices(['auto', 'json', 'table'])
        .default('auto'),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  reflash demo --devices 50\n  reflash demo --devices 200 --listen 127.0.0.1:8080    # and kubectl or `reflash top` beside it',
    )
    .action(async (options: DemoOptions) => {
      const live = options.output === 'table' || (options.output === 'auto' && context.stderr.isTTY)
      const { createLogSink, runDemo } = await import('../app.ts')
      const view = live ? createFleetView(context.stderr) : undefined
      const log = createLogSink({ level: 'info', write: (line) => context.stderr.write(line) })
      const summary = await runDemo({
        devices: count('--devices', options.devices, 2000),
        maxConcurrent: count('--max-concurrent', options.maxConcurrent, 1000),
        rebootMs: 1000 * count('--reboot-seconds', options.rebootSeconds, 3600),
        seed: options.seed,
        listen: options.listen,
        keep: options.keep ?? false,
        events: view?.events ?? log,
        signal: context.signal,
        version: program.version() ?? '',
        env: context.env,
        ...(view ? { onFleet: view.watch } : {}),
      }).finally(() => view?.close())
      const { devices, upgraded, failed, seconds, folder } = summary
      if (folder !== undefined) context.stderr.write(`manifests and state are in ${folder}\n`)
      context.stdout.write(
        live
          ? `${upgraded} of ${devices} routers upgraded in ${seconds} s, ${failed} failed\n`
          : `${JSON.stringify({ devices, upgraded, failed, seconds })}\n`,
      )
      finish(upgraded === devices ? exitCodes.success : exitCodes.failure)
    })
}

function count(flag: string, text: string, max: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= max) return value
  throw new CliError(`${flag} must be a whole number from 1 to ${max}, found "${text}"`, exitCodes.usage)
}
