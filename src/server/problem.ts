import { STATUS_CODES } from 'node:http'

/** A refusal on the routes of our own, as RFC 9457 has it. */
export interface Problem {
  type: 'about:blank'
  /** The words of the status code. */
  title: string
  status: number
  /** For the person at the other end; it must hold no secret. */
  detail: string
}

/** The answer that carries a problem. */
export function problem(status: number, detail: string, headers: Record<string, string> = {}): Response {
  const body: Problem = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail }
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store', ...headers },
  })
}
