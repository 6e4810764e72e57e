/** Manifests that our validation and an API server must judge alike, and those that only files must not hold. */
import { formatPath } from '../../src/api/problem.ts'
import type { Kind } from '../../src/api/resources.ts'
import { metadataRows } from './metadata-rows.ts'
import { specRows } from './spec-rows.ts'
import { least, named, referencesElsewhere } from './specs.ts'

export interface Row {
  what: string
  kind: Kind
  metadata: object
  spec: unknown
  /** Every path that the refusal names; none for what is accepted. */
  wrong: readonly string[]
  /** The same of the server, which knows fewer places. */
  serverSays: readonly string[]
}

export const rows: readonly Row[] = [...specRows, ...metadataRows]

/** What the rules about changes say of a change of the least. */
export const changes: readonly { what: string; kind: Kind; fields: object; wrong: readonly string[] }[] = [
  {
    what: 'the device of an operation',
    kind: 'UpgradeOperation',
    fields: { deviceRef: named('ap-2') },
    wrong: ['spec.deviceRef'],
  },
  {
    what: 'the build of an operation',
    kind: 'UpgradeOperation',
    fields: { buildRef: named('b') },
    wrong: [],
  },
  { what: 'an operation to a cancelled one', kind: 'UpgradeOperation', fields: { cancel: true }, wrong: [] },
  { what: 'the category of a device', kind: 'Device', fields: { categoryRef: named('outdoor') }, wrong: [] },
]

/** What a file must not have and an API server drops, or keeps for itself. */
export const dropped: readonly {
  what: string
  kind: Kind
  change: object
  /** What a file is refused for. */
  inFile: readonly string[]
  /** What the server says when it is asked to be strict. */
  strictly: 201 | 400 | 422
}[] = [
  {
    what: 'null for a default',
    kind: 'Device',
    change: { spec: { ...least.Device, port: null } },
    inFile: ['spec.port'],
    strictly: 201,
  },
  {
    what: 'null for a map of defaults',
    kind: 'UpgradePolicy',
    change: { spec: { ...least.UpgradePolicy, limits: null } },
    inFile: ['spec.limits'],
    strictly: 201,
  },
  {
    what: 'null for what need not be',
    kind: 'Device',
    change: { spec: { ...least.Device, jumpHost: null } },
    inFile: ['spec.jumpHost'],
    strictly: 201,
  },
  {
    what: 'null for what must be',
    kind: 'Build',
    change: { spec: { ...least.Build, categoryRef: null } },
    inFile: ['spec.categoryRef'],
    strictly: 422,
  },
  {
    what: 'null in a list',
    kind: 'Device',
    change: { spec: { ...least.Device, addresses: [null] } },
    inFile: ['spec.addresses[0]'],
    strictly: 422,
  },
  {
    what: 'null for a spec of defaults',
    kind: 'Category',
    change: { spec: null },
    inFile: ['spec'],
    strictly: 201,
  },
  { what: 'null for a spec', kind: 'Device', change: { spec: null }, inFile: ['spec'], strictly: 422 },
  {
    what: 'an unknown field',
    kind: 'UpgradePolicy',
    change: { spec: { ...least.UpgradePolicy, limits: { maxConcurent: 5 } } },
    inFile: ['spec.limits.maxConcurent'],
    strictly: 400,
  },
  {
    what: 'an unknown field of a list',
    kind: 'UpgradePolicy',
    change: {
      spec: {
        ...least.UpgradePolicy,
        selector: { matchExpressions: [{ key: 'a', operator: 'Exists', not: true }] },
      },
    },
    inFile: ['spec.selector.matchExpressions[0].not'],
    strictly: 400,
  },
  ...referencesElsewhere.map(({ kind, path, spec }) => ({
    what: `a namespace in ${formatPath(path)} of a ${kind}`,
    kind,
    change: { spec },
    inFile: [formatPath([...path, 'namespace'])],
    strictly: 400 as const,
  })),
  {
    what: 'an unknown field at the top',
    kind: 'Category',
    change: { data: {} },
    inFile: ['data'],
    strictly: 400,
  },
  {
    what: 'an unknown field of metadata',
    kind: 'Category',
    change: { metadata: { name: 'a', label: {} } },
    inFile: ['metadata.label'],
    strictly: 400,
  },
  {
    what: 'metadata of the server',
    kind: 'Category',
    change: { metadata: { name: 'a', uid: 'b', finalizers: ['a.b/c'] } },
    inFile: ['metadata.finalizers', 'metadata.uid'],
    strictly: 201,
  },
  { what: 'a status', kind: 'Category', change: { status: {} }, inFile: ['status'], strictly: 201 },
]

/** Values of `reason` of a hold as they may be written: YAML 1.1, which API servers read, takes some for no text. */
export const texts: readonly { text: string; isText: boolean }[] = [
  { text: 'broken antenna', isText: true },
  { text: '"yes"', isText: true },
  { text: "'1_000'", isText: true },
  { text: 'yes, for now', isText: true },
  { text: '|\n      yes', isText: true },
  { text: '2026-11-23', isText: true },
  { text: '24.10.8', isText: true },
  { text: '12:30:45', isText: true },
  { text: '1_000_', isText: false },
  { text: '_1', isText: true },
  { text: '0x', isText: true },
  { text: 'yes', isText: false },
  { text: 'On', isText: false },
  { text: 'off', isText: false },
  { text: 'n', isText: false },
  { text: 'oN', isText: true },
  { text: 'true', isText: false },
  { text: '24.10', isText: false },
  { text: '010', isText: false },
  { text: '0o17', isText: false },
  { text: '0b101', isText: false },
  { text: '-0x1F', isText: false },
  { text: '1_000.5', isText: false },
  { text: '-_1e3', isText: false },
  { text: '08', isText: false },
  { text: '!!str yes', isText: true },
]
