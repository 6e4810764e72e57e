import { Option, type Command } from 'commander'
import { readConfig, type RunFlags } from '../config.ts'
import type { Plan } from '../controllers/plan.ts'
import { exitCodes, type CliContext } from './context.ts'
import { addRunFlags } from './run-flags.ts'
import { table } from './table.ts'

export function addPlan(program: Command, context: CliContext, finish: (code: number) => void): void {
  addRunFlags(
    program
      .command('plan')
      .description(
        'Say what `run` would do now, device by device: exit 0 nothing, 1 changes, above 1 an error.',
      )
      .argument('<dir>', 'directory of manifests'),
  )
    .option('--no-probe', 'reach no device; only read what is known')
    .addOption(
      new Option('-o, --output <format>', 'how to print').choices(['table', 'json']).default('table'),
    )
    .addHelpText('after', '\nExample:\n  reflash plan fleet/ --state /var/lib/reflash/state.db')
    .action(async (directory: string, options: RunFlags & { probe: boolean; output: 'table' | 'json' }) => {
      const config = readConfig(directory, options, context.env)
      const { planDirectory } = await import('../app.ts')
      const { plan, problems } = await planDirectory(config, { probe: options.probe }, context.signal)
      for (const problem of problems) context.stderr.write(`${problem}\n`)
      context.stdout.write(options.output === 'json' ? `${JSON.stringify(plan, null, 2)}\n` : asTable(plan))
      // What a refused file declares is missing from the plan.
      if (problems.length > 0) finish(exitCodes.dataError)
      else finish(changes(plan) > 0 ? exitCodes.failure : exitCodes.success)
    })
}

/** Devices off their target that an upgrade would reach, now or when it is their turn. */
const changes = ({ summary }: Plan): number => summary.upgrade + summary.wait + summary.blocked

function asTable({ devices, summary }: Plan): string {
  const rows = devices.map((device) => [
    `${device.namespace}/${device.name}`,
    device.runs ?? '<unknown>',
    device.target ?? '<none>',
    device.action,
    device.reason,
    device.message,
  ])
  const { upgrade, wait, blocked, none } = summary
  const end = `${summary.devices} ${summary.devices === 1 ? 'device' : 'devices'}: ${upgrade} to upgrade, ${wait} waiting, ${blocked} blocked, ${none} with nothing to do\n`
  return `${table(['DEVICE', 'RUNS', 'TARGET', 'ACTION', 'REASON', 'MESSAGE'], rows)}\n${end}`
}
