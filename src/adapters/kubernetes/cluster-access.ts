import { existsSync } from 'node:fs'
import type { RequestOptions } from 'node:https'
import { dirname, resolve } from 'node:path'
import { KubeConfig, loadYaml } from '@kubernetes/client-node'
import { messageOf, ReflashError } from '../../core/errors.ts'

/** What a connection to an API server needs. */
export interface TlsMaterial {
  ca?: string | Buffer
  cert?: string | Buffer
  key?: string | Buffer
  servername?: string
  rejectUnauthorized?: boolean
}

export interface Credentials {
  tls: TlsMaterial
  /** Who asks: at most an `authorization`. */
  headers: Record<string, string>
}

/** Where an API server is, and as whom it is asked. */
export interface ClusterAccess {
  /** Without a slash at the end. */
  readonly server: string
  /** The namespace of the pod or of the context, where one is set. */
  readonly namespace: string | undefined
  /** The proxy of the kubeconfig's cluster, where one is set; HTTP_PROXY is not looked at. */
  readonly proxyUrl: string | undefined
  /**
   * What to connect and ask with now: files and exec plugins are read anew as they change. `renew` forgets what is
   * remembered of them. It takes as long as a plugin takes, of which but one runs at a time.
   * @throws ReflashError `ServerUnavailable` when they cannot be read now.
   */
  credentials(options?: { renew: boolean }): Promise<Credentials>
}

/** A rotated certificate is taken up within this, a token within a minute of the library; files are small, requests many. */
const rememberMs = 10_000

/**
 * Access as a kubeconfig describes it; without a file that of the pod, else of KUBECONFIG or `~/.kube/config`.
 * @throws ReflashError `Invalid` when there is none, or it cannot be used.
 */
export function openClusterAccess(
  source: { kubeconfig?: string; context?: string },
  monotonic: () => number,
): ClusterAccess {
  let config = loadConfig(source)
  let known: { credentials: Credentials; at: number } | undefined
  let reading: { credentials: Promise<Credentials>; renews: boolean } | undefined
  const { server, proxyUrl } = clusterOf(config)
  /** A file that cannot be read now may be half written. */
  const reload = (): KubeConfig => {
    try {
      return loadConfig(source)
    } catch (error) {
      throw new ReflashError('ServerUnavailable', messageOf(error), { cause: error })
    }
  }
  const read = async (renew: boolean): Promise<Credentials> => {
    // Another KubeConfig remembers no token, and no answer of an exec plugin.
    if (renew) config = reload()
    const credentials = await readCredentials(config)
    known = { credentials, at: monotonic() }
    return credentials
  }
  return {
    server,
    proxyUrl,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace?.trim() || undefined,
    async credentials({ renew } = { renew: false }) {
      if (known && !renew && monotonic() - known.at < rememberMs) return known.credentials
      // Whoever asks meanwhile waits for the same answer; what had begun before a renewal is none.
      if (reading && (reading.renews || !renew)) return reading.credentials
      const own = { credentials: read(renew), renews: renew }
      reading = own
      try {
        return await own.credentials
      } finally {
        if (reading === own) reading = undefined
      }
    },
  }
}

/** Where Kubernetes puts the token of a pod. */
const podTokenFile = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/** Of several files in KUBECONFIG, `tokenFile` counts in the first. */
class KubeConfigWithTokenFiles extends KubeConfig {
  #tokenFiles = new Map<string, string>()

  override loadFromString(text: string, options?: Parameters<KubeConfig['loadFromString']>[1]): void {
    super.loadFromString(text, options)
    const { users } = (loadYaml(text) ?? {}) as { users?: { name: string; user?: { tokenFile?: string } }[] }
    for (const { name, user } of users ?? []) if (user?.tokenFile) this.#tokenFiles.set(name, user.tokenFile)
  }

  /** The library knows no `tokenFile`, but an equal of it: how it describes the token of a pod. */
  override loadFromFile(file: string, options?: Parameters<KubeConfig['loadFromFile']>[1]): void {
    super.loadFromFile(file, options)
    this.users = this.users.map((user) => {
      const tokenFile = this.#tokenFiles.get(user.name)
      if (tokenFile === undefined) return user
      const { token: _token, ...rest } = user
      const config = { tokenFile: resolve(dirname(file), tokenFile) }
      return { ...rest, authProvider: { name: 'tokenFile', config } }
    })
  }
}

function loadConfig({ kubeconfig, context }: { kubeconfig?: string; context?: string }): KubeConfig {
  const config = new KubeConfigWithTokenFiles()
  try {
    if (kubeconfig !== undefined) config.loadFromFile(kubeconfig)
    else if (existsSync(podTokenFile) && context === undefined) config.loadFromCluster()
    else config.loadFromDefault()
  } catch (error) {
    const what = kubeconfig === undefined ? 'the configuration of the cluster' : kubeconfig
    throw new ReflashError('Invalid', `${what} cannot be read: ${messageOf(error)}`, { cause: error })
  }
  if (context !== undefined) {
    if (!config.getContextObject(context)) {
      const names = config.getContexts().map(({ name }) => name)
      throw new ReflashError('Invalid', `no context is called ${context}; there are: ${names.join(', ')}`)
    }
    config.setCurrentContext(context)
  }
  return config
}

function clusterOf(config: KubeConfig): { server: string; proxyUrl: string | undefined } {
  const cluster = config.getCurrentCluster()
  if (!cluster || URL.parse(cluster.server) === null) {
    throw new ReflashError('Invalid', 'the configuration of the cluster names no server: give --kubeconfig')
  }
  return { server: cluster.server.replace(/\/+$/, ''), proxyUrl: cluster.proxyUrl }
}

async function readCredentials(config: KubeConfig): Promise<Credentials> {
  const options: RequestOptions & { headers: Record<string, string> } = { headers: {} }
  const cluster = config.getCurrentCluster()!
  // The library refuses to talk to `http:` at all otherwise; there is nothing to verify there.
  if (cluster.server.startsWith('http:')) Object.assign(cluster, { skipTLSVerify: true })
  try {
    await config.applyToHTTPSOptions(options)
  } catch (error) {
    const why = `the credentials for ${cluster.server} cannot be read: ${messageOf(error)}`
    throw new ReflashError('ServerUnavailable', why, { cause: error })
  }
  const { ca, cert, key, servername, rejectUnauthorized, auth } = options
  const headers = Object.entries(options.headers).map(([name, value]) => [name.toLowerCase(), value.trim()])
  if (auth) headers.push(['authorization', `Basic ${Buffer.from(auth).toString('base64')}`])
  return {
    tls: {
      ...(ca ? { ca: ca as Buffer } : {}),
      ...(cert ? { cert: cert as Buffer } : {}),
      ...(key ? { key: key as Buffer } : {}),
      ...(servername === undefined ? {} : { servername }),
      ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
    },
    headers: Object.fromEntries(headers) as Record<string, string>,
  }
}
