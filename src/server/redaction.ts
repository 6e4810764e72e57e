import { isIPv6 } from 'node:net'
import type { Device, Key, UpgradeOperation } from '../api/resources.ts'
import type { Access } from './access.ts'
import type { ApiObject, Collection } from './collection.ts'

/** Takes out of the inventory what only some may see: where devices are, and how they are told apart. */
export interface Redaction {
  /** The object as this access may see it: the very same for who may see everything, a copy for others. */
  show: (object: ApiObject, access: Access) => ApiObject
  /** A text about a device. */
  text: (text: string, device: Key, access: Access) => string
}

/** `devices` and `operations` tell what the texts about them could give away. */
export function createRedaction(devices: Collection, operations: Collection): Redaction {
  const wordsOf = (key: Key): Words => {
    const device = devices.get(key)
    return device ? wordsOfDevice(device) : noWords
  }
  const wordsOfOperation = (operation: ApiObject): Words =>
    new Map([...wordsOf(deviceOf(operation)), ...wordsOfIdentity(statusOf(operation).identityBefore)])
  const subjectOf = (object: ApiObject): Words => {
    if (object.kind === 'Device') return wordsOfDevice(object)
    if (object.kind === 'UpgradeOperation') return wordsOfOperation(object)
    if (object.kind !== 'Event') return noWords
    const { kind, namespace = '', name } = object['involvedObject'] as { kind: string } & Partial<Key>
    const key = { namespace, name: name! }
    if (kind === 'Device') return wordsOf(key)
    const operation = kind === 'UpgradeOperation' ? operations.get(key) : undefined
    return operation ? wordsOfOperation(operation) : noWords
  }
  /** A policy tells of many devices, and names each beside what it says. */
  const policyStatus = (object: ApiObject): unknown => {
    const { topFailures = [], ...status } = object['status'] as { topFailures?: { device: string }[] }
    const failures = topFailures.map((failure) =>
      scrub(failure, wordsOf({ namespace: object.metadata.namespace ?? '', name: failure.device })),
    )
    return {
      ...(scrub(status, noWords) as object),
      ...(failures.length > 0 ? { topFailures: failures } : {}),
    }
  }

  return {
    text: (text, device, access) => (access.sensitive ? text : scrubText(text, wordsOf(device))),
    show(object, access) {
      if (access.sensitive || !telling.has(object.kind)) return object
      const { apiVersion, kind, metadata, ...rest } = withoutSecrets(object)
      const words = subjectOf(object)
      const shown = scrub(rest, words) as Record<string, unknown>
      if (kind === 'UpgradePolicy') shown['status'] = policyStatus(object)
      const { annotations } = metadata
      return {
        apiVersion,
        kind,
        metadata: annotations ? { ...metadata, annotations: scrub(annotations, words) } : metadata,
        ...shown,
      }
    },
  }
}

/** Kinds whose objects say something of single devices. */
const telling = new Set(['Device', 'UpgradeOperation', 'UpgradePolicy', 'Event'])

const deviceOf = (operation: ApiObject): Key => ({
  namespace: operation.metadata.namespace ?? '',
  name: (operation as unknown as UpgradeOperation).spec.deviceRef.name,
})

const statusOf = (operation: ApiObject): UpgradeOperation['status'] =>
  (operation as unknown as UpgradeOperation).status

function withoutSecrets(object: ApiObject): ApiObject {
  if (object.kind === 'UpgradeOperation') {
    const { identityBefore: _identity, ...openStatus } = statusOf(object)
    return { ...object, status: openStatus }
  }
  if (object.kind !== 'Device') return object
  const { spec, status } = object as unknown as Device
  const { addresses: _, hostKeys: _keys, jumpHost, ...openSpec } = spec
  const { hostKeys: _pins, identity: _identity, ...openStatus } = status
  const { address: _jump, hostKeys: _jumpKeys, ...openJump } = jumpHost ?? {}
  return { ...object, spec: { ...openSpec, ...(jumpHost ? { jumpHost: openJump } : {}) }, status: openStatus }
}

/** What a text must not say, in lower case, and what stands there instead. */
type Words = ReadonlyMap<string, string>
const noWords: Words = new Map()

const wordsOfIdentity = (identity = ''): [string, string][] =>
  identity
    .split(',')
    .filter((part) => part !== '')
    .map((part) => [part.toLowerCase(), '<identity>'])

function wordsOfDevice(object: ApiObject): Words {
  const { spec, status } = object as unknown as Device
  const words = new Map(wordsOfIdentity(status.identity))
  for (const address of [...spec.addresses, ...(spec.jumpHost ? [spec.jumpHost.address] : [])]) {
    words.set(address.toLowerCase(), '<address>')
  }
  return words
}

/** The same value with every text in it scrubbed. */
function scrub(value: unknown, words: Words): unknown {
  if (typeof value === 'string') return scrubText(value, words)
  if (Array.isArray(value)) return value.map((item) => scrub(item, words))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, scrub(item, words)]))
}

/** Addresses and keys also of devices that are not known: another one may have answered. */
const patterns: readonly (readonly [RegExp, string])[] = [
  [/\b(?:ssh|ecdsa|sk)-[\w@.-]+ AAAA[\w+/]+={0,3}/g, '<key>'],
  [/\bSHA256:[\w+/]{43}=?/g, '<key>'],
  [/\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b/g, '<identity>'],
  [/\b\d{1,3}(?:\.\d{1,3}){3}\b/g, '<address>'],
]
/** Times look like this as well; what it is, is asked for each. */
const maybeIPv6 = /(?<![0-9A-Fa-f:])[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*/g
/** What names and addresses are made of: a known word is hidden only where it stands alone. */
const run = /[\w.:%-]+/g

function scrubText(text: string, words: Words): string {
  let scrubbed = words.size === 0 ? text : text.replaceAll(run, (word) => withoutKnown(word, words))
  for (const [pattern, sign] of patterns) scrubbed = scrubbed.replaceAll(pattern, sign)
  return scrubbed.replaceAll(maybeIPv6, withoutIPv6)
}

/** With a port behind it, or at the end of a clause, as in `ap.example.org:22: timed out.` */
function withoutKnown(word: string, words: Words): string {
  for (const tail of [/$/, /[.:-]+$/, /:\d*[.:-]*$/]) {
    const start = word.search(tail)
    const sign = start < 0 ? undefined : words.get(word.slice(0, start).toLowerCase())
    if (sign !== undefined) return sign + word.slice(start)
  }
  return word
}

function withoutIPv6(word: string): string {
  const address = word.replace(/(?<!:)[.:]$/, '')
  return isIPv6(address) ? `<address>${word.slice(address.length)}` : word
}
