import type { ClusterAccess } from '../../src/adapters/kubernetes/cluster-access.ts'

/** Access to a server that asks for no credentials. */
export const plainAccess = (server: string): ClusterAccess => ({
  server,
  namespace: undefined,
  proxyUrl: undefined,
  credentials: async () => ({ tls: {}, headers: {} }),
})
