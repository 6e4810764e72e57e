import type {
  Build,
  Condition,
  Device,
  FirmwareImage,
  Kind,
  KindMap,
  UpgradeOperation,
  UpgradePolicy,
} from '../../src/api/resources.ts'
import type { SharedLimits, Subject } from '../../src/core/admit.ts'
import type { BuildWithImages } from '../../src/core/match.ts'
import { manifest } from './toy-fleet.ts'

/** The instant at which the tables of the core are read. */
export const now = Date.parse('2026-01-01T12:00:00Z')
export const at = (ms: number): string => new Date(ms).toISOString()
export const digest = 'ab'.repeat(32)

/** An object as a store would hold it, with the defaults of its kind. */
export const stored = <K extends Kind>(
  kind: K,
  name: string,
  spec: object,
  status: KindMap[K]['status'] = {},
): KindMap[K] =>
  ({
    ...manifest(kind, name, spec),
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-of-${name}`,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: at(now - 3600_000),
    },
    status,
  }) as unknown as KindMap[K]

export const condition = (type: string, reason: string, status: Condition['status'] = 'True'): Condition => ({
  type,
  status,
  reason,
  message: `${type} is ${status}`,
  lastTransitionTime: at(now - 60_000),
})

/** A device that may be upgraded. */
export const device = (
  spec: object = {},
  status: { [F in keyof Device['status']]: Device['status'][F] | undefined } = {},
): Device =>
  stored(
    'Device',
    'ap-1',
    { categoryRef: { name: 'ap' }, addresses: ['192.0.2.1'], credentialsRef: { name: 'routers' }, ...spec },
    {
      observedGeneration: 1,
      osIdentifier: 'Toy 1.0.0',
      release: { revision: 'r1', version: '1.0.0' },
      board: 'toy',
      bootId: 'boot-1',
      identity: '02:00:00:00:00:01',
      lastProbeTime: at(now - 60_000),
      conditions: [condition('Reachable', 'Answered'), condition('Ready', 'Accepted')],
      ...(status as Device['status']),
    },
  )

export const build = (name = 'new', spec: object = {}): Build =>
  stored('Build', name, { categoryRef: { name: 'ap' }, version: '2.0.0', osIdentifier: 'Toy 2.0.0', ...spec })

export const image = (
  name = 'image',
  { build: of = 'new', status = {} }: { build?: string; status?: FirmwareImage['status'] } = {},
): FirmwareImage =>
  stored(
    'FirmwareImage',
    name,
    { buildRef: { name: of }, source: { path: `${name}.bin` } },
    {
      observedGeneration: 1,
      sha256: digest,
      size: 1000,
      boards: ['toy'],
      conditions: [condition('Ready', 'ImageReady')],
      ...status,
    },
  )

export const policy = (name = 'all', spec: object = {}): UpgradePolicy =>
  stored('UpgradePolicy', name, {
    categoryRef: { name: 'ap' },
    target: { buildRef: { name: 'new' }, allowDowngrade: false, onUnknownVersion: 'Skip' },
    ...spec,
  })

export const operation = (
  name: string,
  status: UpgradeOperation['status'] = {},
  spec: object = { buildRef: { name: 'new' }, policyRef: { name: 'all' } },
): UpgradeOperation => stored('UpgradeOperation', name, { deviceRef: { name: 'ap-1' }, ...spec }, status)

/** The target build with its one image. */
export const target = (): BuildWithImages => ({ build: build(), images: [image()] })

/** A device of which nothing speaks against an upgrade, with what a test changes. */
export const subject = (changes: Partial<Subject> = {}): Subject => {
  const wanted = 'target' in changes ? changes.target : target()
  return {
    device: device(),
    policies: [policy()],
    target: wanted,
    builds: wanted ? [wanted] : [],
    operations: [],
    now,
    ...changes,
  }
}

export const limits = (changes: Partial<SharedLimits> = {}): SharedLimits => ({
  inFlight: { policy: 0, all: 0, maxAll: 50 },
  ...changes,
})
