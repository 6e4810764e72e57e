import { availableParallelism } from 'node:os'
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'

const shared = {
  jobs: { type: 'string' },
  output: { type: 'string', short: 'o' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsOptionsConfig

export const say = (line: string): void => void process.stdout.write(`${line}\n`)

/**
 * How a tool that does many things at once was called: `--jobs N`, `-o json`, options of its own, and names. After
 * `--help`, or what it does not know, it ends here.
 */
export function readToolCall<Own extends ParseArgsOptionsConfig>(help: string, own: Own) {
  const usage = (message: string): never => {
    process.stderr.write(`${message}\n\n${help}`)
    process.exit(2)
  }
  const parse = () => parseArgs({ allowPositionals: true, options: { ...own, ...shared } })
  const parsed = ((): ReturnType<typeof parse> => {
    try {
      return parse()
    } catch (error) {
      return usage(error instanceof Error ? error.message : String(error))
    }
  })()
  const {
    jobs: said,
    output,
    help: asksHelp,
  } = parsed.values as { jobs?: string; output?: string; help?: boolean }
  if (asksHelp) {
    process.stdout.write(help)
    process.exit(0)
  }
  const jobs = Number(said ?? Math.min(2, availableParallelism()))
  if (!Number.isInteger(jobs) || jobs < 1) usage(`--jobs ${said} is no number of jobs`)
  if (output !== undefined && output !== 'json') usage(`-o ${output}: only json`)
  return { values: parsed.values, jobs, isJson: output === 'json', names: parsed.positionals, usage }
}
