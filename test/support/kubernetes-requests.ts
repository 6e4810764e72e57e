import { Agent, request } from 'undici'

const limitMs = 30_000

export interface RequestOptions {
  /** Sent as JSON, or as it is when it is text. */
  body?: unknown
  /** Of the body: JSON unless it says something else. */
  contentType?: string
  /** Who asks. */
  token?: string
}

export interface Answer {
  status: number
  /** Parsed, where it is JSON. */
  body: unknown
}

/** Asks one API server over connections that are kept, and trusts only its CA. */
export interface KubernetesRequests {
  /** The path may have a query. */
  send(method: string, path: string, options?: RequestOptions): Promise<Answer>
  close(): Promise<void>
}

export function kubernetesRequests(url: string, ca: string, defaultToken: string): KubernetesRequests {
  const dispatcher = new Agent({ connect: { ca } })
  return {
    send: async (method, path, { body, contentType = 'application/json', token = defaultToken } = {}) => {
      const answer = await request(`${url}${path}`, {
        dispatcher,
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': contentType }),
        },
        body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
        signal: AbortSignal.timeout(limitMs),
      })
      const text = await answer.body.text()
      const isJson = String(answer.headers['content-type']).startsWith('application/json')
      return { status: answer.statusCode, body: isJson ? JSON.parse(text) : text }
    },
    close: () => dispatcher.destroy(),
  }
}
