import type { Target } from '../../src/ports/connector.ts'
import { userKeys } from './ssh-servers.ts'

/** A device on the loopback that is seen for the first time. */
export const targetOf = (port: number, more: Partial<Target> = {}): Target => ({
  addresses: ['127.0.0.1'],
  port,
  credentials: { username: 'root', privateKey: userKeys.rsa.private },
  hostKeys: [],
  acceptNewHostKeys: true,
  urgent: false,
  legacyAlgorithms: false,
  ...more,
})
