import { blockedReasons } from '../core/reasons.ts'
import { limits } from './limits.ts'
import { schemaRef, type ApiSchema, type SchemaName } from './api-schemas.ts'

/** Where our own routes are, as the router wants them. */
export const paths = {
  fleet: '/api/status/v1',
  policy: '/api/status/v1/policies/:namespace/:name',
  devices: '/api/status/v1/devices',
  device: '/api/status/v1/devices/:namespace/:name',
  log: '/api/status/v1/operations/:namespace/:name/log',
  image: '/images/:sha256',
  metrics: '/metrics',
  livez: '/livez',
  healthz: '/healthz',
  readyz: '/readyz',
  openapi: '/openapi.json',
  docs: '/docs',
} as const

/** What a token must carry; `none` is answered without one. */
export type Scope = 'read' | 'metrics' | 'images' | 'none'

/** What somebody needs in a cluster to read the objects that a route tells of, in the namespace that is asked for. */
export interface ObjectRight {
  verb: 'get' | 'list'
  /** The plural of a kind of ours. */
  resource: 'devices' | 'upgradeoperations' | 'upgradepolicies' | 'devices/sensitive'
}

export interface ApiParameter {
  name: string
  in: 'path' | 'query' | 'header'
  description: string
  schema: ApiSchema
  required?: true
}

export interface ApiAnswer {
  status: number
  description: string
  /** What it is, by media type; absent for an answer without a body. */
  content?: Readonly<Record<string, ApiSchema>>
}

/** One route as people read it. */
export interface ApiRoute {
  id: keyof typeof paths
  summary: string
  description: string
  scope: Scope
  /** All that is needed in a cluster; empty: `get` of the path itself. */
  rights: readonly ObjectRight[]
  parameters: readonly ApiParameter[]
  answers: readonly ApiAnswer[]
  /** What follows `curl` in an example. */
  example: string
}

const server = 'http://127.0.0.1:8080'
const json = (name: SchemaName) => ({ 'application/json': schemaRef(name) })
const plain = { 'text/plain': { type: 'string' } } as const satisfies Record<string, ApiSchema>
const refused = (status: number, description: string): ApiAnswer => ({
  status,
  description,
  content: { 'application/problem+json': schemaRef('Problem') },
})
const unchanged: ApiAnswer = { status: 304, description: 'It is what If-None-Match names.' }
const badQuery = refused(400, 'A parameter is unknown, or not what it must be.')
const forbidden = refused(403, 'The token may not read that.')
const loading = refused(503, 'The state is still being read; see Retry-After.')
const absent = refused(404, 'There is no such object.')

const inPath = (name: string, description: string): ApiParameter => ({
  name,
  in: 'path',
  description,
  schema: { type: 'string' },
  required: true,
})
const inQuery = (name: string, schema: ApiSchema, description: string): ApiParameter => ({
  name,
  in: 'query',
  description,
  schema,
})
const inHeader = (name: string, description: string): ApiParameter => ({
  name,
  in: 'header',
  description,
  schema: { type: 'string' },
})
const key = [inPath('namespace', 'Namespace.'), inPath('name', 'Name.')]
const ifNoneMatch = inHeader('If-None-Match', 'The ETag of the answer that you have.')

const health = (id: 'livez' | 'healthz' | 'readyz', summary: string, description: string): ApiRoute => ({
  id,
  summary,
  description,
  scope: 'none',
  rights: [],
  parameters: [
    inQuery(
      'verbose',
      { type: 'string' },
      'Lists each check, without reasons; where tokens are asked for, with one.',
    ),
    inQuery(
      'exclude',
      { type: 'string' },
      'Leaves a check out; may be given several times, and as `verbose`.',
    ),
  ],
  answers: [
    { status: 200, description: 'The word `ok`.', content: plain },
    { status: 503, description: 'A check fails.', content: plain },
  ],
  example: `${server}/${id}?verbose`,
})

