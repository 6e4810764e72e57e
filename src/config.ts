import { createHash } from 'node:crypto'
import { realpathSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { GovernorSettings } from './controllers/governor.ts'
import { parseDuration } from './core/duration.ts'
import { isLoopback, parseListen } from './core/listen-address.ts'
import type { ApiSettings } from './server/serve-api.ts'

/** What both homes are told, checked. */
export interface CommonConfig {
  imagesFolder: string | undefined
  cacheFolder: string
  maxImageBytes: number
  upgraderModules: readonly string[]
  governor: GovernorSettings
  acknowledgedDate: string | undefined
  probeIntervalMs: number
  concurrency: { devices: number; operations: number; images: number }
  /** Whether every device gets series of its own at /metrics. */
  metricsPerDevice: boolean
  /** Undefined when there is no API. */
  api: ApiConfig | undefined
}

/** Everything that `run` and `plan` were told, checked and frozen. */
export interface RunConfig extends CommonConfig {
  /** The directory of manifests, as an absolute path. */
  directory: string
  stateFile: string
  haltFile: string
  secretsFolder: string | undefined
}

/** Everything that `controller` was told, checked and frozen. */
export interface ControllerConfig extends CommonConfig {
  kubeconfig: string | undefined
  context: string | undefined
  /** Whose objects it works with; undefined: all. */
  namespaces: readonly string[] | undefined
  /** Where its lease and records are; undefined: where it runs. */
  controllerNamespace: string | undefined
  leaderElect: boolean
  /** What it calls itself in the lease and in events. */
  identity: string
}

export interface ApiConfig extends ApiSettings {
  /** Tokens are asked for when there is one. */
  tokenFile: string | undefined
}

/** The flags of both homes as they were given; the environment stands in for those that were not. */
export interface CommonFlags {
  images?: string
  cache?: string
  maxImageSize: string
  upgrader?: string[]
  maxInFlight: string
  maxStartsPerMinute: string
  maxLostPerDay: string
  acknowledgeLost?: string
  probeInterval: string
}

export interface RunFlags extends CommonFlags {
  state?: string
  secrets?: string
}

export interface ControllerFlags extends CommonFlags, ApiFlags {
  kubeconfig?: string
  context?: string
  /** Each may name several, with commas. */
  namespace?: string[]
  controllerNamespace?: string
  leaderElect?: boolean
}

/** The flags that only `run` has. */
export interface ApiFlags {
  /** `ADDR:PORT`, or `none`. */
  listen: string
  tlsCert?: string
  tlsKey?: string
  tokenFile?: string
  maxConnections: string
  maxWatches: string
  maxWatchesPerToken: string
  metricsPerDevice?: boolean
}

/** Defaults of the flags, each with its reason. */
export const defaults = {
  /** More than this at once is a decision that somebody should take in words. */
  maxInFlight: '50',
  /** A fleet of 10,000 in a working day, and slow enough to be stopped by hand. */
  maxStartsPerMinute: '30',
  /** A brick is a truck roll: five a day is more than a crew can drive to. */
  maxLostPerDay: '5',
  /** Below the shortest time in which anybody expects a hand-made change to be noticed. */
  probeInterval: '15m',
  /** Larger than any OpenWrt image for a router. */
  maxImageSize: '64MiB',
} as const

/** The same for the flags that only `run` has. */
export const apiDefaults = {
  /** Nobody else can connect there, so nobody is asked who they are. */
  listen: '127.0.0.1:8080',
  /** Twice as many as may watch. */
  maxConnections: '2048',
  /** A dashboard for everybody in a company; each costs little, and the limit is there for the one that leaks them. */
  maxWatches: '1000',
  maxWatchesPerToken: '100',
} as const

/** Every problem with the flags at once. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

type Environment = Readonly<Record<string, string | undefined>>

/** Checks flags and environment; without `listen` there is no API. @throws ConfigError listing everything that is wrong. */
export function readConfig(
  directory: string,
  flags: RunFlags & Partial<ApiFlags>,
  env: Environment,
): Readonly<RunConfig> {
  const problems: string[] = []
  const root = realDirectory(directory, problems)
  const stateFile = resolve(flags.state ?? defaultStateFile(root, env))
  const config: RunConfig = {
    directory: resolve(directory),
    stateFile,
    haltFile: `${stateFile}.HALT`,
    secretsFolder: flags.secrets === undefined ? undefined : resolve(flags.secrets),
    ...commonConfig(flags, `${stateFile}.images`, problems),
    api: apiConfig({ ...apiDefaults, listen: 'none', ...flags }, { needsTokenFile: true }, problems),
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return Object.freeze(config)
}

/** The same for the home in a cluster. @throws ConfigError. */
export function readControllerConfig(flags: ControllerFlags, env: Environment): Readonly<ControllerConfig> {
  const problems: string[] = []
  const cache = join(env['XDG_CACHE_HOME'] || join(env['HOME'] ?? '/root', '.cache'), 'reflash', 'images')
  const namespaces = (flags.namespace ?? []).flatMap((names) => names.split(','))
  for (const name of [
    ...namespaces,
    ...(flags.controllerNamespace === undefined ? [] : [flags.controllerNamespace]),
  ])
    if (!isNamespace(name)) problems.push(`"${name}" is no name of a namespace`)
  if (flags.tokenFile !== undefined) {
    problems.push('--token-file is for run: in a cluster the API server says who may read')
  }
  const config: ControllerConfig = {
    kubeconfig: flags.kubeconfig === undefined ? undefined : resolve(flags.kubeconfig),
    context: flags.context,
    namespaces: namespaces.length === 0 ? undefined : [...new Set(namespaces)],
    controllerNamespace: flags.controllerNamespace,
    leaderElect: flags.leaderElect ?? true,
    identity: env['POD_NAME'] || env['HOSTNAME'] || 'reflash',
    ...commonConfig(flags, cache, problems),
    api: apiConfig(flags, { needsTokenFile: false }, problems),
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return Object.freeze(config)
}

/** RFC 1123. */
const isNamespace = (name: string): boolean => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)

function commonConfig(
  flags: CommonFlags & Partial<ApiFlags>,
  cacheFolder: string,
  problems: string[],
): Omit<CommonConfig, 'api'> {
  const count = (flag: string, text: string): number => wholeNumber(flag, text, problems)
  const maxInFlight = count('--max-in-flight', flags.maxInFlight)
  return {
    imagesFolder: flags.images === undefined ? undefined : resolve(flags.images),
    cacheFolder: resolve(flags.cache ?? cacheFolder),
    maxImageBytes: bytes('--max-image-size', flags.maxImageSize, problems),
    upgraderModules: (flags.upgrader ?? []).map((path) => resolve(path)),
    governor: {
      maxInFlight,
      maxStartsPerMinute: count('--max-starts-per-minute', flags.maxStartsPerMinute),
      maxLostPerDay: count('--max-lost-per-day', flags.maxLostPerDay),
    },
    acknowledgedDate: date('--acknowledge-lost', flags.acknowledgeLost, problems),
    probeIntervalMs: interval('--probe-interval', flags.probeInterval, problems),
    // A turn of an operation is mostly waiting for one device; as many turns as there may be upgrades.
    concurrency: { devices: 64, operations: (Number.isNaN(maxInFlight) ? 1 : maxInFlight) + 8, images: 2 },
    metricsPerDevice: flags.metricsPerDevice ?? false,
  }
}

function wholeNumber(flag: string, text: string, problems: string[]): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= 1)) problems.push(`${flag} must be a whole number from 1 on, found "${text}"`)
  return value
}

