import { hash } from 'node:crypto'

/** SHA-256 in lower-case hex. */
const digest = (...parts: string[]): string => hash('sha256', JSON.stringify(parts))
/** Eight digits that differ where the parts do. */
export const hex8 = (...parts: string[]): string => digest(...parts).slice(0, 8)

const maxNameLength = 253
/** `-` and the eight digits of a hash. */
const hashLength = 9
/** `-` and five digits: more attempts than anybody makes. */
const attemptLength = 6
const maxDeviceLength = maxNameLength - hashLength - attemptLength

/** Names a build with its images, whatever their order: another digest is another revision. */
export const revisionOf = (build: string, digests: readonly string[]): string =>
  digest(build, ...digests.toSorted()).slice(0, 12)

/** Name of an operation without its attempt: the same for the same device, revision and retry token, for ever. */
export function operationStem(device: string, revision: string, retryToken: string): string {
  const digits = hex8(revision, retryToken)
  if (device.length <= maxDeviceLength) return `${device}-${digits}`
  return `${cutName(device, maxDeviceLength - hashLength)}-${hex8(device)}-${digits}`
}

/** Cut where a name may end. */
const cutName = (name: string, maxLength: number): string =>
  name.slice(0, maxLength).replace(/[^a-z0-9]+$/, '')

/** Name of one attempt: a repeated create is a conflict and not a second upgrade. */
export const operationName = (stem: string, attempt: number): string => `${stem}-${attempt}`

/** Name of an event as kubectl knows them: the object's name, and digits that no other event has. */
export const eventName = (object: string, digits: string): string =>
  `${cutName(object, maxNameLength - digits.length - 1)}.${digits}`

/** A place in [0, 2^32) that is stable for one device and one revision, and differs between revisions. */
export const orderHash = (revision: string, device: string): number =>
  Number.parseInt(hex8(revision, device), 16)
