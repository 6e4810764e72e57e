import { appendFile } from 'node:fs/promises'
import { Option, type Command } from 'commander'
import { messageOf } from '../core/errors.ts'
import { exitCodes, type CliContext } from './context.ts'
import { createReport, jsonReport, summaryOf, type Report } from './report.ts'
import { githubReport, githubSummary, inert } from './report-github.ts'
import { junitReport } from './report-junit.ts'
import { sarifReport } from './report-sarif.ts'

interface ValidateOptions {
  images?: string
  secrets?: string
  output: 'text' | 'json' | 'sarif' | 'junit' | 'github'
}

export function addValidate(program: Command, context: CliContext, finish: (code: number) => void): void {
  program
    .command('validate')
    .description('Check a directory of manifests: exit 0 valid, 1 not, 2 wrong call.')
    .argument('<dir>', 'directory of manifests')
    .option('--images <dir>', 'image files, besides those beside the manifests')
    .option('--secrets <dir>', 'Secrets as <name>/<key> files, besides those in the directory')
    .addOption(
      new Option('-o, --output <format>', 'how to print')
        .choices(['text', 'json', 'sarif', 'junit', 'github'])
        .default('text'),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  reflash validate fleet/\n  reflash validate fleet/ -o sarif >reflash.sarif',
    )
    .action(async (directory: string, options: ValidateOptions) => {
      const { validateDirectory } = await import('../app.ts')
      const validation = await validateDirectory(directory, options, context.signal)
      const report = createReport(validation, directory, context.env['GITHUB_WORKSPACE'])
      const { stdout, stderr, env } = context
      const onGithub = env['GITHUB_ACTIONS'] === 'true'
      if (options.output === 'json') stdout.write(jsonReport(report))
      else if (options.output === 'sarif') stdout.write(sarifReport(report, program.version() ?? ''))
      else if (options.output === 'junit') stdout.write(junitReport(report, directory))
      else {
        if (options.output === 'text') {
          for (const { text } of report.problems) stdout.write(`${onGithub ? inert(text) : text}\n`)
        }
        if (options.output === 'github' || onGithub) {
          stdout.write(githubReport(report))
          await writeSummary(report, context)
        }
        stderr.write(`${summaryOf(report)}\n`)
      }
      finish(report.errors.length > 0 ? exitCodes.failure : exitCodes.success)
    })
}

/** The page is an extra: without it the check has been done all the same. */
async function writeSummary(report: Report, { env, stderr }: CliContext): Promise<void> {
  const file = env['GITHUB_STEP_SUMMARY']
  if (file === undefined || file === '') return
  try {
    await appendFile(file, githubSummary(report))
  } catch (error) {
    stderr.write(`warning: the step summary cannot be written: ${messageOf(error)}\n`)
  }
}
