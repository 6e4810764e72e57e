import type { Access } from './access.ts'
import { paths } from './api-routes.ts'

/** What is known of a request before anything is routed. */
export interface GateRequest {
  /** The header as it came. */
  authorization: string | undefined
  /** Of the client, as the connection has it. */
  address: string
  url: URL
}

/** Too many bad tokens came from one address. */
export interface TooMany {
  kind: 'TooMany'
  retryAfterSeconds: number
}

/** Whether a request may go on, and with what in sight. */
export type GateAnswer =
  | { kind: 'Known'; access: Access }
  /** There is no token. */
  | { kind: 'Absent' }
  | { kind: 'Bad' }
  | TooMany
  /** It is known who asks, and they may not read that. */
  | { kind: 'Forbidden' }
  /** It cannot be found out now who asks, or what they may read. */
  | { kind: 'Unavailable' }

/** Finds out who asks, and what they may read. */
export interface AccessGate {
  check(request: GateRequest): GateAnswer | Promise<GateAnswer>
}

/** The token in an Authorization header, or '' where there is none. */
export const bearerToken = (authorization: string): string =>
  /^bearer +(\S+)$/i.exec(authorization)?.[1] ?? ''

const probes: readonly string[] = [paths.livez, paths.readyz, paths.healthz]

/** One word for who watches over the process. */
export const isProbe = (path: string): boolean => probes.includes(path)
