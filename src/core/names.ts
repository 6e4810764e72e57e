import { createHash } from 'node:crypto'

const digest = (...parts: string[]): Buffer => createHash('sha256').update(JSON.stringify(parts)).digest()
const maxNameLength = 253
/** Room for `-<8 hex>-<attempt>`. */
const maxDeviceLength = maxNameLength - 9 - 6

/** Names a build with its images: another digest is another revision. Order of the digests matters. */
export const revisionOf = (build: string, digests: readonly string[]): string =>
  digest(build, ...digests).toString('hex').slice(0, 12)

/** Name of an operation without its attempt: the same for the same device, revision and retry token, for ever. */
export function operationStem(device: string, revision: string, retryToken: string): string {
  const hash = digest(revision, retryToken).toString('hex').slice(0, 8)
  if (device.length <= maxDeviceLength) return `${device}-${hash}`
  const short = device.slice(0, maxDeviceLength - 9).replace(/[^a-z0-9]+$/, '')
  return `${short}-${digest(device).toString('hex').slice(0, 8)}-${hash}`
}

/** A place in [0, 2^32) that is stable for one device and one revision, and differs between revisions. */
export const orderHash = (revision: string, device: string): number => digest(revision, device).readUInt32BE(0)
