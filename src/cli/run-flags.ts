import { Option, type Command } from 'commander'
import { apiDefaults, defaults } from '../config.ts'

const repeat = (value: string, before: string[] = []): string[] => [...before, value]

const flag = (flags: string, description: string, variable: string): Option =>
  new Option(flags, description).env(`REFLASH_${variable}`)

/** The flags that `run` and `plan` share, each with its variable in the environment. */
export function addRunFlags(command: Command): Command {
  return command
    .addOption(
      flag('--state <file>', 'state file (default: below $XDG_STATE_HOME, one for each directory)', 'STATE'),
    )
    .addOption(
      flag('--secrets <dir>', 'Secrets as <name>/<key> files, besides those in the directory', 'SECRETS'),
    )
    .addOption(flag('--images <dir>', 'image files, besides those beside the manifests', 'IMAGES'))
    .addOption(
      flag(
        '--cache <dir>',
        'where checked images are kept; one process each (default: beside the state file)',
        'CACHE',
      ),
    )
    .addOption(
      flag('--max-image-size <size>', 'largest image', 'MAX_IMAGE_SIZE').default(defaults.maxImageSize),
    )
    .addOption(
      flag(
        '--upgrader <file>',
        'module with an upgrader of your own; may be given again',
        'UPGRADER',
      ).argParser(repeat),
    )
    .addOption(
      flag(
        '--max-in-flight <n>',
        'governor: upgrades at once, whatever the manifests say',
        'MAX_IN_FLIGHT',
      ).default(defaults.maxInFlight),
    )
    .addOption(
      flag(
        '--max-starts-per-minute <n>',
        'governor: flashes started in a minute',
        'MAX_STARTS_PER_MINUTE',
      ).default(defaults.maxStartsPerMinute),
    )
    .addOption(
      flag(
        '--max-lost-per-day <n>',
        'governor: devices lost in a day before all starts stop',
        'MAX_LOST_PER_DAY',
      ).default(defaults.maxLostPerDay),
    )
    .addOption(
      flag(
        '--acknowledge-lost <date>',
        'allow starts again after the losses of that day',
        'ACKNOWLEDGE_LOST',
      ),
    )
    .addOption(
      flag('--probe-interval <duration>', 'between two looks at a device', 'PROBE_INTERVAL').default(
        defaults.probeInterval,
      ),
    )
}

/** How `run` serves its API. */
export function addApiFlags(command: Command): Command {
  return command
    .addOption(
      flag(
        '--listen <addr:port>',
        `serve the API there, or none (default: ${apiDefaults.listen}; with --once: none)`,
        'LISTEN',
      ),
    )
    .addOption(
      flag(
        '--tls-cert <file>',
        'certificate chain of the API as PEM; read again when it changes',
        'TLS_CERT',
      ),
    )
    .addOption(flag('--tls-key <file>', 'its private key as PEM', 'TLS_KEY'))
    .addOption(flag('--token-file <file>', 'ask for tokens: who may read; see `reflash token`', 'TOKEN_FILE'))
    .addOption(
      flag('--max-connections <n>', 'connections to the API at once', 'MAX_CONNECTIONS').default(
        apiDefaults.maxConnections,
      ),
    )
    .addOption(
      flag('--max-watches <n>', 'watches at once, and as many followed logs', 'MAX_WATCHES').default(
        apiDefaults.maxWatches,
      ),
    )
    .addOption(
      flag(
        '--max-watches-per-token <n>',
        'watches at once with one token, and as many followed logs',
        'MAX_WATCHES_PER_TOKEN',
      ).default(apiDefaults.maxWatchesPerToken),
    )
    .option('--metrics-per-device', 'at /metrics, name each device with what it runs and when it was seen')
}
