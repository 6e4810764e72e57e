import { Option, type Command } from 'commander'

/** What every command that reads from a running API takes. */
export interface ServerFlags {
  server: string
  tokenFile?: string
  caFile?: string
  timeout: string
}

export interface NamespaceFlags {
  namespace: string
}

export interface ColorFlags {
  /** `false` is `--no-color`. */
  color: 'auto' | 'always' | 'never' | false
}

/** Adds the flags of `ServerFlags`; what `--timeout` bounds is said by the command. */
export function addServerFlags(command: Command, timeout = { default: '30s', of: 'one request' }): Command {
  return command
    .addOption(
      new Option('-s, --server <url>', 'where Reflash answers')
        .default('http://127.0.0.1:8080')
        .env('REFLASH_SERVER'),
    )
    .addOption(
      new Option('--token-file <file>', 'file that holds one token, owner-only').env('REFLASH_TOKEN_FILE'),
    )
    .addOption(
      new Option('--ca-file <file>', 'certificates to trust besides those of Node').env('REFLASH_CA_FILE'),
    )
    .option('--timeout <duration>', `longest wait for ${timeout.of}`, timeout.default)
}

/** Adds the flags of `ColorFlags`. */
export function addColorFlags(command: Command): Command {
  return command
    .addOption(
      new Option('--color <when>', 'colour and bold type')
        .choices(['auto', 'always', 'never'])
        .default('auto'),
    )
    .option('--no-color', 'the same as --color never')
}

/** Adds the flag of `NamespaceFlags`. */
export const addNamespaceFlag = (command: Command): Command =>
  command.addOption(
    new Option('-n, --namespace <name>', 'namespace to read').default('default').env('REFLASH_NAMESPACE'),
  )
