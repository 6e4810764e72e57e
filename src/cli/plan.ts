import { Option, type Command } from 'commander'
import { readConfig, type RunFlags } from '../config.ts'
import type { Plan } from '../controllers/plan.ts'
import { exitCodes, type CliContext } from './context.ts'
import { renderPlan, type PlanFormat } from './render-plan.ts'
import { addRunFlags } from './run-flags.ts'

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
      new Option('-o, --output <format>', 'how to print')
        .choices(['table', 'json', 'markdown'])
        .default('table'),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  reflash plan fleet/ --state /var/lib/reflash/state.db\n  reflash plan fleet/ --no-probe -o markdown >>"$GITHUB_STEP_SUMMARY"',
    )
    .action(async (directory: string, options: RunFlags & { probe: boolean; output: PlanFormat }) => {
      const config = readConfig(directory, options, context.env)
      const { planDirectory } = await import('../app.ts')
      const { plan, problems } = await planDirectory(config, { probe: options.probe }, context.signal)
      for (const problem of problems) context.stderr.write(`${problem}\n`)
      context.stdout.write(renderPlan(plan, problems, options.output))
      // What a refused file declares is missing from the plan.
      if (problems.length > 0) finish(exitCodes.dataError)
      else finish(changes(plan) > 0 ? exitCodes.failure : exitCodes.success)
    })
}

/** Devices off their target that an upgrade would reach, now or when it is their turn. */
const changes = ({ summary }: Plan): number => summary.upgrade + summary.wait + summary.blocked