function apiConfig(
  flags: ApiFlags,
  { needsTokenFile }: { needsTokenFile: boolean },
  problems: string[],
): ApiConfig | undefined {
  const { tlsCert, tlsKey, tokenFile } = flags
  const count = (flag: string, text: string): number => wholeNumber(flag, text, problems)
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    problems.push('--tls-cert and --tls-key are given together or not at all')
  }
  const limits = {
    maxConnections: count('--max-connections', flags.maxConnections),
    maxWatches: count('--max-watches', flags.maxWatches),
    maxWatchesPerToken: count('--max-watches-per-token', flags.maxWatchesPerToken),
  }
  if (flags.listen === 'none') return undefined
  const listen = parseListen(flags.listen)
  if (!listen) {
    problems.push(
      `--listen must be an address and a port such as 127.0.0.1:8080, or none, found "${flags.listen}"`,
    )
    return undefined
  }
  if (needsTokenFile && !isLoopback(listen.host) && tokenFile === undefined) {
    problems.push(
      `--listen ${flags.listen} can be reached by others: give --token-file with who may read, or listen on 127.0.0.1`,
    )
  }
  return {
    listen,
    tls:
      tlsCert === undefined || tlsKey === undefined
        ? undefined
        : { cert: resolve(tlsCert), key: resolve(tlsKey) },
    tokenFile: tokenFile === undefined ? undefined : resolve(tokenFile),
    ...limits,
  }
}

function realDirectory(directory: string, problems: string[]): string {
  try {
    if (!statSync(directory).isDirectory()) problems.push(`directory ${directory} is a file`)
    return realpathSync(directory)
  } catch {
    problems.push(`directory ${directory} does not exist or cannot be read`)
    return resolve(directory)
  }
}

/** In the calendar as well: a day that never was would acknowledge nothing, without a word. */
const isDate = (text: string): boolean =>
  /^\d{4}-\d{2}-\d{2}$/.test(text) && new Date(`${text}T00:00:00Z`).toJSON()?.startsWith(text) === true

function defaultStateFile(root: string, env: Environment): string {
  const home = env['XDG_STATE_HOME'] || join(env['HOME'] ?? '/root', '.local', 'state')
  return join(home, 'reflash', createHash('sha256').update(root).digest('hex').slice(0, 16), 'state.db')
}

function bytes(flag: string, text: string, problems: string[]): number {
  const match = /^(\d{1,6})(KiB|MiB|GiB)$/.exec(text)
  const unit = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }[match?.[2] ?? ''] ?? Number.NaN
  const value = Number(match?.[1]) * unit
  if (!(value > 0)) problems.push(`${flag} must be a size such as 64MiB, found "${text}"`)
  return value
}

function interval(flag: string, text: string, problems: string[]): number {
  try {
    const ms = parseDuration(text)
    if (ms >= 1000) return ms
    problems.push(`${flag} must be at least 1s, found "${text}"`)
  } catch {
    problems.push(`${flag} must be a duration such as 15m, found "${text}"`)
  }
  return Number.NaN
}

function date(flag: string, text: string | undefined, problems: string[]): string | undefined {
  if (text !== undefined && !isDate(text)) {
    problems.push(`${flag} must be a date such as 2026-11-23, found "${text}"`)
  }
  return text
}
