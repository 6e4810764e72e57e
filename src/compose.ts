/** What the composition roots of both homes share. */
import { pathToFileURL } from 'node:url'
import { systemClock } from './adapters/clock/system-clock.ts'
import type { ApiConfig } from './config.ts'
import { ReflashError } from './core/errors.ts'
import type { EventSink } from './ports/event-sink.ts'
import { noMetrics, type Metrics } from './ports/metrics.ts'
import type { Upgrader } from './ports/upgrader.ts'
import type { HttpServer } from './server/http-server.ts'
import type { Exposition } from './server/metrics-routes.ts'
import type { ApiSource } from './server/serve-api.ts'
import { openwrtUpgrader } from './upgraders/openwrt/openwrt.ts'

/** Upgraders by name: OpenWrt's, and those of the operator. @throws ReflashError `Invalid` for a module without one. */
export async function loadUpgraders(modules: readonly string[]): Promise<Map<string, Upgrader>> {
  const upgraders = new Map<string, Upgrader>([[openwrtUpgrader.name, openwrtUpgrader]])
  for (const path of modules) {
    const { upgrader } = await loadModule(path)
    const lacking = upgraderParts.filter((part) => upgrader?.[part] === undefined)
    if (lacking.length > 0) {
      throw new ReflashError('Invalid', `${path}: must export "upgrader" with ${lacking.join(', ')}`)
    }
    upgraders.set(upgrader!.name!, upgrader as Upgrader)
  }
  return upgraders
}

async function loadModule(path: string): Promise<{ upgrader?: Partial<Upgrader> }> {
  try {
    return (await import(pathToFileURL(path).href)) as { upgrader?: Partial<Upgrader> }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ReflashError('Invalid', `${path}: cannot be loaded: ${why}`, { cause: error })
  }
}

const upgraderParts = [
  'name',
  'probe',
  'check',
  'upload',
  'test',
  'command',
  'start',
  'log',
  'abandon',
  'clearStart',
] as const satisfies readonly (keyof Upgrader)[]

/** Nobody can scrape a run without an API, so that counts nothing. */
export async function openMetrics(
  api: ApiConfig | undefined,
  version: string,
): Promise<Metrics & Exposition> {
  if (!api) return { ...noMetrics, contentType: '', text: async () => '' }
  const { createMetrics } = await import('./adapters/metrics/registry.ts')
  return createMetrics({ clock: systemClock, version })
}

/** The API with what it needs of adapters; loaded here, so that a run without it does without them. */
export async function startApi(config: ApiConfig, source: Omit<ApiSource, 'tokens'>): Promise<HttpServer> {
  const [{ serveApi }, { openTokenFile }] = await Promise.all([
    import('./server/serve-api.ts'),
    import('./adapters/files/token-file.ts'),
  ])
  const { clock, events } = source.ports
  const onError = (why: string): void => warn(events, 'TokenFileInvalid', why)
  const tokens =
    config.tokenFile === undefined ? undefined : openTokenFile(config.tokenFile, { clock, onError })
  return serveApi(config, { ...source, ...(tokens ? { tokens } : {}) })
}

export const warn = (events: EventSink, reason: string, message: string): void =>
  events.emit({ type: 'Warning', reason, message })
export const info = (events: EventSink, reason: string, message: string): void =>
  events.emit({ type: 'Info', reason, message })
