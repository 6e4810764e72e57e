import { readFile, writeFile } from 'node:fs/promises'
import { parse, stringify } from 'yaml'
import { kinds } from '../../src/api/kinds.ts'
import type { AnyResource, Kind } from '../../src/api/resources.ts'
import { apiVersion } from '../../src/api/schema.ts'
import type { ClusterOutside } from '../../src/cluster.ts'
import { compareVersions } from '../../src/ports/resource-store.ts'
import type { ApiServer } from './api-server.ts'
import type { RunningController } from './cluster-fleet.ts'

/** A copy of a kubeconfig that leads to a proxy without TLS instead. */
export async function kubeconfigTo(origin: string, kubeconfig: string): Promise<string> {
  const config = parse(await readFile(kubeconfig, 'utf8')) as { clusters: { cluster: object }[] }
  for (const each of config.clusters) each.cluster = { server: origin }
  const path = `${kubeconfig}-${new URL(origin).port}`
  await writeFile(path, stringify(config), { mode: 0o600 })
  return path
}

/** What `keepRunning` keeps running. */
type Kept = Pick<RunningController, 'ended' | 'stop'>

/** Runs a controller, and another whenever one has lost its lease, until it is stopped. */
export function keepRunning<C extends Kept>(
  start: (nth: number) => C,
): { all: readonly C[]; ended: Promise<void>; stop(): Promise<void> } {
  let isStopping = false
  const all: C[] = []
  const run = async (): Promise<void> => {
    while (!isStopping) {
      const controller = start(all.length)
      all.push(controller)
      await controller.ended
    }
  }
  const ended = run()
  ended.catch(() => {})
  return {
    all,
    ended,
    async stop() {
      isStopping = true
      await all.at(-1)!.stop()
      await ended
    },
  }
}

/** Versions of all objects, by kind, namespace and name. */
type KnownVersions = Record<string, string>

const idOf = (kind: Kind, { metadata }: Pick<AnyResource, 'metadata'>): string =>
  `${kind} ${metadata.namespace}/${metadata.name}`

/** What a controller has been told of by its store. */
export function createListener(): {
  decorate: (outside: ClusterOutside) => ClusterOutside
  known: () => KnownVersions
} {
  const known = new Map<string, string>()
  /** What comes late is no news, as in a fleet. */
  const take = (kind: Kind, object: AnyResource) => {
    const id = idOf(kind, object)
    const { resourceVersion } = object.metadata
    if (compareVersions(resourceVersion, known.get(id) ?? '0') > 0) known.set(id, resourceVersion)
  }
  return {
    known: () => Object.fromEntries(known),
    decorate: (outside) => ({
      ...outside,
      store: {
        ...outside.store,
        async *follow(options) {
          for await (const event of outside.store.follow(options)) {
            if (event.type === 'Listed') {
              for (const [id, version] of known)
                if (id.startsWith(`${event.kind} `) && compareVersions(version, event.resourceVersion) <= 0)
                  known.delete(id)
              for (const object of event.objects) take(event.kind, object)
            } else if (event.type === 'Deleted') known.delete(idOf(event.object.kind, event.object))
            else if ('object' in event) take(event.object.kind, event.object)
            yield event
          }
        },
      },
    }),
  }
}

/** What there is in truth. */
export async function storedVersions(server: ApiServer): Promise<KnownVersions> {
  const stored: KnownVersions = {}
  for (const { kind, plural } of kinds) {
    const { body } = await server.request('GET', `/apis/${apiVersion}/${plural}`)
    for (const object of (body as { items: AnyResource[] }).items)
      stored[idOf(kind, object)] = object.metadata.resourceVersion
  }
  return stored
}
