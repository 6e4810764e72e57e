/** Specs that our validation and an API server must judge alike. */
import type { Kind } from '../../src/api/resources.ts'
import type { Row } from './manifest-table.ts'
import { full, hostKey, least, named, sha256, url } from './specs.ts'

/** What it is, what is other than in the least spec (`undefined` takes a field away), and what is wrong then. */
type SpecRow = [what: string, fields: object, wrong: readonly string[], serverSays?: readonly string[]]

const rowsOf = (kind: Kind, rows: readonly SpecRow[]): Row[] =>
  rows.map(([what, fields, wrong, serverSays = wrong]) => {
    const spec = Object.entries({ ...least[kind], ...fields }).filter(([, value]) => value !== undefined)
    return { what, kind, metadata: { name: 'a' }, spec: Object.fromEntries(spec), wrong, serverSays }
  })

const letters = (count: number): string => 'a'.repeat(count)
const many = <T>(count: number, item: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => item(index))

const category = rowsOf('Category', [
  ['nothing but a name', {}, []],
  ['a description of 1024 letters', { description: letters(1024) }, []],
  ['a description of 1025 letters', { description: letters(1025) }, ['spec.description']],
  ['a description of 1024 letters beyond 16 bits', { description: '😀'.repeat(1024) }, []],
  ['an upgrader in upper case', { upgrader: 'OpenWrt' }, ['spec.upgrader']],
  ['an upgrader of 64 letters', { upgrader: letters(64) }, ['spec.upgrader']],
  ['an empty upgrader', { upgrader: '' }, ['spec.upgrader']],
  ['a number for an upgrader', { upgrader: 7 }, ['spec.upgrader']],
  ['a policy of host keys that does not exist', { hostKeyPolicy: 'acceptNew' }, ['spec.hostKeyPolicy']],
  [
    'a configuration that is wiped',
    { upgradeOptions: { keepConfig: false } },
    ['spec.upgradeOptions.keepConfig'],
  ],
  ['options in quotes', { upgradeOptions: { freeMemory: 'true' } }, ['spec.upgradeOptions.freeMemory']],
  ['a list of options', { upgradeOptions: ['keepConfig'] }, ['spec.upgradeOptions']],
])

const build = rowsOf('Build', [
  ['the least', {}, []],
  ['no category', { categoryRef: undefined }, ['spec.categoryRef']],
  ['a category without a name', { categoryRef: {} }, ['spec.categoryRef.name']],
  ['a category as text', { categoryRef: 'indoor' }, ['spec.categoryRef']],
  ['a category in upper case', { categoryRef: named('Indoor') }, ['spec.categoryRef.name']],
  ['a category of 254 letters', { categoryRef: named(letters(254)) }, ['spec.categoryRef.name']],
  ['a version that is a number', { version: 24.1 }, ['spec.version']],
  ['an empty version', { version: '' }, ['spec.version']],
  ['no version and a wrong order', { version: undefined, order: 'first' }, ['spec.version', 'spec.order']],
  ['an order beyond its limit', { order: 1_000_000_001 }, ['spec.order']],
  ['an order with a fraction', { order: 0.5 }, ['spec.order']],
  ['an order of a thousand digits', { order: 1e300 }, ['spec.order']],
  ['a changelog beyond its limit', { changelog: letters(65_537) }, ['spec.changelog']],
  ['a lifecycle that does not exist', { lifecycle: 'Retired' }, ['spec.lifecycle']],
  ['a recall with its reason', { lifecycle: 'Recalled', reason: 'boot loop' }, []],
  ['a recall without a reason', { lifecycle: 'Recalled' }, ['spec.reason']],
  ['a recall with an empty reason', { lifecycle: 'Recalled', reason: '' }, ['spec.reason']],
  ['an oldest version that is empty', { upgradeFrom: { minVersion: '' } }, ['spec.upgradeFrom.minVersion']],
])

const firmwareImage = rowsOf('FirmwareImage', [
  ['a file', {}, []],
  ['an address without a digest', { source: { url } }, ['spec.sha256']],
  ['a file and an address', { source: { path: 'a', url }, sha256 }, ['spec.source']],
  ['neither file nor address', { source: {} }, ['spec.source']],
  ['no source', { source: undefined }, ['spec.source']],
  ['an empty path', { source: { path: '' } }, ['spec.source.path']],
  ['an address of ftp', { source: { url: 'ftp://a/b' }, sha256 }, ['spec.source.url']],
  ['a digest in upper case', { sha256: sha256.toUpperCase() }, ['spec.sha256']],
  ['a digest that is too short', { sha256: sha256.slice(1) }, ['spec.sha256']],
  ['a board that is there twice', { boards: ['a', 'b', 'a'] }, ['spec.boards[2]']],
  ['an empty board', { boards: [''] }, ['spec.boards[0]']],
  ['512 boards', { boards: many(512, (index) => `board-${index}`) }, []],
  ['513 boards', { boards: many(513, (index) => `board-${index}`) }, ['spec.boards']],
  ['boards as text', { boards: 'a' }, ['spec.boards']],
])

