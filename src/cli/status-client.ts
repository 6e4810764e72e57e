import type { DeviceStatus, FleetStatus, PolicyStatus } from '../api/status-api.ts'
import type { Api } from './api-client.ts'
import { isRecord } from './api-objects.ts'
import { CliError, exitCodes } from './context.ts'

const root = '/api/status/v1'

export interface StatusKey {
  namespace: string
  name: string
}

const objectPath = (collection: string, { namespace, name }: StatusKey): string =>
  `${root}/${collection}/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`

export const operationLogPath = (key: StatusKey): string => `${objectPath('operations', key)}/log`

export const readDeviceStatus = async (api: Api, key: StatusKey): Promise<DeviceStatus> =>
  checked<DeviceStatus>((await api.json(objectPath('devices', key))).body, 'checks')

export const readPolicyStatus = async (api: Api, key: StatusKey): Promise<PolicyStatus> =>
  checked<PolicyStatus>((await api.json(objectPath('policies', key))).body, 'models')

/** Undefined while nothing has changed since the answer with that tag. */
export async function readFleetStatus(
  api: Api,
  etag?: string,
): Promise<{ status: FleetStatus | undefined; etag?: string }> {
  const answer = await api.json(root, etag === undefined ? {} : { etag })
  const status = answer.body === undefined ? undefined : checked<FleetStatus>(answer.body, 'policies')
  return { status, ...(answer.etag === undefined ? {} : { etag: answer.etag }) }
}

/** An answer of ours is known by a list that it always has. */
function checked<T>(body: unknown, list: keyof T & string): T {
  if (isRecord(body) && Array.isArray(body[list])) return body as T
  throw new CliError('the server answered a status that cannot be read; is it a Reflash?', exitCodes.usage)
}
