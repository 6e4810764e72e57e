import { exitCodes } from '../../src/cli/context.ts'
import { commandDocs, exitWords, version, type CommandDocs } from './command-docs.ts'

/** Text in which nothing is a request of roff: no backslash, and no dot or quote that begins a line. */
const plain = (text: string): string =>
  text
    .replaceAll('\\', '\\(rs')
    .replaceAll('`', '')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('"', '\\(dq')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll(/^\./gm, '\\&.')
const bold = (text: string): string => `\\fB${plain(text)}\\fR`

const item = (term: string, text: string): string[] => ['.TP', bold(term), plain(text)]
const examples = (lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : ['.PP', 'Examples:', '.PP', '.nf', '.RS 4', ...lines.map(plain), '.RE', '.fi']

function commandLines(docs: CommandDocs): string[] {
  return [
    `.SS ${bold(docs.usage)}`,
    plain(docs.description),
    ...docs.arguments.flatMap(({ term, description }) => item(term, description)),
    ...docs.options.flatMap(({ flags, description, ...option }) => {
      const more = [
        ...(option.default === undefined ? [] : [`default ${option.default}`]),
        ...(option.variable === undefined ? [] : [`environment ${option.variable}`]),
      ]
      return item(flags, more.length === 0 ? description : `${description} (${more.join('; ')})`)
    }),
    ...examples(docs.examples),
  ]
}

const [program, ...commands] = commandDocs

/** docs/reflash.1, from the commands themselves. */
export const manPage = `${[
  '.\\" Generated from the commands by "npm run generate".',
  `.TH REFLASH 1 "" "reflash ${version}" "User Commands"`,
  '.SH NAME',
  'reflash \\- keep OpenWrt routers at the firmware that is committed to git',
  '.SH SYNOPSIS',
  `${bold('reflash')} ${plain('COMMAND [ARGUMENT...] [FLAG...]')}`,
  '.SH DESCRIPTION',
  plain(program!.description),
  'A flag wins over its variable in the environment, and that over the default.',
  'Data goes to standard output, talk to standard error.',
  ...program!.options.flatMap(({ flags, description }) => item(flags, description)),
  ...examples(program!.examples),
  '.SH COMMANDS',
  ...commands.flatMap(commandLines),
  '.SH EXIT STATUS',
  ...Object.entries(exitCodes).flatMap(([name, value]) =>
    item(String(value), exitWords[name as keyof typeof exitCodes]),
  ),
].join('\n')}
`