const device = rowsOf('Device', [
  ['the least', {}, []],
  ['no address', { addresses: undefined }, ['spec.addresses']],
  ['an empty list of addresses', { addresses: [] }, ['spec.addresses']],
  ['nine addresses', { addresses: many(9, (index) => `192.0.2.${index}`) }, ['spec.addresses']],
  ['an address with a slash', { addresses: ['192.0.2.1', '192.0.2.0/24'] }, ['spec.addresses[1]']],
  ['an address that ends in a line', { addresses: ['192.0.2.1\n'] }, ['spec.addresses[0]']],
  ['a number among the addresses', { addresses: [3_221_225_985] }, ['spec.addresses[0]']],
  ['port 0', { port: 0 }, ['spec.port']],
  ['port 65536', { port: 65_536 }, ['spec.port']],
  ['a port in quotes', { port: '22' }, ['spec.port']],
  ['a host key of an unknown kind', { hostKeys: ['rsa AAAA'] }, ['spec.hostKeys[0]']],
  ['a host key with two lines', { hostKeys: [`${hostKey} a\n${hostKey}`] }, ['spec.hostKeys[0]']],
  ['a host key with a carriage return', { hostKeys: [`${hostKey} a\r`] }, ['spec.hostKeys[0]']],
  ['a host key with a comment in another script', { hostKeys: [`${hostKey} ключ\u2028`] }, []],
  [
    'a jump host without host keys',

    { jumpHost: { address: '192.0.2.9', credentialsRef: named('jump') } },
    ['spec.jumpHost.hostKeys'],
  ],
  [
    'a jump host with no host key',

    { jumpHost: { address: '192.0.2.9', credentialsRef: named('jump'), hostKeys: [] } },
    ['spec.jumpHost.hostKeys'],
  ],
  ['a hold without a reason', { hold: {} }, ['spec.hold.reason']],
  [
    'a hold until an offset',

    { hold: { reason: 'a', until: '2026-11-23T18:00:00.5+01:00' } },
    [],
  ],
  ['a hold until a leap day', { hold: { reason: 'a', until: '2028-02-29T00:00:00Z' } }, []],
  ['a hold until no leap day', { hold: { reason: 'a', until: '2026-02-29T00:00:00Z' } }, ['spec.hold.until']],
  ['a hold until a day', { hold: { reason: 'a', until: '2026-11-23' } }, ['spec.hold.until']],
  ['a hold in lower case', { hold: { reason: 'a', until: '2026-11-23t18:00:00z' } }, ['spec.hold.until']],
  ['a hold until hour 24', { hold: { reason: 'a', until: '2026-11-23T24:00:00Z' } }, ['spec.hold.until']],
  [
    'a hold until an offset that does not exist',

    { hold: { reason: 'a', until: '2026-11-23T18:00:00+99:99' } },
    ['spec.hold.until'],
  ],
  [
    'a hold until a fraction behind a comma',

    { hold: { reason: 'a', until: '2026-11-23T18:00:00,5Z' } },
    ['spec.hold.until'],
  ],
])

