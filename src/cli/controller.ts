import type { Command } from 'commander'
import { apiDefaults, readControllerConfig, type ControllerFlags } from '../config.ts'
import { exitCodes, type CliContext } from './context.ts'
import { addApiFlags, addControllerFlags, addLogLevel, type LogLevel } from './run-flags.ts'

interface ControllerOptions extends Omit<ControllerFlags, 'listen'> {
  listen?: string
  printConfig?: boolean
  logLevel: LogLevel
}

export function addController(program: Command, context: CliContext, finish: (code: number) => void): void {
  addLogLevel(
    addApiFlags(
      addControllerFlags(
        program
          .command('controller')
          .description('Keep the fleet at what the custom resources of a Kubernetes cluster declare.'),
      ),
      apiDefaults.listen,
    ),
  )
    .option('--print-config', 'print the effective configuration and stop')
    .addHelpText(
      'after',
      '\nExamples:\n  reflash controller    # in a pod, as manifests/base runs it\n  reflash controller --kubeconfig ~/.kube/config --namespace routers --no-leader-elect',
    )
    .action(async (options: ControllerOptions) => {
      const listen = options.listen || apiDefaults.listen
      const config = readControllerConfig({ ...options, listen }, context.env)
      if (options.printConfig) {
        context.stdout.write(`${JSON.stringify(config, null, 2)}\n`)
        return
      }
      const [{ runController }, { createLogSink }] = await Promise.all([
        import('../cluster.ts'),
        import('../app.ts'),
      ])
      const ending = await runController(config, {
        events: createLogSink({ level: options.logLevel, write: (line) => context.stderr.write(line) }),
        signal: context.signal,
        version: program.version() ?? '',
      })
      // Whoever supervises it starts it again.
      finish(ending === 'Lost' ? exitCodes.failure : exitCodes.success)
    })
}
