import { createHash } from 'node:crypto'
import { ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'

/** A host key as it goes over the wire: the type stands in its first bytes. */
export type HostKey = Buffer

export const hostKeyType = (key: HostKey): string => {
  const length = key.length >= 4 ? key.readUInt32BE(0) : 0
  return printable(key.toString('latin1', 4, 4 + Math.min(length, 64)), 64)
}

/** As `ssh-keygen -l` prints it. */
export const fingerprint = (key: HostKey): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`

/** The OpenSSH public-key line, without a comment. */
export const hostKeyLine = (key: HostKey): string => `${hostKeyType(key)} ${key.toString('base64')}`

/** @throws ReflashError `Invalid` when it is no OpenSSH public-key line. */
export const parseHostKeyLine = (line: string): HostKey => {
  const [type = '', blob = ''] = line.trim().split(/\s+/)
  const key = Buffer.from(blob, 'base64')
  if (type === '' || key.length < 16 || hostKeyType(key) !== type) {
    throw new ReflashError(
      'Invalid',
      `no OpenSSH public-key line, such as "ssh-ed25519 AAAA...": ${printable(line, 120)}`,
    )
  }
  return key
}

/** What a Device has room for. An RSA key of 8192 bits takes 1400 characters. */
const maxLineLength = 2048

export interface HostKeyPolicy {
  pins: readonly HostKey[]
  /** With no pins: whether a key seen first is good. */
  acceptNew: boolean
}

/** Undefined when the key is good, otherwise why not. `where` is address and port. */
export const judgeHostKey = (
  key: HostKey,
  policy: HostKeyPolicy,
  where: string,
): ReflashError | undefined => {
  const seen = `${hostKeyType(key)} ${fingerprint(key)}`
  if (policy.pins.some((pin) => pin.equals(key))) return undefined
  if (hostKeyLine(key).length > maxLineLength) {
    return new ReflashError(
      'Unsupported',
      `${where} shows a host key of ${key.length} bytes, too large to be pinned`,
      {
        cause: new Error('host key too large'),
      },
    )
  }
  if (policy.pins.length > 0) {
    const pinned = policy.pins.map((pin) => `${hostKeyType(pin)} ${fingerprint(pin)}`).join(', ')
    return new ReflashError(
      'HostKeyChanged',
      `${where} shows the host key ${seen}, but pinned is ${pinned}. Nothing was sent to it. If the device was replaced or reset on purpose, put its key into hostKeys: ${hostKeyLine(key)}`,
      { cause: { presented: hostKeyLine(key) } },
    )
  }
  if (policy.acceptNew) return undefined
  return new ReflashError(
    'HostKeyUnknown',
    `${where} shows the host key ${seen}, and none is pinned. If that is the fingerprint of the device, put its key into hostKeys: ${hostKeyLine(key)}`,
    { cause: { presented: hostKeyLine(key) } },
  )
}
