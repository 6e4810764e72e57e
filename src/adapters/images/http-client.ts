import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns'
import { isIP } from 'node:net'
import type { Dispatcher } from 'undici'
import { ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import { isAllowedAddress } from './address-rules.ts'

export interface HttpClientOptions {
  /** False refuses loopback and private networks too. */
  allowPrivateUrls: boolean
  /** Which proxies to use; what is left out comes from HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */
  proxy?: { httpProxy?: string; httpsProxy?: string; noProxy?: string } | undefined
  /** A CA for servers with certificates of one's own, as PEM; NODE_EXTRA_CA_CERTS does the same for the process. */
  ca?: string | undefined
  /** Resolves names; for tests. */
  lookup?: Lookup | undefined
}

export type Lookup = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

export interface HttpClient {
  /**
   * GETs, following a few redirects, each of which is checked as the first address was. The caller reads or destroys
   * the body. @throws ReflashError `UrlRefused`; else what undici throws.
   */
  get(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<Dispatcher.ResponseData>
  /** @throws ReflashError `UrlRefused` when the text is no URL that may be fetched. */
  parse(text: string): URL
}

const maxRedirects = 5
const redirectStatuses = new Set([301, 302, 303, 307, 308])

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { allowPrivateUrls, proxy = {}, ca, lookup = systemLookup } = options
  // Most fleets have their images beside the manifests, and undici takes 25 MiB.
  const loadDispatcher = async (): Promise<Dispatcher> => {
    const { EnvHttpProxyAgent } = await import('undici')
    return new EnvHttpProxyAgent({
      ...proxy,
      allowH2: false,
      // One transfer a connection: no idle connection stays behind.
      pipelining: 0,
      // The caller keeps the time, by its own clock.
      headersTimeout: 0,
      bodyTimeout: 0,
      // A proxy looks names up itself, and is reached by its own rules: these are for direct connections.
      connect: { lookup: checkedLookup(lookup, allowPrivateUrls), ...(ca !== undefined && { ca }) },
      ...(ca !== undefined && { requestTls: { ca } }),
    })
  }
  let loaded: Promise<Dispatcher> | undefined

  return {
    parse: (text) => imageUrl(text, allowPrivateUrls),
    get: async (first, headers, signal) => {
      let url = checked(first, allowPrivateUrls)
      const dispatcher = await (loaded ??= loadDispatcher())
      for (let redirects = 0; ; redirects += 1) {
        const response = await dispatcher.request({
          origin: url.origin,
          path: `${url.pathname}${url.search}`,
          method: 'GET',
          headers,
          signal,
        })
        // An error between here and the reader would otherwise end the process; the reader gets it all the same.
        response.body.on('error', () => {})
        const { location } = response.headers
        if (!redirectStatuses.has(response.statusCode) || typeof location !== 'string') return response
        response.body.destroy()
        if (redirects === maxRedirects) throw refused(`the server redirects more than ${maxRedirects} times`)
        const next = imageUrl(location, allowPrivateUrls, url)
        if (url.protocol === 'https:' && next.protocol === 'http:') {
          throw refused('the server redirects from https: to http:')
        }
        url = next
      }
    },
  }
}

/** A URL as it may be shown: without user, password, query and fragment, which can hold secrets. */
export const shownUrl = (url: URL): string => printable(`${url.origin}${url.pathname}`, 200)

/** A URL that images may be fetched from, as far as its text says. @throws ReflashError `UrlRefused`. */
export function imageUrl(text: string, allowPrivate: boolean, base?: URL): URL {
  const url = URL.parse(text, base?.href)
  if (!url) throw refused(base ? 'the server redirects to something that is no URL' : 'it is no URL')
  return checked(url, allowPrivate)
}

function checked(url: URL, allowPrivate: boolean): URL {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw refused(`the URL scheme ${printable(url.protocol, 20)} is not allowed, only http: and https:`)
  }
  if (url.username !== '' || url.password !== '')
    throw refused('the URL must not carry a user name or password')
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(host) !== 0 && !isAllowedAddress(host, allowPrivate)) {
    throw refused(`images are not fetched from the address ${host}`)
  }
  return url
}

/** Resolves a name to the addresses that are allowed; the connection is made to these very addresses. */
function checkedLookup(lookup: Lookup, allowPrivate: boolean) {
  type Callback = (
    error: NodeJS.ErrnoException | null,
    address: string | LookupAddress[],
    family?: number,
  ) => void
  return (hostname: string, options: LookupOptions, callback: Callback): void => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, [])
      const allowed = addresses.filter(({ address }) => isAllowedAddress(address, allowPrivate))
      const [first] = allowed
      if (!first) {
        const found = addresses.map(({ address }) => address).join(', ')
        return callback(refused(`images are not fetched from ${printable(hostname, 200)} (${found})`), [])
      }
      return options.all ? callback(null, allowed) : callback(null, first.address, first.family)
    })
  }
}

const refused = (why: string): ReflashError => new ReflashError('UrlRefused', why)
