import { randomUUID } from 'node:crypto'
import { systemRandom } from '../../src/adapters/clock/random.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { openClusterAccess } from '../../src/adapters/kubernetes/cluster-access.ts'
import { createKubernetesStore } from '../../src/adapters/kubernetes/resource-store.ts'
import { createTransport, type Transport } from '../../src/adapters/kubernetes/transport.ts'
import { kinds } from '../../src/api/kinds.ts'
import type { Manifest } from '../../src/api/resources.ts'
import { apiVersion } from '../../src/api/schema.ts'
import type { ResourceStore } from '../../src/ports/resource-store.ts'
import type { ApiServer } from './api-server.ts'

/** A transport as the controller has one. */
export async function openTransport(
  server: Pick<ApiServer, 'writeKubeconfig' | 'adminToken'>,
  token = server.adminToken,
): Promise<Transport> {
  const kubeconfig = await server.writeKubeconfig(token)
  const access = openClusterAccess({ kubeconfig }, () => systemClock.monotonic())
  return createTransport({ access, clock: systemClock, userAgent: `reflash-test/${randomUUID()}` })
}

export const storeOver = (transport: Transport, namespaces?: readonly string[]): ResourceStore =>
  createKubernetesStore({ transport, clock: systemClock, random: systemRandom, namespaces })

/** Makes labels, annotations and spec of an object as the manifest says, as `kubectl apply --server-side` does. */
export async function declare(server: ApiServer, manifest: Manifest): Promise<unknown> {
  const { namespace, name } = manifest.metadata
  const { plural } = kinds.find(({ kind }) => kind === manifest.kind)!
  const path = `/apis/${apiVersion}/namespaces/${namespace}/${plural}/${name}?fieldManager=operator&force=true`
  const { status, body } = await server.request('PATCH', path, {
    body: manifest,
    contentType: 'application/apply-patch+yaml',
  })
  if (status >= 300) throw new Error(`${name}: ${JSON.stringify(body)}`)
  return body
}

/** Removes every object of ours, whatever its finalizers. */
export async function removeAll(server: ApiServer): Promise<void> {
  for (const { plural } of kinds) {
    const { body } = await server.request('GET', `/apis/${apiVersion}/${plural}`)
    for (const { metadata } of (
      body as { items: { metadata: { namespace: string; name: string; finalizers?: string[] } }[] }
    ).items) {
      const path = `/apis/${apiVersion}/namespaces/${metadata.namespace}/${plural}/${metadata.name}`
      if (metadata.finalizers?.length) {
        const body = { metadata: { finalizers: null } }
        await server.request('PATCH', path, { body, contentType: 'application/merge-patch+json' })
      }
      await server.request('DELETE', path)
    }
  }
}
