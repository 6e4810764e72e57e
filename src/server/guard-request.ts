import type { IncomingMessage } from 'node:http'
import { limits } from './limits.ts'
import { statusError, type Status } from './status-error.ts'

/** Segments of what RFC 3986 allows: no `//`, no backslash, no control character, nothing outside ASCII. */
const plainPath = /^(?:\/(?!\/)(?:[\w.~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+$/
const hostPattern = /^(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/
const dotSegment = /\/\.\.?(?:\/|$)/
/** What has another meaning once it is decoded, or none: `/`, `\`, NUL and controls, and what needs no encoding. */
const hiddenByte = /%(?:2f|5c|7f|[01][0-9a-f]|2d|2e|5f|7e|3[0-9]|4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])/i

/**
 * Why a request is refused before anything is routed, or undefined. The path is looked at as it was sent, because
 * whoever stands in front and whoever routes behind must read the same. `localHosts`: the names under which a page in a
 * browser may reach a server that asks for no token; undefined where tokens are asked for.
 */
export function refusalOf(
  incoming: IncomingMessage,
  localHosts: ReadonlySet<string> | undefined,
): Status | undefined {
  const { method, url = '', headers, rawHeaders } = incoming
  if (method !== 'GET' && method !== 'HEAD') {
    return statusError(
      405,
      'MethodNotAllowed',
      `${method} is not allowed: this API is read only; edit the manifests that Reflash follows`,
    )
  }
  if (hasBody(incoming)) {
    return statusError(413, 'RequestEntityTooLarge', `${method} takes no body`)
  }
  if (rawHeaders.length / 2 > limits.headerFields) {
    return statusError(431, 'BadRequest', `at most ${limits.headerFields} header fields are taken`)
  }
  if (url.length > limits.urlCharacters) {
    return statusError(414, 'RequestURITooLong', `the URL is longer than ${limits.urlCharacters} characters`)
  }
  const why = pathProblem(url) ?? queryProblem(url)
  if (why !== undefined) return statusError(400, 'BadRequest', why)
  if (!hostPattern.test(headers.host ?? ''))
    return statusError(400, 'BadRequest', 'the Host header is missing or malformed')
  if (localHosts && !localHosts.has(nameOf(headers.host!))) {
    return statusError(
      403,
      'Forbidden',
      'only local names are served here: use http://127.0.0.1 and the port',
    )
  }
  return undefined
}

export const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'

const nameOf = (host: string): string => host.toLowerCase().replace(/:\d+$/, '')

function pathProblem(url: string): string | undefined {
  const path = url.split('?', 1)[0]!
  if (!plainPath.test(path) || dotSegment.test(path)) return 'the path is malformed'
  if (hiddenByte.test(path))
    return 'the path has encoded characters that must not be encoded, or not be there'
  return undefined
}

function queryProblem(url: string): string | undefined {
  const start = url.indexOf('?')
  if (start < 0) return undefined
  const query = url.slice(start + 1)
  if (query.includes('#')) return 'the URL has a fragment'
  if (query.split('&').length > limits.queryParameters) {
    return `at most ${limits.queryParameters} query parameters are taken`
  }
  const parameters = new URLSearchParams(query)
  for (const name of ['labelSelector', 'fieldSelector']) {
    for (const selector of parameters.getAll(name)) {
      if (termsOf(selector) > limits.selectorTerms) {
        return `${name} has more than ${limits.selectorTerms} terms`
      }
    }
  }
  return undefined
}

/** A comma within the parentheses of a set parts values, not terms. */
const termsOf = (selector: string): number => selector.replaceAll(/\([^()]*\)/g, '').split(',').length
