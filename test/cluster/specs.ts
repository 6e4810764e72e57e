import type { Path } from '../../src/api/problem.ts'
import type { Kind } from '../../src/api/resources.ts'

export const named = (name: string) => ({ name })
export const sha256 = '0123456789abcdef'.repeat(4)
export const url = 'https://images.example.net/a.bin'
export const hostKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA=='

/** The least that each kind needs. */
export const least = {
  Category: {},
  Build: { categoryRef: named('indoor'), version: '24.10.8' },
  FirmwareImage: { buildRef: named('indoor-24.10.8'), source: { path: 'a.bin' } },
  Device: { categoryRef: named('indoor'), addresses: ['192.0.2.1'], credentialsRef: named('routers') },
  UpgradePolicy: { categoryRef: named('indoor'), target: { buildRef: named('indoor-24.10.8') } },
  UpgradeOperation: { deviceRef: named('ap-1'), buildRef: named('indoor-24.10.8') },
} satisfies Record<Kind, object>

/** Every field of a kind, each with a value of its own. */
export const full = {
  Category: {
    description: 'Ceilings',
    upgrader: 'open-wrt',
    hostKeyPolicy: 'Strict',
    upgradeOptions: { keepConfig: true, keepOverlay: false },
  },
  Build: {
    ...least.Build,
    osIdentifier: 'OpenWrt 24.10.8 r29233',
    changelog: 'Fixes\n',
    lifecycle: 'Deprecated',
    reason: 'old',
    order: -1_000_000_000,
    upgradeFrom: { minVersion: '21.02' },
  },
  FirmwareImage: {
    ...least.FirmwareImage,
    source: { url },
    sha256,
    boards: ['linksys,e8450', 'linksys,e8450-ubi'],
  },
  Device: {
    categoryRef: named('indoor'),
    addresses: ['ap-1.example.net', 'fe80::1%eth0', '::1', '::', '192.0.2.1'],
    port: 65_535,
    credentialsRef: named('routers'),
    hostKeys: [`${hostKey} root@ap-1`, 'ecdsa-sha2-nistp256 AAAA'],
    jumpHost: { address: '192.0.2.9', port: 2222, credentialsRef: named('jump'), hostKeys: [hostKey] },
    upgrader: 'openwrt',
    legacyAlgorithms: true,
    hold: { reason: 'broken antenna', until: '2026-11-23T18:00:00Z' },
    pinnedBuildRef: named('indoor-23.05.6'),
  },
  UpgradePolicy: {
    categoryRef: named('indoor'),
    selector: {
      matchLabels: { site: 'lobby', 'example.net/floor': '' },
      matchExpressions: [
        { key: 'site', operator: 'In', values: ['a', 'b'] },
        { key: 'example.net/lab', operator: 'DoesNotExist' },
      ],
    },
    priority: 0,
    target: { buildRef: named('indoor-24.10.8'), allowDowngrade: true, onUnknownVersion: 'Upgrade' },
    state: 'Plan',
    limits: {
      maxConcurrent: 10_000,
      startsPerMinute: 1,
      upload: { maxConcurrent: 10_000, maxMbps: 1_000_000 },
    },
    retry: { preFlash: 100, backoff: '500ms', maxBackoff: '1m30s', quarantine: '1d12h' },
    offline: { action: 'Fail', recheck: '90s', maxRecheck: '1h', expireAfter: '30d' },
    timeouts: {
      connect: '5s',
      command: '5s',
      upload: '5m',
      flash: '5m',
      reconnectRetry: '5s',
      reboot: '5m',
      total: '2h',
    },
    options: { keepChangedFiles: true, skipUnchangedFiles: true },
    history: { operationsPerDevice: 1, keepFor: '1h' },
    retryToken: 'again',
  },
  UpgradeOperation: {
    deviceRef: named('ap-1'),
    imageRef: named('a'),
    policyRef: named('all'),
    revision: '1f2e',
    options: { freeMemory: false },
    cancel: true,
  },
} satisfies Record<Kind, object>

/** Copies of a spec, in each of which another reference leads into another namespace. */
const elsewhere = (kind: Kind, spec: object): { kind: Kind; path: Path; spec: object }[] =>
  referencesIn(spec).map((path) => {
    const copy = structuredClone(spec)
    const reference = path.reduce<object>((at, part) => at[part as keyof object], copy)
    Object.assign(reference, { namespace: 'elsewhere' })
    return { kind, path: ['spec', ...path], spec: copy }
  })

function referencesIn(spec: object): string[][] {
  return Object.entries(spec).flatMap(([field, value]) => {
    if (field.endsWith('Ref')) return [[field]]
    if (typeof value !== 'object' || Array.isArray(value)) return []
    return referencesIn(value as object).map((path) => [field, ...path])
  })
}

/** Every reference that a spec can have, each with a spec in which it leads into another namespace. */
export const referencesElsewhere = [
  ...(Object.keys(full) as Kind[]).flatMap((kind) => elsewhere(kind, full[kind])),
  // Which a full one has not, since it has an image.
  ...elsewhere('UpgradeOperation', least.UpgradeOperation).filter(({ path }) => path.includes('buildRef')),
]
