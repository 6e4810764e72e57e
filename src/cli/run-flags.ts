import { Option, type Command } from 'commander'
import { apiDefaults, defaults } from '../config.ts'

const repeat = (value: string, before: string[] = []): string[] => [...before, value]

const flag = (flags: string, description: string, variable: string): Option =>
  new Option(flags, description).env(`REFLASH_${variable}`)

/** The flags that `run` and `plan` share, each with its variable in the environment. */
export function addRunFlags(command: Command): Command {
  return addCommonFlags(
    command
      .addOption(
        flag(
          '--state <file>',
          'state file (default: below $XDG_STATE_HOME, one for each directory)',
          'STATE',
        ),
      )
      .addOption(
        flag('--secrets <dir>', 'Secrets as <name>/<key> files, besides those in the directory', 'SECRETS'),
      ),
    { images: 'image files, besides those beside the manifests', cache: 'beside the state file' },
  )
}

/** The flags of `controller` that say where it works. */
export function addControllerFlags(command: Command): Command {
  return addCommonFlags(
    command
      .addOption(
        flag(
          '--kubeconfig <file>',
          'how to reach the cluster (default: as a pod in it, else $KUBECONFIG or ~/.kube/config)',
          'KUBECONFIG',
        ),
      )
      .addOption(flag('--context <name>', 'of the kubeconfig, instead of its current one', 'CONTEXT'))
      .addOption(
        flag(
          '--namespace <names>',
          'work with the objects of these alone; may be given again, or several with commas (default: all)',
          'NAMESPACE',
        ).argParser(repeat),
      )
      .addOption(
        flag(
          '--controller-namespace <name>',
          'where its lease, its records and the halt annotation are (default: where it runs)',
          'CONTROLLER_NAMESPACE',
        ),
      )
      .addOption(
        flag('--leader-elect', 'work only while leading, beside other replicas (default)', 'LEADER_ELECT'),
      )
      .option('--no-leader-elect', 'work at once: for a single replica'),
    { images: 'image files, such as a mounted volume', cache: 'below $XDG_CACHE_HOME' },
  )
}

function addCommonFlags(command: Command, words: { images: string; cache: string }): Command {
  return command
    .addOption(flag('--images <dir>', words.images, 'IMAGES'))
    .addOption(
      flag(
        '--cache <dir>',
        `where checked images are kept; one process each (default: ${words.cache})`,
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

/** How the API is served. */
export function addApiFlags(command: Command, listenDefault: string): Command {
  return command
    .addOption(
      flag('--listen <addr:port>', `serve the API there, or none (default: ${listenDefault})`, 'LISTEN'),
    )
    .addOption(
      flag(
        '--tls-cert <file>',
        'certificate chain of the API as PEM; read again when it changes',
        'TLS_CERT',
      ),
    )
    .addOption(flag('--tls-key <file>', 'its private key as PEM', 'TLS_KEY'))
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

const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

export const addLogLevel = (command: Command): Command =>
  command.addOption(
    flag('--log-level <level>', 'least level to log', 'LOG_LEVEL').choices(logLevels).default('info'),
  )