/** Every route that is not in the shape of Kubernetes: the document, the page and docs/api.md come out of this table. */
export const apiRoutes: readonly ApiRoute[] = [
  {
    id: 'fleet',
    summary: 'The fleet in numbers',
    description:
      'Devices, operations, policies and models, counted. It is counted at most once a second, however many ask.',
    scope: 'read',
    rights: [
      { verb: 'list', resource: 'devices' },
      { verb: 'list', resource: 'upgradeoperations' },
      { verb: 'list', resource: 'upgradepolicies' },
    ],
    parameters: [ifNoneMatch],
    answers: [
      { status: 200, description: 'The counts.', content: json('FleetStatus') },
      unchanged,
      badQuery,
      forbidden,
      loading,
    ],
    example: `${server}/api/status/v1`,
  },
  {
    id: 'policy',
    summary: 'One policy, model by model',
    description: 'How far a policy is for each model, and which devices are in trouble.',
    scope: 'read',
    rights: [{ verb: 'get', resource: 'upgradepolicies' }],
    parameters: [...key, ifNoneMatch],
    answers: [
      { status: 200, description: 'The policy.', content: json('PolicyStatus') },
      unchanged,
      badQuery,
      forbidden,
      absent,
      loading,
    ],
    example: `${server}/api/status/v1/policies/default/all`,
  },
  {
    id: 'devices',
    summary: 'Why not now, device by device',
    description: 'Every device off its target with the one reason why it is not upgraded now, page by page.',
    scope: 'read',
    rights: [{ verb: 'list', resource: 'devices' }],
    parameters: [
      inQuery('reason', { type: 'string', enum: Object.keys(blockedReasons) }, 'Only this reason.'),
      inQuery('namespace', { type: 'string' }, 'Only this namespace.'),
      inQuery('policy', { type: 'string' }, 'Only devices that a policy of this name selects.'),
      inQuery(
        'limit',
        { type: 'integer', minimum: 1, maximum: limits.page, default: limits.page },
        'Devices on a page.',
      ),
      inQuery('continue', { type: 'string' }, 'What the page before ended with.'),
      ifNoneMatch,
    ],
    answers: [
      { status: 200, description: 'One page.', content: json('BlockedDevices') },
      unchanged,
      badQuery,
      forbidden,
      loading,
    ],
    example: `'${server}/api/status/v1/devices?reason=Unreachable&limit=100'`,
  },
  {
    id: 'device',
    summary: 'Why one device is not upgraded now',
    description:
      'Each admission check in order, asked of the function that decides every start. The first that fails is the reason.',
    scope: 'read',
    rights: [{ verb: 'get', resource: 'devices' }],
    parameters: [...key, ifNoneMatch],
    answers: [
      { status: 200, description: 'The checks.', content: json('DeviceStatus') },
      unchanged,
      badQuery,
      forbidden,
      absent,
      loading,
    ],
    example: `${server}/api/status/v1/devices/default/ap-1`,
  },
  {
    id: 'log',
    summary: 'The log of one operation, as it happens',
    description: [
      'Server-sent events `phase`, `progress` and `log`, with a LiveLine as data and its id as event id.',
      'A connection that was cut goes on without a gap after `Last-Event-ID`; `missed` with a `count` says where lines are not kept any more.',
      '`end` says that the operation has finished and all was sent. A comment every 15 s keeps the connection open.',
      'With `Accept: text/plain` the lines come as text, up to now.',
    ].join(' '),
    scope: 'read',
    rights: [{ verb: 'get', resource: 'upgradeoperations' }],
    parameters: [
      ...key,
      inQuery('after', { type: 'integer', minimum: 0, default: 0 }, 'Lines after this id only.'),
      inQuery(
        'follow',
        { type: 'string', enum: ['true', 'false'] },
        'Whether to wait for what comes; by default for events, not for text.',
      ),
      inHeader('Last-Event-ID', 'As `after`, and sent by browsers when they connect again; it wins.'),
    ],
    answers: [
      {
        status: 200,
        description: 'The log.',
        content: { 'text/event-stream': schemaRef('LiveLine'), ...plain },
      },
      badQuery,
      forbidden,
      absent,
      refused(429, 'As many logs are followed as are allowed; see Retry-After.'),
      loading,
    ],
    example: `-N ${server}/api/status/v1/operations/default/ap-1-3f2a90bc-1/log`,
  },
  {
    id: 'image',
    summary: 'A firmware image by its digest',
    description:
      'The checked file of a FirmwareImage, by the SHA-256 in its status. One range of bytes may be asked for.',
    scope: 'images',
    rights: [{ verb: 'get', resource: 'devices/sensitive' }],
    parameters: [
      {
        ...inPath('sha256', 'SHA-256, in lower-case hex.'),
        schema: { type: 'string', pattern: '^[0-9a-f]{64}$' },
      },
      inHeader('Range', 'One range, such as `bytes=0-1023`.'),
      inHeader('If-Range', 'The ETag for which the range is meant.'),
      ifNoneMatch,
    ],
    answers: [
      {
        status: 200,
        description: 'The file.',
        content: { 'application/octet-stream': { type: 'string', format: 'binary' } },
      },
      {
        status: 206,
        description: 'The range.',
        content: { 'application/octet-stream': { type: 'string', format: 'binary' } },
      },
      unchanged,
      forbidden,
      refused(404, 'No FirmwareImage has this digest, or its file is not in the cache.'),
      refused(416, 'The range is outside the file.'),
      refused(429, 'As many images are sent as are allowed; see Retry-After.'),
      loading,
    ],
    example: `-O ${server}/images/${'ab'.repeat(32)}`,
  },
  {
    id: 'metrics',
    summary: 'Metrics for Prometheus',
    description: 'Text exposition; every metric is described in docs/metrics.md.',
    scope: 'metrics',
    rights: [],
    parameters: [],
    answers: [
      { status: 200, description: 'The metrics.', content: plain },
      { status: 403, description: 'The token may not read metrics.' },
    ],
    example: `${server}/metrics`,
  },
  health(
    'livez',
    'Whether the process is to be left running',
    'No router and no other machine decides this.',
  ),
  health('healthz', 'The same as /livez', 'For probes that know no other path.'),
  health(
    'readyz',
    'Whether requests should come here',
    'The state is open, and the directory has been read once.',
  ),
  {
    id: 'openapi',
    summary: 'This document',
    description:
      'OpenAPI 3.1 of these routes. Those in the shape of Kubernetes are described at /openapi/v3.',
    scope: 'read',
    rights: [],
    parameters: [ifNoneMatch],
    answers: [
      { status: 200, description: 'The document.', content: { 'application/json': { type: 'object' } } },
      unchanged,
      forbidden,
    ],
    example: `${server}/openapi.json`,
  },
  {
    id: 'docs',
    summary: 'The same as a page',
    description: 'For a browser; it loads nothing from anywhere and needs no script.',
    scope: 'read',
    rights: [],
    parameters: [ifNoneMatch],
    answers: [
      { status: 200, description: 'The page.', content: { 'text/html': { type: 'string' } } },
      unchanged,
      forbidden,
    ],
    example: `${server}/docs`,
  },
]
