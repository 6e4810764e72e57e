import { afterAll, afterEach, beforeAll } from 'vitest'
import { missingApiServer, startApiServer, type ApiServer } from './api-server.ts'
import { notBuilt } from './built-programs.ts'
import { convergeLimitMs, installReflash, kubectlOf } from './cluster-fleet.ts'
import { removeAll } from './kubernetes-store.ts'
import { newestKubectl } from './rendered-manifests.ts'
import { unlessMissing } from './requires.ts'

/** For one test, which may wait for a fleet to converge. */
export const clusterTestMs = convergeLimitMs + 60_000

/** An API server on which kubectl has installed Reflash; there from before the first test of its suite. */
export interface Cluster {
  readonly server: ApiServer
  readonly kubeconfigs: { admin: string; controller: string }
  /** As the administrator. @throws Error with what it says when it fails. */
  kubectl: (...args: string[]) => Promise<string>
  /** What a test opens: it is stopped after the test, the last first, and then our objects are removed. */
  open: { stop(): Promise<unknown> }[]
}

/** A suite over a cluster of its own, skipped by name where its programs are missing. `clean` runs after each test. */
export function describeCluster(
  name: string,
  suite: (cluster: Cluster) => void,
  clean: (cluster: Cluster) => Promise<unknown> = async () => {},
): void {
  unlessMissing([...missingApiServer(), ...notBuilt([newestKubectl])])(name, () => {
    let server: ApiServer | undefined
    let kubeconfigs: Cluster['kubeconfigs'] | undefined
    const cluster: Cluster = {
      get server() {
        return server!
      },
      get kubeconfigs() {
        return kubeconfigs!
      },
      kubectl: (...args) => kubectlOf(kubeconfigs!.admin)(...args),
      open: [],
    }
    beforeAll(async () => {
      server = await startApiServer()
      kubeconfigs = await installReflash(server)
    }, clusterTestMs)
    afterEach(async () => {
      for (const each of cluster.open.splice(0).toReversed()) await each.stop()
      await removeAll(cluster.server)
      await clean(cluster)
    }, clusterTestMs)
    afterAll(() => server?.stop())
    suite(cluster)
  })
}
