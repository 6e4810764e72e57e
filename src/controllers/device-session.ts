import type { Category, Device } from '../api/resources.ts'
import { ReflashError } from '../core/errors.ts'
import type { Credentials, Session, Target } from '../ports/connector.ts'
import type { Upgrader } from '../ports/upgrader.ts'
import type { Ports } from './ports.ts'

/** The credentials of a Secret. @throws ReflashError `CredentialsInvalid` naming what is missing. */
export async function readCredentials(
  namespace: string,
  name: string,
  secrets: Ports['secrets'],
): Promise<Credentials> {
  const secret = await secrets.read({ namespace, name })
  if (!secret)
    throw new ReflashError('CredentialsInvalid', `Secret ${name} does not exist in namespace ${namespace}`)
  const { username, password, passphrase, 'ssh-privatekey': privateKey } = secret
  if (username === undefined)
    throw new ReflashError('CredentialsInvalid', `Secret ${name} has no key "username"`)
  if (privateKey !== undefined) {
    return { username, privateKey, ...(passphrase === undefined ? {} : { passphrase }) }
  }
  if (password === undefined) {
    throw new ReflashError('CredentialsInvalid', `Secret ${name} has neither "password" nor "ssh-privatekey"`)
  }
  return { username, password }
}

/** Where and as whom a device is reached, in no hurry. @throws ReflashError `CredentialsInvalid`. */
export async function targetOf(
  device: Device,
  category: Category | undefined,
  ports: Ports,
): Promise<Target> {
  const { spec, status, metadata } = device
  const jump = spec.jumpHost
  const isStrict = category?.spec.hostKeyPolicy === 'Strict'
  return {
    addresses: spec.addresses,
    port: spec.port,
    credentials: await readCredentials(metadata.namespace, spec.credentialsRef.name, ports.secrets),
    // Strict trusts nothing that was only seen, not even before it was set.
    hostKeys: spec.hostKeys ?? (isStrict ? [] : (status.hostKeys ?? [])),
    acceptNewHostKeys: !isStrict,
    legacyAlgorithms: spec.legacyAlgorithms,
    urgent: false,
    ...(jump
      ? {
          jumpHost: {
            address: jump.address,
            port: jump.port,
            credentials: await readCredentials(metadata.namespace, jump.credentialsRef.name, ports.secrets),
            hostKeys: jump.hostKeys,
          },
        }
      : {}),
  }
}

export const categoryOf = (device: Device, ports: Ports): Category | undefined =>
  ports.fleet.get('Category', { namespace: device.metadata.namespace, name: device.spec.categoryRef.name })

/** @throws ReflashError `Unsupported` when no upgrader of that name is loaded. */
export function upgraderOf(device: Device, ports: Ports): Upgrader {
  const name = device.spec.upgrader ?? categoryOf(device, ports)?.spec.upgrader ?? 'openwrt'
  const upgrader = ports.upgraders.get(name)
  if (upgrader) return upgrader
  const known = [...ports.upgraders.keys()].join(', ')
  throw new ReflashError('Unsupported', `no upgrader is called ${name}; there are: ${known}`)
}

/** Opens a session on a device. @throws what `Connector.connect` throws, and `CredentialsInvalid`. */
export async function openSession(
  device: Device,
  { deadlineMs, urgent }: { deadlineMs: number; urgent: boolean },
  ports: Ports,
  signal: AbortSignal,
): Promise<Session> {
  const target = await targetOf(device, categoryOf(device, ports), ports)
  return ports.connector.connect({ ...target, urgent }, deadlineMs, signal)
}
