import { ServerError, type Api } from './api-client.ts'
import { asObject, type ReadObject } from './api-objects.ts'
import { listObjects } from './list-pages.ts'
import type { Described } from './render-describe.ts'
import { collectionPath, readKind, type Target } from './resource-names.ts'
import { sortedBy } from './sort-objects.ts'
import { readDeviceStatus } from './status-client.ts'

/** Reads a named object, its events, and of a device why it is not upgraded now. */
export async function describeObject(
  api: Api,
  { resource, name = '' }: Target,
  namespace: string,
): Promise<Described> {
  const path = `${collectionPath(resource, namespace)}/${name}`
  const object = asObject((await api.json(path)).body)
  const events = await readEvents(api, object, resource.namespaced ? namespace : name)
  if (resource.kind !== 'Device') return { object, events }
  return { object, events, why: await readDeviceStatus(api, { namespace, name }) }
}

async function readEvents(
  api: Api,
  { kind = '', metadata }: ReadObject,
  namespace: string,
): Promise<ReadObject[]> {
  const fields = [
    `involvedObject.kind=${kind}`,
    `involvedObject.name=${metadata.name}`,
    ...(metadata.uid === undefined ? [] : [`involvedObject.uid=${metadata.uid}`]),
  ].join(',')
  try {
    const { list } = await listObjects(api, collectionPath(readKind('Event'), namespace), { fields })
    return sortedBy('.lastTimestamp', list, (event) => event)
  } catch (error) {
    // A server without events is described all the same.
    if (error instanceof ServerError && error.status === 404) return []
    throw error
  }
}
