import { exitCodes } from '../../src/cli/context.ts'
import { commandDocs, exitWords, type CommandDocs } from './command-docs.ts'
import { code, table } from './markdown.ts'

const cell = (text: string): string => text.replaceAll(/[<>]/g, '\\$&')
const block = (lines: readonly string[]): string => `\`\`\`sh\n${lines.join('\n')}\n\`\`\``

function section({ name, usage, description, options, examples, ...docs }: CommandDocs): string {
  const parts = [`## ${name}`, cell(description), block([usage])]
  if (docs.arguments.length > 0) {
    const rows = docs.arguments.map(({ term, description: text }) => [code(term), cell(text)])
    parts.push(table(['argument', ''], rows))
  }
  if (options.length > 0) {
    const rows = options.map((option) => [
      code(option.flags),
      cell(option.description),
      option.default === undefined ? '' : code(option.default),
      option.variable === undefined ? '' : code(option.variable),
    ])
    parts.push(table(['flag', '', 'default', 'environment'], rows))
  }
  if (examples.length > 0) parts.push(block(examples))
  return parts.join('\n\n')
}

const exitRows = Object.entries(exitCodes).map(([name, value]) => [
  String(value),
  exitWords[name as keyof typeof exitCodes],
])

/** docs/cli.md, from the commands themselves. */
export const cliPage = `# Commands

Generated from the commands by \`npm run generate\`. \`reflash help COMMAND\` says the same; \`docs/reflash.1\` is the manual page.

A flag wins over its variable in the environment, and that over the default. Data goes to stdout, talk to stderr.

${commandDocs.map(section).join('\n\n')}

## Exit codes

${table(['code', 'meaning'], exitRows)}
`
