import type { Command } from 'commander'
import { tokenScopes } from '../core/api-token.ts'
import type { CliContext } from './context.ts'

interface TokenOptions {
  id?: string
  scope?: string[]
  namespace?: string[]
  expires: string
  file?: string
}

const repeat = (value: string, before: string[] = []): string[] => [...before, value]

export function addToken(program: Command, context: CliContext): void {
  program
    .command('token')
    .description('Make a token for the API. It is printed once; the file keeps only its hash.')
    .option('--id <id>', 'name of the token, for people (default: any)')
    .option(
      '--scope <scope>',
      `what it may read, of ${tokenScopes.join(', ')}; may be given again (default: read)`,
      repeat,
    )
    .option('--namespace <name>', 'only this namespace; may be given again', repeat)
    .option('--expires <duration>', 'how long it is accepted, 90d at most', '30d')
    .option('--file <file>', 'add it to that token file, which is created if need be')
    .addHelpText(
      'after',
      '\nExamples:\n  reflash token --id laptop --file tokens.yaml\n' +
        '  reflash token --id prometheus --scope metrics --expires 90d --file tokens.yaml\n' +
        '  reflash run fleet/ --listen 0.0.0.0:8443 --token-file tokens.yaml --tls-cert c.pem --tls-key k.pem',
    )
    .action(async ({ id, scope = ['read'], namespace, expires, file }: TokenOptions) => {
      const { issueToken } = await import('../app.ts')
      const { token, entry } = await issueToken({
        scopes: scope,
        expires,
        ...(id === undefined ? {} : { id }),
        ...(namespace ? { namespaces: namespace } : {}),
        ...(file === undefined ? {} : { file }),
      })
      context.stdout.write(file === undefined ? `${token}\n${entry}` : `${token}\n`)
    })
}
