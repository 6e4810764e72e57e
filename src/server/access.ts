import type { HttpBindings } from '@hono/node-server'

/** What a request may see. */
export interface Access {
  /** Of the token in its file, or the name of the user whose token it is. Absent where no token is asked for. */
  tokenId?: string
  /** Whether it may see anything but health, metrics and images. */
  read: boolean
  /** Addresses, host keys and identities of devices. */
  sensitive: boolean
  metrics: boolean
  images: boolean
  namespaces: 'All' | ReadonlySet<string>
}

/** Of everybody who can reach a server that asks for no token. */
export const fullAccess: Access = {
  read: true,
  sensitive: true,
  metrics: true,
  images: true,
  namespaces: 'All',
}

/** Of those who are not asked: enough for the one word of a probe. */
export const noAccess: Access = {
  read: false,
  sensitive: false,
  metrics: false,
  images: false,
  namespaces: new Set(),
}

/** What hono carries through the routes: `c.get('access')`, and Node's own request and response. */
export interface ServerEnv {
  Bindings: HttpBindings
  Variables: { access: Access }
}
