import { Option, type Command } from 'commander'
import { exitCodes, type CliContext } from './context.ts'

export function addValidate(program: Command, context: CliContext, finish: (code: number) => void): void {
  program
    .command('validate')
    .description('Check a directory of manifests: exit 0 valid, 1 not, 2 wrong call.')
    .argument('<dir>', 'directory of manifests')
    .option('--images <dir>', 'image files, besides those beside the manifests')
    .option('--secrets <dir>', 'Secrets as <name>/<key> files, besides those in the directory')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'))
    .addHelpText('after', '\nExample:\n  reflash validate fleet/')
    .action(
      async (directory: string, options: { images?: string; secrets?: string; output: 'text' | 'json' }) => {
        const { validateDirectory } = await import('../app.ts')
        const { objects, skipped, problems } = await validateDirectory(directory, options, context.signal)
        const errors = problems.filter(({ severity }) => severity === 'error').length
        if (options.output === 'json') {
          context.stdout.write(
            `${JSON.stringify({ valid: errors === 0, objects, skipped, problems }, null, 2)}\n`,
          )
        } else {
          for (const problem of problems) context.stdout.write(`${problem.text}\n`)
          const warnings = problems.length - errors
          context.stderr.write(
            `${some(objects, 'object')}, ${some(errors, 'error')}, ${some(warnings, 'warning')}${skipped > 0 ? `, ${some(skipped, 'other document')} skipped` : ''}\n`,
          )
        }
        finish(errors > 0 ? exitCodes.failure : exitCodes.success)
      },
    )
}

const some = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