const policy = (limits: object): object => ({ limits })
const upgradePolicy = rowsOf('UpgradePolicy', [
  ['the least', {}, []],
  [
    'empty maps, each with its defaults',

    { selector: {}, limits: {}, retry: {}, offline: {}, timeouts: {}, history: {} },
    [],
  ],
  ['uploads with no limit of their own', policy({ upload: {} }), []],
  ['none at once', policy({ maxConcurrent: 0 }), ['spec.limits.maxConcurrent']],
  ['too many at once', policy({ maxConcurrent: 10_001 }), ['spec.limits.maxConcurrent']],
  ['a share of the fleet', policy({ maxConcurrent: '10%' }), ['spec.limits.maxConcurrent']],
  ['limits as a number', { limits: 5 }, ['spec.limits']],
  [
    'two limits that are wrong',
    policy({ startsPerMinute: -1, upload: { maxMbps: 0 } }),
    ['spec.limits.startsPerMinute', 'spec.limits.upload.maxMbps'],
  ],
  ['a priority below 0', { priority: -1 }, ['spec.priority']],
  ['a state in lower case', { state: 'run' }, ['spec.state']],
  ['a state that is true', { state: true }, ['spec.state']],
  ['no target', { target: undefined }, ['spec.target']],
  ['a target without a build', { target: { allowDowngrade: true } }, ['spec.target.buildRef']],
  [
    'an unknown answer to unknown versions',

    { target: { ...least.UpgradePolicy.target, onUnknownVersion: 'Fail' } },
    ['spec.target.onUnknownVersion'],
  ],
  ['a duration without a unit', { timeouts: { connect: '60' } }, ['spec.timeouts.connect']],
  ['a duration as a number', { timeouts: { connect: 60 } }, ['spec.timeouts.connect']],
  ['a duration in words', { retry: { backoff: '5 minutes' } }, ['spec.retry.backoff']],
  ['a duration with a fraction', { retry: { backoff: '1.5h' } }, ['spec.retry.backoff']],
  ['a duration below 0', { offline: { recheck: '-1m' } }, ['spec.offline.recheck']],
  ['an empty duration', { offline: { recheck: '' } }, ['spec.offline.recheck']],
  ['a duration of 33 letters', { history: { keepFor: `${'1'.repeat(32)}d` } }, ['spec.history.keepFor']],
  [
    'a label of a name of JavaScript',

    { selector: { matchLabels: { constructor: 'x' } } },
    [],
  ],
  [
    'a label value of 64 letters',
    { selector: { matchLabels: { site: letters(64) } } },
    ['spec.selector.matchLabels.site'],
  ],
  [
    'a label value that is a number',
    { selector: { matchLabels: { floor: 5 } } },
    ['spec.selector.matchLabels.floor'],
  ],
  [
    '65 labels',

    { selector: { matchLabels: Object.fromEntries(many(65, (index) => [`l${index}`, 'x'])) } },
    ['spec.selector.matchLabels'],
  ],
  [
    'an expression with an unknown operator',

    { selector: { matchExpressions: [{ key: 'site', operator: 'Equals', values: ['a'] }] } },
    ['spec.selector.matchExpressions[0].operator'],
  ],
  [
    'an expression without a key',

    { selector: { matchExpressions: [{ operator: 'Exists' }] } },
    ['spec.selector.matchExpressions[0].key'],
  ],
  [
    '17 expressions',

    { selector: { matchExpressions: many(17, () => ({ key: 'a', operator: 'Exists' })) } },
    ['spec.selector.matchExpressions'],
  ],
  [
    'a label to select by that cannot be one',

    { selector: { matchLabels: { 'a/b/c': 'x' } } },
    ['spec.selector.matchLabels'],
  ],
  [
    'a label of a name of JavaScript that none can have',

    { selector: { matchLabels: JSON.parse('{"__proto__":"x"}') as object } },
    ['spec.selector.matchLabels.__proto__'],
    ['spec.selector.matchLabels'],
  ],
  [
    'an operator without its values',

    { selector: { matchExpressions: [{ key: 'site', operator: 'NotIn', values: [] }] } },
    ['spec.selector.matchExpressions'],
  ],
  [
    'an operator with values that it does not take',

    { selector: { matchExpressions: [{ key: 'site', operator: 'Exists', values: ['a'] }] } },
    ['spec.selector.matchExpressions'],
  ],
  ['a token of 64 letters', { retryToken: letters(64) }, ['spec.retryToken']],
])

const upgradeOperation = rowsOf('UpgradeOperation', [
  ['to a build', {}, []],
  ['to a build and an image', { imageRef: named('a') }, ['spec']],
  ['to nothing', { buildRef: undefined }, ['spec']],
  ['of no device', { deviceRef: undefined }, ['spec.deviceRef']],
  ['of a device with a slash', { deviceRef: named('lab/ap-1') }, ['spec.deviceRef.name']],
  ['cancelled in words', { cancel: 'yes' }, ['spec.cancel']],
  ['with a revision of 65 letters', { revision: letters(65) }, ['spec.revision']],
])

const whole = (what: string, kind: Kind, spec: unknown, wrong: readonly string[] = []): Row => ({
  what,
  kind,
  metadata: { name: 'a' },
  spec,
  wrong,
  serverSays: wrong,
})

export const specRows: readonly Row[] = [
  ...category,
  ...build,
  ...firmwareImage,
  ...device,
  ...upgradePolicy,
  ...upgradeOperation,
  ...(Object.keys(full) as Kind[]).map((kind) => whole('every field', kind, full[kind])),
  whole('no spec', 'Category', undefined),
  whole('no spec', 'Device', undefined, ['spec']),
  whole('a spec that is a list', 'Category', [], ['spec']),
  whole('a spec that is text', 'UpgradePolicy', 'all', ['spec']),
]
